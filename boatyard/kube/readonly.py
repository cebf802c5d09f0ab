"""A client that cannot write: for looking at clusters that must stay as they are."""

from collections.abc import Callable
from typing import TypeVar

from boatyard.errors import Unsafe
from boatyard.kube.client import Client
from boatyard.kube.wire import Answer

Taken = TypeVar("Taken")


class ReadOnlyClient(Client):
    """Sends GET and nothing else. Refused in the one function that every request leaves by."""

    def _once(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        data: bytes | None,
        connect: float,
        read: float,
        take: Callable[[Answer], Taken],
    ) -> Taken:
        if method != "GET" or data is not None:
            raise Unsafe(f"{method} {url.partition('?')[0]} was refused: this is only to look at {self.server}.")
        return super()._once(method, url, headers, data, connect, read, take)
