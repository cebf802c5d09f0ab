"""What a worker runs as an upgrade's hook: one that does as it is told, in a process of its own."""

import threading
from pathlib import Path

from prefect import flow

from boatyard.clock import SystemClock


@flow(name="errand")
def errand(folder: str, of: str, failing: bool = False, waits: bool = False) -> None:
    """Notes that it has begun; where it waits, it does so until there is a file `go`."""
    with (Path(folder) / "began").open("a") as file:
        file.write(f"{of}\n")
    clock, never = SystemClock(), threading.Event()
    end = clock.monotonic() + 120
    while waits and not (Path(folder) / "go").exists() and clock.monotonic() < end:
        clock.wait(never, 0.05)
    if failing:
        raise ValueError("the shop is closed")
