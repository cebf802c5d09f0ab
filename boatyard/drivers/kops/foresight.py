"""What a plan's steps will touch in the cloud, by kOps' own preview, before anything is recorded or done.

kOps previews what is recorded. So the record is copied to a private folder, each step changes the copy as it would
change the record, and the preview is taken of that: `kops update cluster --state=file://…` without `--yes`. Keys and
files stay where the record's `configBase` says, so that the preview is the same as of the real state store, and kOps
1.36.2 writes nothing meanwhile, neither there nor in the account (observed, request by request).
"""

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from boatyard.drivers.kops import changes, configuration, create, guard, render
from boatyard.drivers.kops.fleet import ScalingGroup
from boatyard.drivers.kops.groups import bounded, bounds_of, pool_document, wanted_bounds
from boatyard.drivers.kops.guard import Scope
from boatyard.drivers.kops.merge import merge
from boatyard.drivers.kops.parse import Preview
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import PLACEHOLDER, Document
from boatyard.drivers.kops.upgrade import target_version
from boatyard.drivers.kops.versioning import full_version
from boatyard.plan.model import Plan, Step, Touched, Verb
from boatyard.spec.models import Pool

_SIDE_BY_SIDE = 4  # previews, which mostly wait for AWS
_POOLS = (Verb.CREATE_POOL, Verb.CONFIGURE_POOL, Verb.UPGRADE_POOL)


@dataclass(frozen=True)
class Turn:
    """What a step has kOps do with the copied record as it is by then. only: instance groups it is applied to."""

    scope: Scope
    only: Sequence[str] = ()


def foresee(reach: Reach, plan: Plan) -> Plan:
    """The plan with what its steps touch. See `boatyard.drivers.base.Foresighted`.

    Not told, since kOps has no preview of it: keys that are exchanged, sleeping and waking (sizes of Auto Scaling
    groups), a creation after a deletion that was cut off.
    """
    reach.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="foresight-", dir=reach.folder, ignore_cleanup_errors=True) as folder:
        ahead = _Ahead(reach, Path(folder))
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as threads:
            asked = [(step, *ahead.asked(step, threads)) for step in plan.steps]
        seen = _Seen()
        steps = [step.model_copy(update={"resources": seen.told(known, answer)}) for step, known, answer in asked]
    return plan.model_copy(update={"steps": tuple(steps)})


Known = tuple[Touched, ...] | None
"""What is known of a step without kOps' preview; None: nothing."""
Answer = tuple[Turn, Future[Preview]] | None
"""kOps' preview of a step, on its way."""


