"""Progress of a flow: live on a terminal, one line an event elsewhere."""

import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from boatyard.cli.failure import clean
from boatyard.cli.output import Out, colourful, columns

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live

INDENT = 9


@dataclass
class Step:
    """One task that runs or ran; times on the monotonic clock."""

    key: str
    name: str
    began: float
    ended: float | None = None
    well: bool = True
    last: str = ""

    @property
    def seconds(self) -> float:
        return (self.ended or time.monotonic()) - self.began

    def document(self) -> dict[str, Any]:
        """The step for programs."""
        outcome = "running" if self.ended is None else "done" if self.well else "failed"
        return {"step": self.name, "seconds": round(self.seconds, 3), "outcome": outcome}


class Progress:
    """Plain lines: `  12.3s  create pool web: 3 of 5 nodes Ready`. Called from many threads."""

    def __init__(self, out: Out, *, stages: bool = False) -> None:
        self._out, self._tell_stages = out, stages
        self._began = time.monotonic()
        self._lock = threading.RLock()
        self._steps: dict[str, Step] = {}
        self._stages: dict[str, Step] = {}

    @property
    def steps(self) -> list[Step]:
        with self._lock:
            return list(self._steps.values())

    @property
    def stages(self) -> list[Step]:
        """The subflows of the flow that runs, those of subflows left out, in the order they began."""
        with self._lock:
            return list(self._stages.values())

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While a person is asked something."""
        yield

    def note(self, text: str) -> None:
        """A line that belongs to no step."""
        self._print(text)

    def started(self, key: str, name: str) -> None:
        """A step runs; again, when it is tried again."""
        with self._lock:
            if key not in self._steps:
                self._steps[key] = Step(key, name, time.monotonic())

    def line(self, key: str | None, name: str | None, text: str) -> None:
        """Something a step, or with no key the flow itself, has to say."""
        with self._lock:
            if key in self._steps and name:
                self._steps[key].last = text.removeprefix(f"{name}: ")
        self._print(text)

    def ended(self, key: str, name: str, *, well: bool) -> None:
        """A step ended."""
        with self._lock:
            step = self._steps.setdefault(key, Step(key, name, time.monotonic()))
            step.ended, step.well = time.monotonic(), well
        if not well:
            self._print(f"{name}: failed after {step.seconds:.1f}s")

    def stage_started(self, key: str, name: str) -> None:
        """A subflow runs."""
        with self._lock:
            if not any(stage.ended is None for stage in self._stages.values()):
                self._stages[key] = Step(key, name, time.monotonic())
                if self._tell_stages:
                    self._print(self._out.paint(f"── {name}", "bold"))

    def stage_ended(self, key: str, name: str, *, well: bool) -> None:
        """A subflow ended."""
        with self._lock:
            stage = self._stages.get(key)
            if stage is not None:
                stage.ended, stage.well = time.monotonic(), well
                if self._tell_stages:
                    told, colour = ("done", "green") if well else ("failed", "red")
                    self._print(self._out.paint(f"── {name}: {told} in {stage.seconds:.1f} s", colour))

    def _print(self, text: str) -> None:
        stamp = f"{time.monotonic() - self._began:6.1f}s  "
        with self._lock:
            for line in clean(text).splitlines():
                body = line.lstrip()
                deeper = " " * (INDENT + len(line) - len(body))
                first = stamp + line[: len(line) - len(body)]
                wrapper = textwrap.TextWrapper(columns(), first, deeper + "  ", break_on_hyphens=False)
                wrapper.break_long_words = False  # a path or an address is there to be copied
                for part in wrapper.wrap(body):
                    self._out.line(part)
                stamp = " " * INDENT
            self._out.stream.flush()


class LiveProgress(Progress):
    """On a terminal: the running steps with their time and last line, what ended above them."""

    def __init__(self, out: Out, live: "Live", *, stages: bool = False) -> None:
        super().__init__(out, stages=stages)
        self._live = live

    @contextmanager
    def paused(self) -> Iterator[None]:
        self._live.stop()
        try:
            yield
        finally:
            self._live.start(refresh=True)

    def __rich__(self) -> "RenderableType":
        from rich.table import Table
        from rich.text import Text

        rows = Table.grid(padding=(0, 1), expand=True)
        rows.add_column(width=1)
        rows.add_column(width=5, no_wrap=True, justify="right")
        rows.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
        for step in self.steps:
            if step.ended is None:
                told = f"{step.name}: {step.last}" if step.last else step.name
                rows.add_row(Text("▸", "cyan"), Text(f"{step.seconds:.0f}s", "dim"), Text(clean(told)))
        return rows

    def line(self, key: str | None, name: str | None, text: str) -> None:
        with self._lock:
            if key in self._steps and name:
                self._steps[key].last = text.removeprefix(f"{name}: ").splitlines()[0]
                return
        self._print(text)

    def ended(self, key: str, name: str, *, well: bool) -> None:
        with self._lock:
            step = self._steps.setdefault(key, Step(key, name, time.monotonic()))
            step.ended, step.well = time.monotonic(), well
        sign = self._out.paint("✓", "green") if well else self._out.paint("✗", "red")
        self._above(f"{sign} {clean(name)}  {self._out.paint(f'{step.seconds:.1f}s', 'dim')}")

    def _print(self, text: str) -> None:
        for line in clean(text).splitlines():
            self._above(line)

    def _above(self, line: str) -> None:
        from rich.text import Text

        self._live.console.print(Text.from_ansi(line))


@contextmanager
def progress(out: Out, *, stages: bool = False) -> Iterator[Progress]:
    """The fitting kind for where the output goes."""
    if out.json or not colourful(out.stream):
        yield Progress(out, stages=stages)
        return
    from rich.console import Console
    from rich.live import Live

    console = Console(file=out.stream, highlight=False, markup=False)
    with Live(
        console=console, refresh_per_second=8, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        shown = LiveProgress(out, live, stages=stages)
        live.update(shown)
        yield shown
