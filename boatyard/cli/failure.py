"""How a command ends: one sentence on stderr and the exit code of the error's family; never a traceback."""

import contextlib
import errno
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from boatyard.errors import BoatyardError, InvalidSpec, Permanent

USAGE = 64
"""click's own 2 means "there are changes" here; 64 is EX_USAGE of sysexits.h."""
CRASH = 70
HUNG_UP = 129
INTERRUPTED = 130
TERMINATED = 143
BROKEN_PIPE = 141

_BLOCKED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.ENOSPC, errno.EDQUOT)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_OURS = re.compile(r"(\x1b\[[0-9;]{0,8}m)")


class Stopped(BaseException):
    """Ctrl-C, SIGTERM or a closed terminal; what ran was ended in order. No `Exception`: it is not for a flow to catch.

    signal: its number.
    """

    def __init__(self, code: int = INTERRUPTED) -> None:
        self.code, self.signal = code, code - 128
        super().__init__("stopped")


@dataclass
class Outcome:
    """The exit code, known in the end."""

    code: int = 0


def clean(text: str) -> str:
    """`text` without characters that steer a terminal; our own colours stay."""
    return "".join(
        part if _OURS.fullmatch(part) else _CONTROL.sub("\N{REPLACEMENT CHARACTER}", part) for part in _OURS.split(text)
    )


def shown(text: str, most: int = 60) -> str:
    """A user's word inside a sentence: quoted, on one line, shortened."""
    one = clean(text.replace("\n", " "))
    return f"'{one if len(one) <= most else one[: most - 1] + '…'}'"


@contextmanager
def reported(arguments: Sequence[str]) -> Iterator[Outcome]:
    """Turn whatever a command raises into its message and exit code."""
    outcome = Outcome()
    words = arguments[: arguments.index("--")] if "--" in arguments else arguments
    try:
        yield outcome
        sys.stdout.flush()
    except BrokenPipeError:
        outcome.code = BROKEN_PIPE
        _forget_stdout()
    except BaseException as error:  # noqa: BLE001 - the last stop before the user
        outcome.code, document = _judge(error)
        if document and "--json" in words:
            with contextlib.suppress(BrokenPipeError):
                sys.stdout.write(json.dumps({"error": document}, indent=2) + "\n")
                sys.stdout.flush()


def _forget_stdout() -> None:
    """Python flushes stdout once more when it ends, and would complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _judge(error: BaseException) -> tuple[int, dict[str, Any] | None]:
    """Say what happened; the exit code, and the error as a document."""
    if isinstance(error, SystemExit):
        return (error.code if isinstance(error.code, int) else 1), None
    if isinstance(error, click.exceptions.Exit):
        return error.exit_code, None
    if isinstance(error, Stopped):
        return _say(error.code, "Stopped", "stopped.")
    if isinstance(error, KeyboardInterrupt | click.Abort):
        return _say(INTERRUPTED, "Stopped", "stopped.")
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return _nothing_asked(error)
    if isinstance(error, click.ClickException):
        return _usage(error)
    if isinstance(error, BoatyardError):
        return _known(error)
    if isinstance(error, OSError) and (blocked := _state_blocked(error)):
        return _known(blocked)
    return _crash(error)


def _say(code: int, kind: str, message: str, **more: Any) -> tuple[int, dict[str, Any]]:
    for line in message.splitlines() or [kind]:
        _stderr(f"boatyard: {clean(line)}")
    return code, {"type": kind, "message": message, "exit_code": code, **more}


def _stderr(line: str) -> None:
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def _nothing_asked(error: click.exceptions.NoArgsIsHelpError) -> tuple[int, dict[str, Any]]:
    """The help, as it is laid out; for programs, where it is."""
    for line in error.format_message().splitlines():
        _stderr(clean(line))
    return USAGE, {"type": "Usage", "message": "no verb was given. See `boatyard --help`.", "exit_code": USAGE}


def _state_blocked(error: OSError) -> Permanent | None:
    """The folder of our state cannot be used as it must be: a matter of the machine, and no defect of ours."""
    from boatyard.settings import Settings

    home = Settings.load().home
    if not isinstance(error.filename, str) or not Path(error.filename).is_relative_to(home):
        return None
    if error.errno not in _BLOCKED and not (error.errno == errno.ENOENT and not home.exists()):
        return None
    return Permanent(
        f"{error.filename}, where Boatyard keeps its state, cannot be written: {error.strerror}.",
        hint="Mend that, or set BOATYARD_HOME to a folder of yours.",
    )


def _usage(error: click.ClickException) -> tuple[int, dict[str, Any]]:
    message = error.format_message()
    message = message[:1].lower() + message[1:]
    context = getattr(error, "ctx", None)
    if not message.endswith((".", "?", "!")):
        message += "."
    if context is not None and context.command_path != "boatyard":
        message += f" See `{context.command_path} --help`."
    return _say(USAGE, "Usage", " ".join(message.split()))


def _known(error: BoatyardError) -> tuple[int, dict[str, Any]]:
    from boatyard.redact import redact

    notes = list(getattr(error, "__notes__", []))
    problems = [redact(problem) for problem in error.problems] if isinstance(error, InvalidSpec) else []
    hint = redact(error.hint) if error.hint else None
    message = redact(error.message)
    text = "\n".join([*problems, *([hint] if hint else [])]) if problems else redact(str(error))
    code, document = _say(error.exit_code, type(error).__name__, text)
    for note in notes:
        _stderr(f"  {clean(note)}")
    return code, document | {"message": message, "hint": hint, "problems": problems, "notes": notes}


def _crash(error: BaseException) -> tuple[int, dict[str, Any]]:
    from boatyard.cli.crash import report

    where = report(error)
    said = f"the report is in {where}" if where else "and no report of it could be written"
    return _say(CRASH, "Crash", f"something unexpected happened ({type(error).__name__}); {said}.", report=where)