class _Ahead:
    """The record as it will be after each step, in memory and in a folder that kOps takes for its state store."""

    def __init__(self, reach: Reach, folder: Path) -> None:
        self._reach, self._folder = reach, folder
        self._now = folder / "now"
        self._kops = reach.kops.elsewhere(self._now)
        self._copies = 0
        self._whole = False  # a step that applies everything has come by
        self._fleet: Mapping[str, ScalingGroup] = reach.fleet.read()
        self._record = reach.store.read()
        self._now.mkdir()
        for name, content in reach.store.originals().items():
            (self._now / name).parent.mkdir(parents=True, exist_ok=True)
            (self._now / name).write_bytes(content)
        if self._record.cluster is not None and not self._record.cluster["spec"].get("configBase"):
            base = f"{reach.provider.state_store}/{reach.name}"  # as kOps completes it where it is left out
            self._put([merge(self._record.cluster, {"spec": {"configBase": base}})])

    def asked(self, step: Step, threads: ThreadPoolExecutor) -> tuple[Known, Answer]:
        """Take the step, and ask kOps what that means; the copy is its own, so that the next step may be taken."""
        if step.verb is Verb.DELETE_POOL:
            turn = self._keep_a_group(step.target)
            known: Known = self._delete_pool(step.target)
        else:
            taken = self._take(step)
            turn, known = (taken, ()) if isinstance(taken, Turn) else (None, taken)
        if turn is None:
            return known, None
        self._copies += 1
        copy = self._folder / str(self._copies)
        shutil.copytree(self._now, copy)
        only = changes.with_bastions(self._reach, turn.only)
        return known, (turn, threads.submit(self._reach.kops.elsewhere(copy).preview, only))

    def _take(self, step: Step) -> Turn | tuple[()] | None:
        """The step's change of the record, made in the copy. (): kOps has nothing to do for it. None: not known."""
        record, pool = self._record, self._reach.cluster.pool(step.target)
        if step.verb in (Verb.CREATE, Verb.REPAIR):
            return self._create()
        if record.cluster is None:
            return None
        if step.verb is Verb.UPGRADE_CONTROL_PLANE and record.version is not None:
            target = target_version(self._reach, record, record.version, step.params["version"])
            self._put([merge(record.cluster, {"spec": {"kubernetesVersion": target}})])
            self._whole = False
            scope = guard.versions(f"upgrading the control plane to {target}", record.control_plane)
            return Turn(scope, record.control_plane)
        if step.verb is Verb.CONFIGURE:
            self._put(configuration.documents(self._reach, record))
            self._whole = True
            return Turn(guard.settings(f"configuring {self._reach.name}"))
        if step.verb is Verb.SCALE_POOL and step.target in record.groups:
            return self._scale_pool(step.target, int(step.params["count"]))
        return self._pool(step, pool) if step.verb in _POOLS and pool is not None else None

    def _create(self) -> Turn | None:
        reach, record = self._reach, self._record
        if record.deleting or any(group.remembered is not None for group in self._fleet.values()):
            return None
        scope = guard.whole(f"creating {reach.name}")
        self._whole = True
        if record.applied and self._fleet:
            return Turn(scope, record.control_plane if set(record.groups) <= set(self._fleet) else ())
        version = full_version(reach, reach.cluster.kubernetes.version)
        wanted = create.documents(reach.cluster, version)
        if record.cluster is not None:
            for name in render.differences(wanted, record.documents).extra:
                self._drop(name)
            wanted = create.taken_up(record, wanted, version)
        if reach.provider.ssh_key is not None:  # nor is the key put into the real store: there are no others yet
            keys = {"keyStore": (self._now / "pki").as_uri()}
            wanted = [merge(each, {"spec": keys}) if each["kind"] == "Cluster" else each for each in wanted]
        self._put(wanted)
        if reach.provider.ssh_key is not None:
            self._kops.add_ssh_key(Path(reach.provider.ssh_key).expanduser())
        return Turn(scope)

    def _scale_pool(self, name: str, count: int) -> Turn | tuple[()]:
        bounds, group = wanted_bounds(self._reach, self._record, name, count), self._fleet.get(name)
        document = self._record.groups[name]
        if bounds_of(document) == bounds and group is not None and (group.minimum, group.maximum) == bounds:
            return ()
        self._put([bounded(document, *bounds)])
        return Turn(guard.groups(f"scaling pool {name}", [name]), [name])

    def _pool(self, step: Step, pool: Pool) -> Turn | tuple[()]:
        document = pool_document(self._reach, self._record, pool)
        if self._whole and document == self._record.groups.get(pool.name):
            return ()
        self._put([document])
        of = guard.versions if step.verb is Verb.UPGRADE_POOL else guard.groups
        return Turn(of(str(step), [pool.name]), [pool.name])

    def _keep_a_group(self, name: str) -> Turn | None:
        """Of the last pool's deletion: kOps wants a group of nodes, so one without machines is made first."""
        if self._record.pools != [name] or PLACEHOLDER in self._record.groups:
            return None
        self._put([create.placeholder(self._reach.cluster)])
        return Turn(guard.groups("keeping a group of nodes", [PLACEHOLDER]), [PLACEHOLDER])

    def _delete_pool(self, name: str) -> tuple[Touched, ...]:
        """kOps does not preview it: the Auto Scaling group goes, and its launch template, which has the same name."""
        self._drop(name)
        group = self._fleet.get(name)
        if group is None:
            return ()
        return tuple(
            Touched(deed="delete", kind=kind, name=group.name) for kind in ("AutoscalingGroup", "LaunchTemplate")
        )

    def _drop(self, name: str) -> None:
        (self._now / self._reach.name / "instancegroup" / name).unlink(missing_ok=True)
        self._record = replace(
            self._record, groups={key: each for key, each in self._record.groups.items() if key != name}
        )

    def _put(self, documents: Sequence[Document]) -> None:
        changed = [each for each in documents if each not in self._record.documents]
        if not changed:
            return
        if self._record.cluster is None:
            self._kops.create(changed)
        else:
            self._kops.replace(changed)
        cluster = next((each for each in documents if each["kind"] == "Cluster"), self._record.cluster)
        groups = {each["metadata"]["name"]: each for each in documents if each["kind"] == "InstanceGroup"}
        self._record = replace(self._record, cluster=cluster, groups={**self._record.groups, **groups})


class _Seen:
    """What earlier steps have told: each preview tells what they do, too, since nothing of it is done yet."""

    def __init__(self) -> None:
        self._fields: dict[tuple[str, str], dict[str, object]] = {}

    def told(self, known: Known, answer: Answer) -> Known:
        """What a step adds to that."""
        return known if answer is None else (*(known or ()), *self._new(answer[0], answer[1].result()))

    def _new(self, turn: Turn, preview: Preview) -> tuple[Touched, ...]:
        found = []
        for deed, change in guard.touched(preview):
            known = (change.kind, change.name) in self._fields
            before = self._fields.setdefault((change.kind, change.name), {})
            fields = {name: _content(text) for name, text in change.fields.items()}
            other = tuple(sorted(name for name, text in fields.items() if before.get(name) != text))
            before |= fields
            if known and (deed != "modify" or not other):
                continue
            told = other if deed == "modify" else ()
            explained = turn.scope.explains(deed, change)
            found.append(Touched(deed=deed, kind=change.kind, name=change.name, fields=told, explained=explained))
        return tuple(found)


def _content(text: str) -> list[str]:
    """A field's text without its order: kOps tells tags in another one each time."""
    return sorted(re.sub(r"[{},\[\]]", " ", text).split())
