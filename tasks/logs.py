"""Our own errors are one sentence; Prefect's engine would print a traceback under each. This keeps the sentence."""

import functools
import logging

from prefect.exceptions import ParameterTypeError

from boatyard.errors import BoatyardError

_ENGINE = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.task_engine", "prefect.flow_engine")
_PARTING = "Engine execution exited"
_AGAIN = "Task run failed with %s: %r - Retry"


class _Plain(logging.Filter):
    """Drops a traceback whose error says all, what the engine says on its way out if the run has said it, and its own
    word on a further try, which ours comes before."""

    _last: BaseException | None = None

    def filter(self, record: logging.LogRecord) -> bool:
        if str(record.msg).startswith(_AGAIN) and any(isinstance(each, BoatyardError) for each in record.args or ()):
            return False
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, BoatyardError):
            if error is _Plain._last and str(record.msg).startswith(_PARTING):
                return False
            _Plain._last = error
            record.exc_info, record.exc_text = None, None
            record.msg, record.args = str(error), ()
        elif isinstance(error, ParameterTypeError):
            record.exc_info, record.exc_text = None, None
            record.msg, record.args = refusal(error), ()
        return True


def refusal(error: ParameterTypeError) -> str:
    """What pydantic says of parameters, which are checked before any code of ours runs, as one line."""
    lines = [line.strip().removeprefix("- ") for line in str(error).splitlines()[1:]]
    return f"The parameters were refused and nothing was done: {'; '.join(lines) or error}."


@functools.cache
def plain_errors() -> None:
    """Install the filter once in this process."""
    for name in _ENGINE:
        logging.getLogger(name).addFilter(_Plain())
