"""A client that cannot write: for looking at clusters that must stay as they are."""

import urllib3

from boatyard.errors import Unsafe
from boatyard.kube.client import Client


class ReadOnlyClient(Client):
    """Sends GET and nothing else. Refused where a request leaves the process, so no method gets around it."""

    def _send(
        self,
        method: str,
        url: str,
        headers: dict[str, str],
        data: bytes | None,
        timeout: urllib3.Timeout,
        stream: bool,
    ) -> urllib3.BaseHTTPResponse:
        if method != "GET" or data is not None:
            raise Unsafe(f"{method} {url.partition('?')[0]} was refused: this is only to look at {self.server}.")
        return super()._send(method, url, headers, data, timeout, stream)
