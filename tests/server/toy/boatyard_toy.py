"""Flows that stand in for the real ones where only the running of Prefect is tested."""

import os
import time
from datetime import datetime
from pathlib import Path

from prefect import flow, task

from boatyard.clock import SystemClock
from tasks.approval import Approved, request_approval

OUT = Path(os.environ.get("BOATYARD_TOY_OUT", "."))


def _note(name: str, line: object) -> None:
    with (OUT / name).open("a") as file:
        file.write(f"{line}\n")


@task
def step(number: int) -> int:
    return number


@flow(name="open-cluster")
def open_cluster(
    repository: str, number: int, occurred: datetime | None = None, template: str = "pull-request"
) -> None:
    _note(f"open-{number}", repr((repository, number, occurred and occurred.isoformat(), template)))


@flow(name="close-cluster")
def close_cluster(repository: str, number: int, occurred: datetime | None = None) -> None:
    _note(f"close-{number}", repr((repository, number, occurred and occurred.isoformat())))


@flow(name="gate")
def gate(name: str) -> int:
    """Says its pid, then waits until the test lets it go."""
    step(1)
    _note(f"gate-{name}", os.getpid())
    end = SystemClock().monotonic() + 600
    while not (OUT / f"go-{name}").exists() and SystemClock().monotonic() < end:
        time.sleep(0.05)
    _note(f"gate-{name}", "done")
    return step(2)


@flow(name="clean")
def clean(name: str = "clean") -> None:
    """What a schedule starts."""
    _note(f"scheduled-{name}", "ran")


@flow(name="approve")
def approve(name: str, timeout: float = 60) -> str:
    _note(f"approve-{name}", os.getpid())
    answer = request_approval("## Plan\n* replace 3 nodes", key=f"plan-{name}", timeout=timeout)
    said = f"{'yes' if isinstance(answer, Approved) else 'no'}: {answer.note}"
    _note(f"approve-{name}", said)
    return said
