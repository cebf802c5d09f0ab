"""What a running step says: each new line goes to the run's log at once."""

from datetime import timedelta
from types import TracebackType

from prefect.logging import get_run_logger

from boatyard.spec.types import format_duration


class Progress:
    """Progress of one step. Lines that repeat the last one are left out."""

    def __init__(self, what: str, expected: timedelta) -> None:
        self.what = what
        self.expected = expected
        self._last = ""
        self._logger = get_run_logger()

    def __enter__(self) -> "Progress":
        self._logger.info("%s: started, usually takes %s", self.what, format_duration(self.expected))
        return self

    def say(self, line: str) -> None:
        line = self._without_name(line)
        if line != self._last:
            self._last = line
            self._logger.info("%s: %s", self.what, line)

    def _without_name(self, line: str) -> str:
        """Drivers begin with whom they talk of, `pool web: …`; the step has said that already."""
        words = self.what.split()
        for at in range(len(words)):
            line = line.removeprefix(" ".join(words[at:]) + ": ")
        return line

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._logger.info("%s: done", self.what)
