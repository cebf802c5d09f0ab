"""One operation on one cluster: its lease, its journal, its driver. What flows and tasks hold while they work."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.clock import Clock, Deadline, Stop, SystemClock
from boatyard.drivers.base import Driver, Env, Foresighted, MadeByProgram, Report, Upgradable
from boatyard.drivers.execute import carry_out, supported, time_limit
from boatyard.drivers.registry import driver_class, driver_for
from boatyard.drivers.stopping import to_its_end
from boatyard.drivers.upgrading import Halted, not_whole, roll_back, validate
from boatyard.errors import BoatyardError, Fenced, NotFound, Temporary, Unsafe
from boatyard.plan.model import Observed, Phase, Plan, Step, Verb
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Lease
from boatyard.tools import Toolbox
from boatyard.versions import route
from boatyard.versions.skew import Tool

if TYPE_CHECKING:
    from boatyard.store import Store  # half a second of SQLAlchemy, which read-only verbs do without

BEGIN, END = "begin upgrade", "end upgrade"
"""The journal's words for an upgrade as a whole; in between, what follows its last change is owed."""
_NOT_WHOLE = "; not whole before it: "
JOURNAL = 500
"""Entries of the journal that are looked through."""
READ_LIMIT = 60.0
"""Seconds that looking at a cluster may take."""
FORESEE_LIMIT = 1800.0
"""Seconds that the provider may take to say what the steps of a plan would touch."""


Deed = Callable[[Step, Driver, Cluster, Env], None]
"""How a step is done."""


def silent(line: str) -> None:
    """A report that nobody listens to."""


@dataclass(frozen=True)
class Yard:
    """What every operation in this process shares.

    clock: the time that schedules, leases and the journal live by. machine: the time that drivers live by; the clusters
    they talk to, and the certificates these accept, know no other, whatever a test makes of `clock`.
    """

    settings: Settings
    store: "Store"
    toolbox: Toolbox
    clock: Clock
    machine: Clock = field(default_factory=SystemClock)

    def env(
        self,
        limit: float,
        what: str,
        *,
        report: Report = silent,
        fence: Callable[[], None] = lambda: None,
        stopped: Stop | None = None,
        **more: Any,
    ) -> Env:
        return Env(
            home=self.settings.home,
            clock=self.machine,
            deadline=Deadline.after(limit, what, self.machine, stopped),
            tool=self.toolbox.path,
            report=report,
            fence=fence,
            **more,
        )

    def look(self, driver: Driver, name: str) -> Observed:
        """What is there now, and whether an upgrade of it was begun that has not come to its end."""
        observed = driver.observe()
        entries = self.store.journal.list(name, limit=JOURNAL)
        marks = [entry.verb for entry in entries if entry.verb in (BEGIN, END, Verb.CREATE, Verb.DELETE)]
        return observed.model_copy(update={"upgrading": marks[-1:] == [BEGIN]})

    def reader(self, cluster: Cluster, limit: float = READ_LIMIT) -> Driver:
        """A driver to look with; it holds no lease, so it must not change anything. limit: seconds that it may take."""
        return driver_for(cluster, self.env(limit, f"reading {cluster.name}"))

    def registered(self, name: str) -> Cluster:
        """The desired state of a cluster that Boatyard knows; `NotFound` says which ones there are."""
        record = self.store.clusters.get(name)
        if record is None or record.state == "deleted":
            known = ", ".join(each.name for each in self.store.clusters.list()) or "none"
            raise NotFound(f"no cluster named {name} is known; there are: {known}.")
        return Cluster.model_validate(record.desired)


def app_digests(cluster: Cluster, base: Path) -> dict[str, str]:
    """App name → digest of its source as it is on disk now. base: where relative paths start."""
    if not cluster.apps:
        return {}
    from boatyard.kube.render import digest

    return {app.name: digest(app, base) for app in cluster.apps}


