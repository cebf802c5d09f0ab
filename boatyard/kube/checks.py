"""Validate: is this cluster as its spec says, and does it stay so for some rounds in a row?

A healthy cluster takes about a second: rounds follow each other closely while all is well, and the canary flies
meanwhile. After a round that does not pass, the next comes as soon as a watch shows a change in a node or a system pod.
"""

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

from boatyard.clock import Clock, Deadline
from boatyard.errors import BoatyardError, DeadlineExceeded, Permanent
from boatyard.kube import canary
from boatyard.kube.client import Client
from boatyard.kube.follow import Follower
from boatyard.kube.health import Check, PoolOf, State, judge, pool_by_label
from boatyard.kube.reading import NODES, SYSTEM_PODS, read
from boatyard.spec.models import Cluster

__all__ = ["Check", "State", "ValidationResult", "validate"]

_LOOK_AGAIN = 2.0
"""Seconds until the next round when nothing that can be watched has changed: `/readyz` and DNS cannot."""
_CANARY_TIME = 60.0

Report = Callable[[str], None]


@dataclass(frozen=True)
class ValidationResult:
    """The last round's checks and the canary's. ok: they passed as many rounds in a row as were asked for."""

    cluster: str
    ok: bool
    rounds: int
    """Rounds in a row that passed at the end."""
    seconds: float
    checks: tuple[Check, ...]

    @property
    def problems(self) -> tuple[Check, ...]:
        """The checks that did not pass."""
        return tuple(check for check in self.checks if not check.passes)

    @property
    def summary(self) -> tuple[Check, ...]:
        """The checks with the API server's own, where all of them are ok, folded into one."""
        own = [check for check in self.checks if check.name.startswith("readyz/")]
        if not own or not all(check.passes for check in own):
            return self.checks
        rest = [check for check in self.checks if check not in own]
        return (Check("readyz", State.OK, f"{len(own)} checks of the API server pass"), *rest)

    def require(self) -> "ValidationResult":
        """This result if it is ok. `Permanent` names what fails, `DeadlineExceeded` what was still awaited."""
        if self.ok:
            return self
        text = "; ".join(f"{check.name}: {check.message}" for check in self.problems) or "it was not stable"
        failed = any(check.status is State.FAIL for check in self.problems)
        kind = Permanent if failed else DeadlineExceeded
        raise kind(f"cluster {self.cluster} is not valid after {self.seconds:.0f} s: {text.rstrip('.')}.")


def validate(
    client: Client,
    cluster: Cluster,
    *,
    deadline: Deadline,
    clock: Clock,
    expected_version: str | None = None,
    rounds: int = 3,
    interval: float = 0.3,
    patience: float = 60.0,
    send_canary: bool = True,
    report: Report = lambda line: None,
    fence: Callable[[], None] = lambda: None,
    pool_of: PoolOf = pool_by_label,
    also: Callable[[], list[Check]] = list,
) -> ValidationResult:
    """Check until `rounds` in a row have passed, or the deadline is over. Does not raise for what the cluster is like.

    interval: seconds between rounds that pass. patience: seconds after which failures are taken as final if they stay
    the same and nothing else is still on its way (`waiting` always has until the deadline). fence: called before the
    canary, the only thing that is written; what it raises is raised. also: more checks, made anew in each round.
    """

    def look() -> list[Check]:
        seen = read(client, timeout=max(1.0, min(10.0, deadline.left)))
        return [*judge(seen, cluster, clock.now(), expected_version=expected_version, pool_of=pool_of), *also()]

    return _Validation(client, cluster, deadline, clock, report).run(
        look,
        rounds=rounds,
        interval=interval,
        patience=patience,
        fence=fence if send_canary else None,
    )


class _Validation:
    def __init__(self, client: Client, cluster: Cluster, deadline: Deadline, clock: Clock, report: Report) -> None:
        self._client, self._cluster, self._deadline, self._clock = client, cluster, deadline, clock
        self._report = report
        self._changed = threading.Event()
        self._following = False
        self._told: tuple[str, ...] = ()
        self._begun = clock.monotonic()

    def run(
        self,
        look: Callable[[], list[Check]],
        *,
        rounds: int,
        interval: float,
        patience: float,
        fence: Callable[[], None] | None,
    ) -> ValidationResult:
        streak, since, before = 0, self._begun, None
        flight: Future[Check] | None = None
        with ExitStack() as stack, ThreadPoolExecutor(1, "canary") as pool:
            stack.enter_context(self._deadline.stopped.calling(self._changed.set))
            while True:
                checks = look()
                passed = all(check.passes for check in checks)
                streak = streak + 1 if passed else 0
                self._tell(checks)
                if passed and flight is None and fence is not None:
                    flight = pool.submit(self._fly, fence)
                if streak >= rounds:
                    return self._result(True, streak, [*checks, *self._landed(flight)])
                failures = {check for check in checks if not check.passes}
                if failures != before:
                    since, before = self._clock.monotonic(), failures
                hopeless = failures and all(check.status is State.FAIL for check in failures)
                if self._deadline.passed or (hopeless and self._clock.monotonic() - since >= patience):
                    return self._result(False, streak, [*checks, *self._landed(flight)])
                if not passed:
                    self._follow(stack)
                self._pause(interval if passed else _LOOK_AGAIN, wakeful=not passed)

    def _fly(self, fence: Callable[[], None]) -> Check:
        return canary.fly(
            self._client, deadline=self._deadline.sooner(_CANARY_TIME, "the canary"), clock=self._clock, fence=fence
        )

    def _landed(self, flight: Future[Check] | None) -> list[Check]:
        return [flight.result()] if flight else []

    def _result(self, ok: bool, streak: int, checks: Sequence[Check]) -> ValidationResult:
        seconds = self._clock.monotonic() - self._begun
        passed = ok and all(check.passes for check in checks)
        return ValidationResult(self._cluster.name, passed, streak, seconds, tuple(checks))

    def _tell(self, checks: Sequence[Check]) -> None:
        """What does not pass, when that is news."""
        lines = tuple(f"{check.name}: {check.status}: {check.message}" for check in checks if not check.passes)
        if lines != self._told:
            self._told = lines
            for line in lines:
                self._report(line)

    def _follow(self, stack: ExitStack) -> None:
        """Watch nodes and system pods from the first round that did not pass."""
        if self._following:
            return
        self._following = True
        for path in (NODES, SYSTEM_PODS):
            stack.enter_context(Follower(self._client, path, lambda _: self._changed.set(), self._lost))

    def _lost(self, error: BaseException) -> None:
        """A watch that ended is no loss: rounds still come by time."""
        if not isinstance(error, BoatyardError):
            self._report(f"watch ended: {error}")

    def _pause(self, seconds: float, *, wakeful: bool) -> None:
        waited = self._changed if wakeful else self._deadline.stopped
        self._clock.wait(waited, min(seconds, self._deadline.left))
        self._deadline.stopped.check(self._deadline.what)
        self._changed.clear()
