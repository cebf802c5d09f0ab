"""One budget for all processes of a machine."""

import multiprocessing
import threading
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatyard.aws.budget import GLOBAL, MODEST, Bucket, Rate, rate_of
from boatyard.clock import Deadline, ManualClock, SystemClock
from boatyard.errors import DeadlineExceeded, Fenced

pytestmark = pytest.mark.account

PER_PROCESS = 25


@dataclass
class StoppedClock:
    """Time stands still, so that only the queue decides how long each one waits."""

    at: float = 1000.0
    waited: list[float] = field(default_factory=list)

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic(self) -> float:
        return self.at

    def wait(self, event: threading.Event, seconds: float) -> bool:
        self.waited.append(seconds)
        return False


def _take(path: Path, rate: Rate, times: int) -> list[float]:
    """How long each of `times` requests had to wait, in the order of asking."""
    clock = StoppedClock()
    bucket, deadline = Bucket(path, rate), Deadline.after(3600, "The flow", clock)
    waits = []
    for _ in range(times):
        clock.waited.clear()
        bucket.take(deadline, "route53:ListHostedZones")
        waits.append(clock.waited[0] if clock.waited else 0.0)
    return waits


def test_a_full_bucket_serves_its_burst_at_once_and_the_rest_at_the_rate(tmp_path: Path) -> None:
    assert _take(tmp_path / "b", Rate(5, 3), 6) == pytest.approx([0, 0, 0, 0.2, 0.4, 0.6])


def test_several_processes_share_one_bucket(tmp_path: Path) -> None:
    """Whatever the order, the places in the queue are given out once each: nothing lost, nothing twice."""
    path, rate, processes = tmp_path / "folder" / "bucket", Rate(5, 1), 4
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        waits = pool.starmap(_take, [(path, rate, PER_PROCESS)] * processes, chunksize=1)
    every = sorted(wait for one in waits for wait in one)
    assert every == pytest.approx([place / 5 for place in range(processes * PER_PROCESS)])


def test_threads_share_one_bucket(tmp_path: Path) -> None:
    waits: list[float] = []
    threads = [threading.Thread(target=lambda: waits.extend(_take(tmp_path / "b", Rate(5, 1), 20))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(waits) == pytest.approx([place / 5 for place in range(80)])


def test_a_place_after_the_deadline_is_not_taken(tmp_path: Path, clock: ManualClock) -> None:
    bucket = Bucket(tmp_path / "b", Rate(1, 1))
    bucket.take(Deadline.after(1, "The first", clock), "a")
    for _ in range(3):
        with pytest.raises(DeadlineExceeded, match=r"The second did not end in time: x has to wait 1\.0 s"):
            bucket.take(Deadline.after(0.5, "The second", clock), "x")
    patient = Deadline.after(2, "The third", clock)
    before = clock.monotonic()
    bucket.take(patient, "b")
    assert clock.monotonic() - before == pytest.approx(1)


def test_a_throttle_makes_everyone_slower(tmp_path: Path) -> None:
    clock, path, rate = StoppedClock(), tmp_path / "b", Rate(5, 5)
    Bucket(path, rate).slow_down(Deadline.after(60, "One", clock), attempt=1)
    assert _take(path, rate, 2) == pytest.approx([0.5, 0.7])


def test_a_bucket_from_before_the_machine_started_is_full(tmp_path: Path) -> None:
    late = StoppedClock(at=1_000_000.0)
    deadline = Deadline.after(3600, "The flow", late)
    for _ in range(50):
        Bucket(tmp_path / "b", Rate(5, 1)).take(deadline, "x")
    assert _take(tmp_path / "b", Rate(5, 1), 1) == [0.0]


def test_a_damaged_file_is_an_empty_one(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"abc")
    assert _take(tmp_path / "b", Rate(5, 1), 1) == [0.0]


def test_route_53_is_asked_five_times_a_second_for_all_regions_together() -> None:
    assert rate_of("route53") == Rate(5, 5)
    assert "route53" in GLOBAL
    assert rate_of("something new") == MODEST


def test_nobody_waits_for_a_turn_when_the_operation_is_stopped(tmp_path: Path) -> None:
    bucket, deadline = Bucket(tmp_path / "b", Rate(0.01, 1)), Deadline.after(3600, "The flow", SystemClock())
    bucket.take(deadline, "route53:ListHostedZones")
    threading.Timer(0.1, deadline.stopped.set, ("the lease was lost",)).start()
    with pytest.raises(Fenced, match="The flow was broken off: the lease was lost"):
        bucket.take(deadline, "route53:ListHostedZones")
