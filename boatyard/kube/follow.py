"""Follow a collection from a thread of its own, for code that watches several at once."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from boatyard.kube.client import Client, Event


class Follower:
    """A context manager: from entry to exit a daemon thread gives each event of `path` to `tell`.

    The first events are the whole collection, then SYNCED, then each change. An error that the watch does not get over
    by itself goes to `failed`, once, and ends the thread. Both are called from that thread.
    """

    def __init__(
        self,
        client: Client,
        path: str,
        tell: Callable[[Event], None],
        failed: Callable[[BaseException], None],
        **params: Any,
    ) -> None:
        self._watch = client.watch(path, **params)
        self._tell = tell
        self._failed = failed
        self._thread = threading.Thread(target=self._run, name=f"follow {path}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._watch.stop()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        try:
            for event in self._watch:
                self._tell(event)
        except BaseException as error:  # noqa: BLE001 - handed to the thread that waits, which raises it
            self._failed(error)
