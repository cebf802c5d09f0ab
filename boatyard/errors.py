"""One family of errors, and the exit code of each.

Every error is one sentence for the person on call: what happened, where, what was expected, what to do.
Retry is decided by type alone: only `Temporary` is ever tried again.
"""

from collections.abc import Sequence


class BoatyardError(Exception):
    """Base of all errors that Boatyard raises on purpose; `exit_code` is the process's exit code."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class Permanent(BoatyardError):
    """Trying again cannot help: the input, the world or the program must change first."""

    exit_code = 1


class InvalidSpec(Permanent):
    """One or more mistakes in what the user wrote; `problems` has one line each."""

    exit_code = 3

    def __init__(self, problems: Sequence[str], *, hint: str | None = None) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems), hint=hint)


class NotFound(Permanent):
    """The named cluster, pool, app or file does not exist."""

    exit_code = 4


class Temporary(BoatyardError):
    """Worth trying again after `delay` seconds: a busy server, a lost connection, a throttle."""

    exit_code = 5

    def __init__(self, message: str, *, delay: float = 2.0, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.delay = delay


class DeadlineExceeded(BoatyardError):
    """A step did not end in its time; the message says what it was still waiting for."""

    exit_code = 6


class Unsafe(BoatyardError):
    """Refused to protect data or running work; nothing was changed."""

    exit_code = 7


class Held(Unsafe):
    """Another operation holds the cluster's lease; the message names it."""

    exit_code = 8


class Fenced(Permanent):
    """This run may not change anything any more: its lease was lost to another holder, or it was told to end."""

    exit_code = 8


class MissingTool(Permanent):
    """A program that the step needs is not installed; the hint says how to get it."""

    exit_code = 9


class Unsupported(Permanent):
    """The cluster's driver does not have the capability asked for."""

    exit_code = 10
