"""How many requests AWS may be asked, shared by all processes of this machine.

AWS throttles an account, not a process: each of our flows alone may be modest and all of them together too much. So
every request takes a place in a queue that lives in a file, one file an account, region and service, guarded by flock.
The file holds the time at which the bucket is full again (the generic cell rate algorithm), so that taking a
place is one read and one write, and nobody has to poll for a token.
"""

import fcntl
import os
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from boatyard.clock import Deadline
from boatyard.errors import DeadlineExceeded


@dataclass(frozen=True)
class Rate:
    """A bucket of `burst` requests, refilled by `rate` a second."""

    rate: float
    burst: int


# Those of EC2, ELB and Route 53 were read again on 2026-11-25 in public copies of the pages named.
RATES: Mapping[str, Rate] = {
    # Route 53 developer guide, quotas on API requests: five a second and account, for all of the API together.
    "route53": Rate(5, 5),
    # EC2 developer guide, request throttling: 100 and 20 a second for Describe calls, 50 and 10 for those without a
    # filter, 50 and 5 for calls that change something; one bucket stands for all of them, so the middle is taken.
    "ec2": Rate(10, 50),
    # Elastic Load Balancing user guide, request throttling: 40 and 10 a second for reads.
    "elbv2": Rate(10, 40),
    "elb": Rate(10, 40),
    # Simple Storage Service user guide, performance: 3,500 writes and 5,500 reads a second and prefix; far below that.
    "s3": Rate(100, 200),
    # SQS: no limit but on messages in flight. EventBridge quotas: rules 50 a second in the smaller regions.
    "events": Rate(25, 50),
    "sqs": Rate(50, 100),
}
"""By service, as boto3 names it, with where the number is from."""

MODEST = Rate(10, 20)
"""For services whose limits AWS does not publish (IAM, STS, Auto Scaling, Service Quotas, tagging)."""

GLOBAL = frozenset({"route53", "iam", "route53domains"})
"""Services with one endpoint, whose limit counts for all regions together."""

_STATE = struct.Struct("<dd")
_SLOWEST = 10.0


def rate_of(service: str) -> Rate:
    """The rate of a service."""
    return RATES.get(service, MODEST)


@dataclass
class Bucket:
    """The queue of one account, region and service. Thread-safe, and safe between processes.

    path: its file, made when absent. rate: how fast the queue moves.
    """

    path: Path
    rate: Rate

    def take(self, deadline: Deadline, what: str) -> None:
        """Wait for a place, in the order of asking; `DeadlineExceeded` when it would come too late, and then none is
        taken. what: what asks, for the error."""
        now = deadline.clock.monotonic()
        with _Locked(self.path) as state:
            full = max(state.full(now), now)
            wait = full - now - (self.rate.burst - 1) / self.rate.rate
            if wait <= deadline.left and not deadline.passed:
                state.write(now, full + 1 / self.rate.rate)
                wait = max(0.0, wait)
            else:
                raise DeadlineExceeded(
                    f"{deadline.what} did not end in time: {what} has to wait {max(0.0, wait):.1f} s for its turn in "
                    f"AWS's request limit ({self.rate.rate:g} a second)."
                )
        if wait and deadline.clock.wait(deadline.stopped, wait):
            deadline.check(what)

    def slow_down(self, deadline: Deadline, attempt: int) -> None:
        """AWS throttled us in spite of all: everyone waits, the longer the more often it happened.

        attempt: how often this request was sent, from 1."""
        now = deadline.clock.monotonic()
        pause = min(_SLOWEST, 0.25 * 2.0 ** min(attempt, 8))
        with _Locked(self.path) as state:
            empty = now + (self.rate.burst - 1) / self.rate.rate
            state.write(now, max(state.full(now), empty) + pause)


class _Locked:
    """The bucket's file, held alone. It says when the bucket will be full, and when that was written."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> "_Locked":
        try:
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except FileNotFoundError:
            self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    def full(self, now: float) -> float:
        """When the bucket is full again; 0 when nobody asked yet, or before the machine last started."""
        state = os.pread(self._file, _STATE.size, 0)
        if len(state) != _STATE.size:
            return 0.0
        written, full = _STATE.unpack(state)
        return float(full) if written <= now else 0.0

    def write(self, now: float, full: float) -> None:
        os.pwrite(self._file, _STATE.pack(now, full), 0)
