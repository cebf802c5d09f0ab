"""A daemon thread that keeps a lease alive for as long as its process lives."""

import logging
import threading
from collections.abc import Callable

from boatyard.errors import Fenced

log = logging.getLogger(__name__)


class Heartbeat:
    """Calls `renew` every `seconds` of real time until stopped, or until it raises `Fenced`, and then `lost` with why.

    Real time on purpose: the beat proves that this process lives, and a clock that moves when waited on would spin it.
    """

    def __init__(
        self, renew: Callable[[], object], seconds: float, what: str, lost: Callable[[str], object] = lambda why: None
    ) -> None:
        self._renew, self._lost = renew, lost
        self._seconds = seconds
        self._what = what
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"heartbeat: {what}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._seconds):
            try:
                self._renew()
            except Fenced as error:
                log.error("%s", error)
                self._lost(error.message.rstrip("."))
                return
            except Exception as error:  # noqa: BLE001 - whatever it is, a thread that ended would let the lease run out
                log.warning("The %s could not be renewed and is tried again: %s", self._what, error)
