"""How many control-plane nodes a cluster has is settled when it is made."""

from typing import Any

import pytest

from boatyard.drivers.kops.driver import Driver
from boatyard.drivers.kops.members import members_differ
from boatyard.drivers.kops.render import manifests
from boatyard.drivers.kops.store import Record
from boatyard.errors import Unsafe
from boatyard.plan.model import Observed, Phase
from boatyard.spec.models import Cluster

ZONES = ["us-east-1a", "us-east-1b", "us-east-1c"]


def spec(count: int, zones: list[str] = ZONES, **more: Any) -> Cluster:
    return Cluster.model_validate(
        {
            "name": "k8s.example.com",
            "provider": {"kind": "kops", "state_store": "s3://kops-state", "zones": zones, **more},
            "kubernetes": {"version": "1.35"},
            "control_plane": {"count": count},
        }
    )


def recorded(cluster: Cluster, applied: bool = True) -> Record:
    whole, *groups = manifests(cluster, "1.35.5")
    return Record(whole, {each["metadata"]["name"]: each for each in groups}, applied=applied, authority="etag")


@pytest.mark.parametrize(
    ("there", "wanted", "line"),
    [
        (spec(1), spec(3), "control_plane.count: 1, 3 is wanted"),
        (spec(3), spec(1), "control_plane.count: 3, 1 is wanted"),
        (spec(3), spec(5), "control_plane.count: 3, 5 is wanted"),
        (
            spec(1),
            spec(1, control_plane={"zones": [ZONES[1]]}),
            "control_plane.zones: control-plane-us-east-1a, control-plane-us-east-1b is wanted",
        ),
        (spec(3), spec(3), ""),
        (spec(3), spec(3, [*reversed(ZONES)]), ""),
        (spec(3), spec(3, [*ZONES, "us-east-1d"]), ""),
    ],
)
def test_other_control_plane_nodes_are_refused_in_one_sentence(there: Cluster, wanted: Cluster, line: str) -> None:
    assert members_differ(wanted, recorded(there)) == line
    observed = Observed(phase=Phase.RUNNING, version="1.35.5", differs=(line,) if line else ())
    driver = Driver.__new__(Driver)
    driver._cluster = wanted
    if not line:
        assert driver.plan(observed, {}).steps == ()
        return
    with pytest.raises(Unsafe, match=r"k8s\.example\.com: control_plane\.") as refused:
        driver.plan(observed, {})
    assert line in refused.value.message
    assert "\n" not in str(refused.value)


def test_what_was_registered_and_never_made_has_no_members_yet() -> None:
    assert members_differ(spec(3), recorded(spec(1), applied=False)) == ""


def test_names_of_groups_that_others_gave_are_kept() -> None:
    """An adopted cluster's groups are called as they are; only who is a member counts."""
    named = spec(1, control_plane={"groups": ["master-us-east-1a"]})
    assert members_differ(named, recorded(named)) == ""
