"""A page of text from a web server: bounded in time and size."""

import queue
import threading
import urllib.request
from collections.abc import Callable

from boatyard.errors import Temporary

_LIMIT = 1 << 20  # bytes; kOps' stable channel takes 9 KB, a table of endoflife.date 30 KB

Fetch = Callable[[str, float], bytes]
"""What `download` does: address and seconds → what stands there."""


def download(address: str, timeout: float) -> bytes:
    """What stands at an address, in `timeout` seconds at most, the name look-up too. `Temporary` when it fails."""
    answer: queue.SimpleQueue[bytes | str] = queue.SimpleQueue()

    def ask() -> None:
        try:
            request = urllib.request.Request(address, headers={"User-Agent": "boatyard"})  # noqa: S310 - callers judge the scheme
            with urllib.request.urlopen(request, timeout=timeout) as response:  # noqa: S310
                answer.put(response.read(_LIMIT))
        except (OSError, ValueError) as error:
            answer.put(str(getattr(error, "reason", None) or error))

    threading.Thread(target=ask, name="download", daemon=True).start()  # a name look-up cannot be ended
    try:
        came = answer.get(timeout=timeout)
    except queue.Empty:
        came = f"no answer within {timeout:g} s"
    if isinstance(came, str):
        raise Temporary(f"{address} cannot be read: {came}.", delay=10.0)
    return came
