"""What a failed test has to show: its pages, what went wrong in them, and the server's last words; and a hard limit."""

import contextlib
import os
import signal
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from greenlet import getcurrent
from playwright.sync_api import ConsoleMessage, Error, Page, Response

LIMIT = 300.0
"""Seconds for a test, its set-up and its tear-down each; a busy machine with two cores needs a seventh of it."""
_ENDING = 30.0
"""Seconds that a call to a killed browser has to fail by itself."""


class Overdue(Exception):
    """The limit is over; what the test was doing then is in the message."""


@dataclass
class Watch:
    """Listens to every page, and keeps the time of what runs now."""

    home: Path = Path("/nonexistent")
    """Of the `boatyard up` in question; the browser carries it in its command."""
    folder: Path = Path("/nonexistent")
    """Where pictures of failures go."""
    pages: list[Page] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)

    def begin(self, home: Path, folder: Path) -> None:
        self.home, self.folder = home, folder

    def follow(self, page: Page) -> None:
        """Keep what the page has to say of trouble."""
        self.pages.append(page)
        page.on("console", self._console)
        page.on("response", self._response)
        page.on("pageerror", lambda error: self._hear(f"error in the page: {error}"))
        page.on("requestfailed", lambda one: self._hear(f"no answer: {one.method} {one.url}: {one.failure}"))
        page.on("crash", lambda _: self._hear("the page crashed"))

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self._hear(f"console {message.type}: {message.text[:400]}")

    def _response(self, answer: Response) -> None:
        if answer.status >= 400:
            self._hear(f"{answer.status} to {answer.request.method} {answer.url}")

    def _hear(self, line: str) -> None:
        self.heard.append(f"{time.strftime('%H:%M:%S')} {line}")

    def forget(self) -> None:
        """A new test begins."""
        self.heard.clear()
        self.pages = [page for page in self.pages if not page.is_closed()]

    def evidence(self, name: str) -> Iterator[tuple[str, str]]:
        """Title and text of all there is to see now."""
        for number, page in enumerate(page for page in self.pages if not page.is_closed()):
            yield f"page {number}", "\n".join(self._seen(page, self.folder / f"{name}-{number}.png"))
        yield "trouble in the pages", "\n".join(self.heard[-40:]) or "none"
        for log in (self.home / "up.log", *sorted((self.home / "prefect/logs").glob("*.log"))):
            with contextlib.suppress(OSError):
                yield log.name, "\n".join(log.read_text(errors="replace").splitlines()[-40:])

    def _seen(self, page: Page, picture: Path) -> Iterator[str]:
        yield page.url
        try:
            picture.parent.mkdir(parents=True, exist_ok=True)
            page.screenshot(path=picture, timeout=10_000)
            yield f"a picture of it: {picture}"
            yield page.locator("body").inner_text(timeout=5_000)[-6_000:]
        except Error as error:
            yield f"it shows nothing any more: {error}"

    @contextlib.contextmanager
    def limited(self, what: str, seconds: float = LIMIT) -> Iterator[None]:
        """End the block with `Overdue` after so many seconds, whatever it waits for.

        Playwright's loop does not outlive an exception thrown into it, and a call to it may wait for ever. So the
        browser is killed first: the call then fails by itself, and only one that does not is broken off.
        """
        said: list[str] = []

        def over(number: int, frame: FrameType | None) -> None:
            inside = getcurrent().parent
            if not said:
                stack = inside.gr_frame if inside is not None else frame
                told = "".join(traceback.format_stack(stack)[-12:])
                said.append(f"{what} did not end in {seconds:g} s; it was here:\n{told}")
                self.kill_browser()
                if inside is not None:
                    signal.setitimer(signal.ITIMER_REAL, _ENDING)
                    return
            raise Overdue(said[0])

        before = signal.signal(signal.SIGALRM, over)
        signal.setitimer(signal.ITIMER_REAL, seconds)
        try:
            yield
        except Overdue:
            raise
        except BaseException as error:
            if said:
                raise Overdue(said[0]) from error
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)

    def kill_browser(self) -> None:
        """Only the one that was started with this home in its command."""
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):
                if self.mark.encode() in path.read_bytes():
                    os.kill(int(path.parent.name), signal.SIGKILL)

    @property
    def mark(self) -> str:
        """A switch that Chromium does not know and therefore leaves alone."""
        return f"--boatyard-home={self.home}"
