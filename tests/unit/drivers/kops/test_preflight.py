"""What a spec asks of its account, and what is odd about the names that it gives."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.preflight import needs, preflight
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import MissingTool, Temporary
from boatyard.spec.models import Cluster

pytestmark = pytest.mark.account


@pytest.fixture
def reach_of(account: object, tmp_path: Path, yard_clock: ManualClock) -> Any:
    def tool(name: str) -> Path:
        raise MissingTool(f"{name} is not installed.")

    def make(name: str = "k8s.example.com", count: int = 1, **provider: Any) -> Reach:
        document = {
            "name": name,
            "provider": {"kind": "kops", "state_store": "s3://kops-state", "zones": ["us-east-1a"]} | provider,
            "kubernetes": {"version": "1.35"},
            "control_plane": {"count": count},
        }
        env = Env(tmp_path, yard_clock, Deadline.after(60, "the check", yard_clock), tool)
        return Reach(Cluster.model_validate(document), env)

    return make


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> None:
    """An account that has all that is needed."""
    monkeypatch.setattr("boatyard.aws.prerequisites.examine", lambda account, needs: [])


def test_zones_of_the_control_plane_alone_are_looked_at_too(reach_of: Any) -> None:
    zones = ["us-east-1a", "us-east-1b", "us-east-1c"]
    assert needs(reach_of(count=3, control_plane={"zones": zones}), {}).zones == tuple(zones)


def test_the_range_of_an_existing_vpc_is_not_guessed(reach_of: Any) -> None:
    vpc = "vpc-0123456789abcdef0"
    assert needs(reach_of(), {}).network_cidr == "172.20.0.0/16"
    assert needs(reach_of(vpc=vpc), {}).network_cidr == ""
    assert needs(reach_of(vpc=vpc, network_cidr="10.1.0.0/16"), {}).network_cidr == "10.1.0.0/16"


def test_an_account_that_does_not_answer_now_is_no_finding(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(account: object, needs: object) -> list[object]:
        raise Temporary("AWS answered Throttling while listing quotas.")

    monkeypatch.setattr("boatyard.aws.prerequisites.examine", busy)
    with pytest.raises(Temporary, match="Throttling"):
        preflight(reach_of())


def test_a_channel_that_cannot_be_read_is_told_as_that(reach_of: Any, sound: None) -> None:
    reach = reach_of(channel="file:///nowhere/channel.yaml")
    reach.env = replace(reach.env, tool=Path)
    (finding,) = preflight(reach)
    assert (finding.subject, finding.blocks) == ("provider.channel", True)
    assert "/nowhere/channel.yaml cannot be read" in finding.problem
    assert "file://" in finding.fix