def plan_for(driver: Driver, cluster: Cluster, observed: Observed, base: Path) -> Plan:
    """The driver's plan, checked against what the driver can do. base: where relative paths of apps start."""
    plan = driver.plan(observed, app_digests(cluster, base))
    supported(plan, driver)
    return plan


def foresee(yard: Yard, cluster: Cluster, plan: Plan) -> Plan:
    """The plan with what its steps touch at the provider, where the driver can ask it."""
    driver = driver_for(cluster, yard.env(FORESEE_LIMIT, f"asking what the plan for {cluster.name} touches"))
    return driver.foresee(plan) if plan and isinstance(driver, Foresighted) else plan


def wanting_version(cluster: Cluster, driver: Driver, observed: Observed, to: str) -> Cluster:
    """The cluster, wanting Kubernetes `to`. `Unsafe` for a way down, `Permanent` for what cannot be reached."""
    offers = driver.offers() if isinstance(driver, Upgradable) else ()
    route(
        observed.version,
        to,
        offered=[offer.version for offer in offers],
        kubelets=_not_coming_along(cluster, observed),
        tool=_program(driver),
        kind=driver.kind,
    )
    return cluster.at_version(to)


def _not_coming_along(cluster: Cluster, observed: Observed) -> dict[str, str]:
    """Node → kubelet of pools that the spec does not have: an upgrade leaves them as they are."""
    strangers = [pool for pool in observed.pools.values() if cluster.pool(pool.name) is None]
    return {node: version for pool in strangers for node, version in pool.versions.items()}


def _program(driver: Driver) -> Tool | None:
    """What makes the driver's clusters here; None where nothing does, or it cannot be asked: a step will say so."""
    try:
        return driver.program() if isinstance(driver, MadeByProgram) else None
    except (BoatyardError, OSError):
        return None


