"""What the kOps driver plans from what was seen; pure."""

from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.driver import Driver
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed, ObservedPool, Phase, Plan, Verb
from boatyard.spec.models import Cluster

DEAD = "i-1 of control-plane-a: its node has not been Ready since 2026-11-22 16:15 UTC, it is to be replaced"


def cluster(version: str = "1.35", **upgrade: Any) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "k8s.example.com",
            "provider": {"kind": "kops", "state_store": "s3://kops-state", "zones": ["us-east-1a"]},
            "kubernetes": {"version": version},
            "pools": [{"name": name, "size": "t3.medium", "min": 1, "max": 2} for name in ("web", "batch")],
            "policy": {"upgrade": upgrade},
        }
    )


def seen(**more: Any) -> Observed:
    pools = {
        name: ObservedPool(name=name, size="t3.medium", versions={name: "1.35.5"}, ready=1, bounds=(1, 2))
        for name in ("web", "batch")
    }
    return Observed(phase=Phase.RUNNING, version="1.35.5", pools=pools, **more)


def plan(wanted: Cluster, observed: Observed) -> Plan:
    clock = SystemClock()
    env = Env(Path("/nowhere"), clock, Deadline.after(60, "planning", clock), tool=Path)
    return Driver(wanted, env).plan(observed, {})


def test_a_rest_is_between_the_control_plane_and_the_pools_and_between_two_pools() -> None:
    kept = (Verb.UPGRADE_CONTROL_PLANE, Verb.UPGRADE_POOL, Verb.PAUSE)
    steps = plan(cluster("1.36", pause="10m"), seen()).only(*kept).steps
    assert [(step.verb, step.target) for step in steps] == [
        (Verb.UPGRADE_CONTROL_PLANE, "k8s.example.com"),
        (Verb.PAUSE, "k8s.example.com"),
        (Verb.UPGRADE_POOL, "web"),
        (Verb.PAUSE, "k8s.example.com"),
        (Verb.UPGRADE_POOL, "batch"),
    ]
    assert all(before.id in step.after for before, step in pairwise(steps))
    assert Verb.PAUSE not in [step.verb for step in plan(cluster("1.36"), seen()).steps]


def test_a_dead_machine_is_replaced_with_its_reason_before_anything_is_upgraded() -> None:
    steps = plan(cluster("1.36"), seen(differs=(DEAD,))).only(Verb.CONFIGURE, Verb.UPGRADE_CONTROL_PLANE).steps
    assert [step.verb for step in steps] == [Verb.CONFIGURE, Verb.UPGRADE_CONTROL_PLANE]
    assert steps[0].reason == DEAD
    assert steps[0].params["changes"] == [DEAD]
    assert steps[0].id in steps[1].after


def test_nothing_is_planned_where_etcd_could_lose_its_majority() -> None:
    line = "etcd's quorum: 1 of 3 control-plane nodes are Ready, and i-1 would have to be replaced"
    with pytest.raises(Unsafe, match="without a majority, so nothing is done"):
        plan(cluster(), seen(differs=(line,)))


@pytest.mark.parametrize("versions", [("1.35.5", "1.35.5", "1.36.1"), ("1.36.1", "1.36.1", "1.36.1")])
def test_a_pool_whose_update_was_cut_off_is_neither_shrunk_nor_taken_for_beyond_its_canary(
    versions: tuple[str, ...],
) -> None:
    """Two machines, the most there may be, and one on top. In the second case the launch template alone tells."""
    names = {f"i-{number}": version for number, version in enumerate(versions)}
    old = ("i-0", "i-1")
    web = ObservedPool(
        name="web", size="t3.medium", versions=names, ready=3, bounds=(1, 2), outdated=old, standing_in=1
    )
    observed = seen(upgrading=True)
    observed = observed.model_copy(update={"version": "1.36.1", "pools": {"web": web}})
    wanted = cluster("1.36", canary="node")
    steps = plan(wanted.model_copy(update={"pools": wanted.pools[:1]}), observed).steps
    moving = [step for step in steps if step.verb not in (Verb.VALIDATE,)]
    assert [(step.verb, step.target, step.params.get("canary", False)) for step in moving] == [
        (Verb.UPGRADE_POOL, "web", True),
        (Verb.UPGRADE_POOL, "web", False),
    ]
    assert moving[1].params["nodes"] == 2
