"""What a flow in this process says, told to our own progress instead of Prefect's console.

Steps are Prefect's tasks and stages its subflows, by hooks on every task and flow; lines are what our own code logs.
"""

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import prefect
from prefect import Flow, Task
from prefect.logging.handlers import PrefectConsoleHandler

from boatyard.cli.progress import Progress

_PREFECT = str(Path(prefect.__file__).parent)
_RUNS = ("prefect.flow_runs", "prefect.task_runs")
_DULL = ("install_tools",)
"""Functions whose lines are for the UI: nobody at a terminal reads the paths of tools."""


class Hearing:
    """Passes on what is heard. `run_id`: of the first flow that ran."""

    def __init__(self, progress: Progress, hide: tuple[str, ...]) -> None:
        self.progress, self.hide = progress, hide
        self.run_id: str | None = None

    def task(self, task: Any, run: Any, state: Any) -> None:
        if state.is_running():
            self.progress.started(str(run.id), run.name)
        else:
            self.progress.ended(str(run.id), run.name, well=state.is_completed())

    def flow(self, flow: Any, run: Any, state: Any) -> None:
        if self.run_id is None:
            self.run_id = str(run.id)
        elif state.is_running():
            self.progress.stage_started(str(run.id), run.name)
        elif str(run.id) != self.run_id:
            self.progress.stage_ended(str(run.id), run.name, well=state.is_completed())

    def record(self, record: logging.LogRecord) -> None:
        if not record.name.startswith(_RUNS) or record.pathname.startswith(_PREFECT) or record.funcName in _DULL:
            return
        text = record.getMessage()
        if text not in self.hide:
            self.progress.line(getattr(record, "task_run_id", None), getattr(record, "task_run_name", None), text)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """A terminal or pipe that is gone stops no step: what speaks here is often in the middle of a change."""
        if _hearing is not None:
            with suppress(OSError, ValueError):
                _hearing.record(record)


_hearing: Hearing | None = None
_hooked: set[int] = set()


def _task_hook(task: Any, run: Any, state: Any) -> None:
    if _hearing is not None:
        _hearing.task(task, run, state)


def _flow_hook(flow: Any, run: Any, state: Any) -> None:
    if _hearing is not None:
        _hearing.flow(flow, run, state)


@contextmanager
def heard(progress: Progress, hide: tuple[str, ...] = ()) -> Iterator[Hearing]:
    """While inside, everything that the flows of this process say goes to `progress`."""
    global _hearing
    _quiet()
    _hook()
    _hearing = Hearing(progress, hide)
    try:
        yield _hearing
    finally:
        _hearing = None


def _quiet() -> None:
    """Ours instead of Prefect's console handlers, wherever they hang."""
    names = [name for name in logging.root.manager.loggerDict if name.startswith("prefect")]
    for logger in (logging.root, *map(logging.getLogger, names)):
        for handler in list(logger.handlers):
            if isinstance(handler, PrefectConsoleHandler):
                logger.removeHandler(handler)
    top = logging.getLogger("prefect")
    if not any(isinstance(handler, _Handler) for handler in top.handlers):
        top.addHandler(_Handler())


def _hook() -> None:
    """Hooks on every task and flow of ours that is imported by now; each object once."""
    modules = [module for name, module in list(sys.modules.items()) if name.split(".")[0] in ("flows", "tasks")]
    for value in [value for module in modules for value in vars(module).values()]:
        if id(value) in _hooked or not isinstance(value, Task | Flow):
            continue
        _hooked.add(id(value))
        if isinstance(value, Task):
            for hooks in (value.on_running_hooks, value.on_completion_hooks, value.on_failure_hooks):
                hooks.append(_task_hook)
        else:
            flow: Any = value
            for hooks in (
                flow.on_running_hooks,
                flow.on_completion_hooks,
                flow.on_failure_hooks,
                flow.on_crashed_hooks,
            ):
                hooks.append(_flow_hook)
