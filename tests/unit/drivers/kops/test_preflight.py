"""What a spec asks of its account, and what is odd about the names that it gives."""

from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.preflight import needs, preflight, target_groups
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


@pytest.mark.parametrize(
    ("name", "provider", "odd"),
    [
        ("demo.k8s.example.com", {"dns": "none"}, ["kops-controller-demo-k8s--HASH"]),
        ("life.test.example.com", {"dns": "none"}, []),
        ("demo.k8s.example.com", {"topology": "private"}, []),
        ("demonstration.shops.k8s.example.com", {"topology": "private"}, []),
        ("demonstration-shops.k.example.com", {"topology": "private"}, []),
        ("demonstrations.shop1.example.com", {"topology": "private"}, ["tcp-demonstrations-shop1--HASH"]),
        ("demonstrations.shop1.example.com", {}, []),  # the API server has no load balancer
    ],
)
def test_names_with_two_hyphens_are_told_and_stop_nothing(
    reach_of: Any, sound: None, name: str, provider: dict[str, Any], odd: list[str]
) -> None:
    reach = reach_of(name, **provider)
    found = [each for each in preflight(reach) if each.subject == "names of target groups"]
    assert bool(found) is bool(odd)
    for each in found:
        assert not each.blocks
        assert all(name in each.problem for name in odd)
        assert "seen on the emulated account" in each.fix
        assert "may be refused by AWS" in each.fix
        assert set(odd) <= set(target_groups(reach))


def test_nothing_is_said_of_names_that_are_given_already(reach_of: Any, sound: None, scaling_group: Any) -> None:
    scaling_group("web")
    found = preflight(reach_of("k8s.example.com", dns="none"))
    assert [each for each in found if each.subject == "names of target groups"] == []


def test_an_account_that_does_not_answer_now_is_no_finding(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(account: object, needs: object) -> list[object]:
        raise Temporary("AWS answered Throttling while listing quotas.")

    monkeypatch.setattr("boatyard.aws.prerequisites.examine", busy)
    with pytest.raises(Temporary, match="Throttling"):
        preflight(reach_of())
