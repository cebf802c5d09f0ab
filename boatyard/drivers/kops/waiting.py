"""Wait by looking: until nothing is awaited any more, quickly after each change and patiently when nothing happens."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

from boatyard.drivers.base import Env
from boatyard.errors import BoatyardError, DeadlineExceeded, Temporary
from boatyard.kube.client import Client, Event
from boatyard.kube.follow import Follower

_FIRST, _LONGEST = 0.2, 5.0  # seconds between two looks; AWS tells nothing by itself
_LATE = 30.0  # seconds after a change in which AWS may still tell what was before it; it is rarely more than a few


class Lookout:
    """Looks again and again until a deadline, in the end every `longest` seconds. `stir` makes it look at once."""

    def __init__(self, env: Env, *, longest: float = _LONGEST) -> None:
        self._env, self._longest, self._stirred = env, longest, threading.Event()

    def stir(self) -> None:
        self._stirred.set()

    def until(self, look: Callable[[], str]) -> None:
        """Return once `look()` says "", which else says what is still awaited; a `Temporary` error is awaited, too.

        `DeadlineExceeded` names the last; `Fenced` when the operation is stopped.
        """
        with self._env.stopped.calling(self.stir):
            self._until(look)

    def _until(self, look: Callable[[], str]) -> None:
        said, pause = "", _FIRST
        while rest := _asked(look):
            if rest != said:
                self._env.report(f"waiting for {rest}")
                said, pause = rest, _FIRST
            self._env.deadline.check(rest)
            if self._env.clock.wait(self._stirred, min(pause, self._env.deadline.left)):
                pause = _FIRST
            self._stirred.clear()
            pause = min(pause * 1.5, self._longest)


@contextmanager
def watching(env: Env, client: Client, path: str) -> Iterator[Lookout]:
    """A lookout that is stirred by every change of a collection; a watch that breaks only makes it slower."""
    lookout = Lookout(env)

    def tell(event: Event) -> None:
        lookout.stir()

    def failed(error: BaseException) -> None:
        lookout.stir()

    with Follower(client, path, tell, failed):
        yield lookout


def in_time(env: Env, look: Callable[[], str]) -> bool:
    """Wait until nothing is awaited, for as long as AWS' answers may be of before the last change; False when what is
    awaited after that is really so."""
    try:
        Lookout(replace(env, deadline=env.deadline.sooner(_LATE, "waiting for AWS"))).until(look)
    except DeadlineExceeded:
        env.deadline.check()
        return False
    return True


def _asked(look: Callable[[], str]) -> str:
    try:
        return look()
    except Temporary as error:
        return _first_sentence(error)


def _first_sentence(error: BoatyardError) -> str:
    return error.message.rstrip(".")
