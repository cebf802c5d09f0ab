"""A collection of a live cluster, followed by a thread of its own for as long as its control plane runs."""

import logging
import threading
from collections.abc import Callable
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from boatyard.errors import BoatyardError
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.watch import Watch

Json = dict[str, Any]
Take = Callable[[Client, Json], None]

_AGAIN = 1.0  # seconds until everything is listed again after something failed

_log = logging.getLogger(__name__)


class Follower(threading.Thread):
    """Gives every object of a collection to `take`, and again at each change.

    What fails is logged and tried again with all others. An object that changed meanwhile (`ApiConflict`) or is gone
    is passed over: its change comes, too.
    """

    def __init__(self, connect: Callable[[], Client], path: str, take: Take) -> None:
        super().__init__(name=f"follow {path}", daemon=True)
        self._connect, self._path, self._take = connect, path, take
        self._stopped = threading.Event()
        self._watch: Watch | None = None

    def stop(self) -> None:
        """End soon; a call that is under way is finished."""
        self._stopped.set()
        if (watch := self._watch) is not None:
            watch.stop()

    def run(self) -> None:
        while not self._stopped.is_set():
            try:
                self._follow()
            except (BoatyardError, ClientError, BotoCoreError) as error:
                if not self._stopped.is_set():
                    _log.warning("%s: %s", self._path, error)
            self._stopped.wait(_AGAIN)

    def _follow(self) -> None:
        with self._connect() as client, client.watch(self._path) as watch:
            self._watch = watch
            for event in watch:
                if self._stopped.is_set():
                    return
                if event.type in ("ADDED", "MODIFIED"):
                    try:
                        self._take(client, event.object)
                    except (ApiConflict, ApiNotFound):
                        continue
