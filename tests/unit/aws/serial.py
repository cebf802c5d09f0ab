"""moto inside the test's process is dictionaries without locks: requests of many threads go to it one after another."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from moto import mock_aws
from moto.core.botocore_stubber import BotocoreStubber

_ONE = threading.RLock()
_unlocked = BotocoreStubber.__call__


def _locked(stubber: BotocoreStubber, *args: Any, **kwargs: Any) -> Any:
    with _ONE:
        return _unlocked(stubber, *args, **kwargs)


@contextmanager
def emulated() -> Iterator[None]:
    """Everything AWS is moto's inside."""
    BotocoreStubber.__call__ = _locked  # type: ignore[method-assign]
    with mock_aws():
        yield