@dataclass
class Operation:
    """A cluster under lease. Every change goes through `carry_out`, is fenced and journalled."""

    yard: Yard
    cluster: Cluster
    name: str
    who: str
    run_id: str
    lease: Lease
    report: Report = field(default=silent)
    stopped: Stop = field(default_factory=Stop)
    """Set when the operation ends, in whatever way, or has lost its lease."""
    foreseen: frozenset[str] | None = None
    """What the plan that is carried out may touch at the provider (`Plan.foreseen`); None where it was not asked."""
    _done: dict[str, str] = field(default_factory=dict)
    _earlier: list[Cluster] = field(default_factory=list)
    _under_way: int = 0
    _ended: threading.Condition = field(default_factory=threading.Condition)

    def fence(self) -> None:
        """Raise `Fenced` when the lease was lost, or when the operation ends and a step of it still runs."""
        try:
            self.yard.store.leases.check(self.lease)
        except Fenced as error:
            self.stopped.set(error.message.rstrip("."))
            raise
        if self.stopped.is_set():
            what = f"{self.name} of cluster {self.cluster.name}"
            raise Fenced(
                f"{what} was stopped, so nothing more is changed: {self.stopped.why}.",
                hint="Start it again to go on from what is there.",
            )

    def end(self, why: str = "") -> None:
        """No further change, and no step under way when this returns: only then may somebody else have the lease.

        A flow that is stopped leaves its steps to their threads, and what one has asked for goes on to its end.
        """
        self.stopped.set(why or "it has ended")
        with self._ended:
            self._ended.wait_for(lambda: not self._under_way)

    @contextmanager
    def _working(self) -> Iterator[None]:
        with self._ended:
            self._under_way += 1
        try:
            yield
        finally:
            with self._ended:
                self._under_way -= 1
                self._ended.notify_all()

    def env(self, limit: timedelta, what: str, report: Report | None = None) -> Env:
        return self.yard.env(
            limit.total_seconds(),
            what,
            report=report or self.report,
            fence=self.fence,
            note=self.note,
            stopped=self.stopped,
            done=self._done,
        )

    def driver(self, limit: timedelta = timedelta(seconds=READ_LIMIT), what: str = "") -> Driver:
        return driver_for(self.cluster, self.env(limit, what or f"{self.name} {self.cluster.name}"))

    @property
    def expected(self) -> Mapping[Verb, timedelta]:
        """How long each verb usually takes with this driver."""
        return driver_class(self.cluster.provider.kind).expected

    def observe(self) -> Observed:
        """Look at the cluster and remember what was seen."""
        observed = self.yard.look(self.driver(), self.cluster.name)
        self.stopped.check(f"looking at {self.cluster.name}")  # cut short, it saw nothing worth remembering
        self.yard.store.clusters.set_observed(
            self.cluster.name, observed.model_dump(mode="json"), fence=self.lease.number
        )
        return observed

    def refuse_asleep(self, instead: str = "") -> None:
        """`Unsafe` when the cluster is hibernated: no machine starts to cost money by the way. instead: another way."""
        if self.observe().phase is Phase.HIBERNATED:
            name = self.cluster.name
            raise Unsafe(
                f"cluster {name} is hibernated, so nothing was done; wake it first: boatyard wake {name}{instead}."
            )

    def plan(self) -> Plan:
        """From what is there now to the spec."""
        return plan_for(self.driver(), self.cluster, self.observe(), self.yard.settings.home)

    def foresee(self, plan: Plan) -> Plan:
        """The plan with what its steps touch at the provider, where the driver can ask it."""
        return foresee(self.yard, self.cluster, plan)

    def plan_at(self, version: str, observed: Observed) -> Plan:
        """What an upgrade to `version` would take; changes nothing, remembers nothing."""
        wanted = self.cluster.at_version(version)
        return plan_for(
            driver_for(wanted, self.env(timedelta(seconds=READ_LIMIT), "planning")),
            wanted,
            observed,
            self.yard.settings.home,
        )

    def at_version(self, to: str) -> Cluster:
        """The cluster, wanting Kubernetes `to`; see `wanting_version`."""
        observed = self.observe()
        return wanting_version(self.cluster, self.driver(), observed, to)

    def change_desired(self, cluster: Cluster) -> None:
        """From now on `cluster` is what should be. `Unsafe` when it would move a cluster to another provider."""
        clusters = self.yard.store.clusters
        known = clusters.get(cluster.name)
        if known is not None and known.state != "deleted":
            kind = known.desired.get("provider", {}).get("kind")
            if kind != cluster.provider.kind:
                raise Unsafe(
                    f"cluster {cluster.name} is a {kind} cluster and cannot become a {cluster.provider.kind} one.",
                    hint="Delete it first, or give the new one another name.",
                )
        clusters.put(
            cluster.model_dump(mode="json"),
            source=known.source if known else None,
            base=known.base if known else None,
            fence=self.lease.number,
        )
        self.cluster = cluster

    @contextmanager
    def wanting(self, cluster: Cluster) -> Iterator[None]:
        """Want `cluster` from now on; where the block is refused (`Unsafe`), what was wanted before stays wanted."""
        known = self.yard.store.clusters.get(cluster.name)
        before = None if known is None or known.state == "deleted" else Cluster.model_validate(known.desired)
        self.change_desired(cluster)
        self._earlier += [before or cluster]
        try:
            yield
        except Unsafe:
            if before is not None:
                self.change_desired(before)
            elif self.observe().phase is Phase.ABSENT:
                self.yard.store.clusters.forget(cluster.name, fence=self.lease.number)
            raise
        finally:
            self._earlier.pop()

    @contextmanager
    def undecided(self) -> Iterator[None]:
        """While somebody is asked, the store holds what was wanted before; once there is an answer, what is wanted now.

        The question may end this process and be answered days later: until then nobody else may take it for granted.
        """
        wanted = self.cluster
        if self._earlier:
            self.change_desired(self._earlier[-1])
            self.cluster = wanted
        yield
        self.change_desired(wanted)

    def asked_for(self, evidence: str) -> None:
        """Somebody wants this cluster: counts as use now, and clean-up starts from the beginning."""
        self.yard.store.activity.woken(self.cluster.name, evidence, fence=self.lease.number)

    def begin_upgrade(self) -> None:
        """From now on all that belongs to an upgrade is owed, until its last step was carried out.

        What was not whole before is written down, so that it is not taken for its doing, also by a run that goes on.
        """
        driver = self.driver()
        if not self.yard.look(driver, self.cluster.name).upgrading:
            broken = ", ".join(not_whole(driver))
            told = f"{_NOT_WHOLE}{broken}" if broken else ""
            self.note(BEGIN, self.cluster.name, f"to {self.cluster.kubernetes.version}{told}")

    def _not_whole_before(self) -> frozenset[str]:
        entries = self.yard.store.journal.list(self.cluster.name, limit=JOURNAL)
        begun = [entry.reason for entry in entries if entry.verb == BEGIN]
        return frozenset(begun[-1].partition(_NOT_WHOLE)[2].split(", ")) if begun else frozenset()

    def note(self, verb: str, target: str, reason: str) -> None:
        """A line of its own in the journal."""
        self.yard.store.journal.end(self._begin(verb, target, reason), "done")

    def _begin(self, verb: str, target: str, reason: str) -> int:
        return self.yard.store.journal.begin(
            self.cluster.name,
            operation=self.name,
            run_id=self.run_id,
            verb=verb,
            target=target,
            reason=reason,
            who=self.who,
            fence=self.lease.number,
        )

    def carry_out(self, step: Step, report: Report | None = None, do: Deed = carry_out) -> None:
        """Do one step, with its deadline, between two lines in the journal. do: by whom, where it is not the driver.

        Where a failed validation calls for it, and its plan has said so, the new nodes of a pool go again.
        """
        with self._working():
            self._carry_out(step, report, do)

    def _carry_out(self, step: Step, report: Report | None, do: Deed) -> None:
        if step.verb is Verb.VALIDATE and do is carry_out:
            do = partial(validate, known=self._not_whole_before())
        entry = self._begin(step.verb.value, step.target, step.reason)
        env = self.env(time_limit(step, self.cluster), str(step), report)
        if step.resources is not None:
            env = replace(env, foreseen=self.foreseen)
        try:
            do(step, driver_for(self.cluster, env), self.cluster, env)
        except BoatyardError as error:
            goes_on = step.params.get("on_failure") == "go_on" and not isinstance(error, Fenced)
            evidence = error.evidence if isinstance(error, Halted) else ()
            self._failed(entry, "\n".join([error.message if goes_on else str(error), *evidence]))
            if isinstance(error, Temporary) and self.stopped.is_set():  # nobody is to try it again
                raise Fenced(error.message) from error
            if not goes_on:
                if (undo := roll_back(step)) is not None and isinstance(error, Halted):
                    self._carry_out(undo, report, carry_out)
                    error.message += f" Pool {undo.target} is as it was before."
                raise
            env.report(f"{error.message} Its policy says to go on.")
        else:
            self.yard.store.journal.end(entry, "done", "")
        if step.ends_upgrade:
            self.note(END, self.cluster.name, step.reason)

    def _failed(self, entry: int, why: str) -> None:
        """Why matters more than a store that does not answer now: its entry then tells of a step that was cut off."""
        try:
            self.yard.store.journal.end(entry, "failed", why)
        except BoatyardError as error:
            self.report(f"this could not be written into the journal: {error}")


@contextmanager
def operating(
    yard: Yard, cluster: Cluster, name: str, *, who: str, run_id: str, wait: float = 0.0, report: Report = silent
) -> Iterator[Operation]:
    """Hold the cluster's lease for one operation. `Held` names who has it; `wait`: seconds to wait for them."""
    stopped = Stop()
    with yard.store.leases.hold(cluster.name, who, name, run_id=run_id, wait=wait, lost=stopped.set) as lease:
        held = Operation(yard, cluster, name, who, run_id, lease, report, stopped)
        with to_its_end(held):
            yield held
