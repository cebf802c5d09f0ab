"""Our own errors are one sentence; Prefect's engine would print a traceback under each. This keeps the sentence."""

import functools
import logging

from boatyard.errors import BoatyardError

_ENGINE = ("prefect.flow_runs", "prefect.task_runs", "prefect.engine", "prefect.task_engine", "prefect.flow_engine")


class _Plain(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, BoatyardError):
            record.exc_info, record.exc_text = None, None
            record.msg, record.args = str(error), ()
        return True


@functools.cache
def plain_errors() -> None:
    """Install the filter once in this process."""
    for name in _ENGINE:
        logging.getLogger(name).addFilter(_Plain())
