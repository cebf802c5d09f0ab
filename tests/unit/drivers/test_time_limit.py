"""How long a step may take before it is called stuck."""

from datetime import timedelta
from typing import Any

import pytest

from boatyard.drivers.execute import time_limit
from boatyard.plan.model import Step, Verb
from boatyard.spec.models import Cluster

DRAIN = timedelta(minutes=7)
STEP = {"id": "step", "target": "shop", "reason": "for the test", "expected": timedelta(minutes=30)}


def cluster(count: int = 1, *pools: dict[str, Any]) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "shop",
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.35"},
            "control_plane": {"count": count},
            "pools": pools,
            "policy": {"upgrade": {"drain_timeout": "7m"}},
        }
    )


@pytest.mark.parametrize("verb", [Verb.CONFIGURE, Verb.ROTATE])
def test_what_replaces_every_node_has_time_for_each_that_there_may_be(verb: Verb) -> None:
    step = Step(verb=verb, **STEP)
    one = time_limit(step, cluster())
    large = time_limit(step, cluster(3, {"name": "web", "min": 1, "max": 40}, {"name": "db", "min": 6}))
    assert one > 2 * step.expected
    assert large - one >= (3 + 40 + 6 - 1) * DRAIN, "49 nodes, each may drain for its whole time"


def test_what_replaces_no_node_does_not_wait_longer_for_a_large_cluster() -> None:
    step = Step(verb=Verb.HIBERNATE, **STEP)
    assert time_limit(step, cluster()) == time_limit(step, cluster(3, {"name": "web", "min": 1, "max": 40}))


def test_a_short_step_is_not_cut_off_early() -> None:
    step = Step(verb=Verb.WAKE, **(STEP | {"expected": timedelta(seconds=1)}))
    assert time_limit(step, cluster()) >= timedelta(minutes=10)
