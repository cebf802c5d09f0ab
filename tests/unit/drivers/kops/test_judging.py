"""Raw fields, which kOps judges before anything is recorded."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from boatyard.clock import Clock, Deadline
from boatyard.drivers.base import Env
from boatyard.drivers.kops.command import Kops
from boatyard.drivers.kops.judging import judge
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import InvalidSpec, Permanent, Temporary
from boatyard.spec.models import Cluster

NAME = "k8s.example.com"
KNOWN = {"cloudLabels", "kubelet", "cpuCredits", "detailedInstanceMonitoring"}


def kops_that_knows(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A kOps that keeps what Boatyard writes and KNOWN, and drops all else, as the real one does. Its stores."""
    stores: list[str] = []
    ours = {key for each in _plain() for key in each["spec"]}

    def create(kops: Kops, manifests: Sequence[dict[str, Any]]) -> None:
        stores.append(kops.state_store)
        for each in manifests:
            kept = {key: value for key, value in each["spec"].items() if key in KNOWN | ours}
            of_group = each["kind"] == "InstanceGroup"
            own = f"{NAME}/instancegroup/{each['metadata']['name']}" if of_group else f"{NAME}/config"
            path = Path(unquote(urlsplit(kops.state_store).path)) / own
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(yaml.safe_dump(each | {"spec": kept}))

    monkeypatch.setattr(Kops, "create", create)
    return stores


def _plain() -> list[dict[str, Any]]:
    from boatyard.drivers.kops import render

    return render.manifests(spec({}), "1.35.5")


def spec(raw: dict[str, Any]) -> Cluster:
    provider = {"kind": "kops", "state_store": "s3://kops-state", "zones": ["us-east-1a"], "dns": "none", "raw": raw}
    return Cluster.model_validate(
        {
            "name": NAME,
            "provider": provider,
            "kubernetes": {"version": "1.35"},
            "pools": [{"name": "web", "min": 1, "max": 3}],
        }
    )


@pytest.fixture
def reach_of(tmp_path: Path, yard_clock: Clock) -> Callable[[dict[str, Any]], Reach]:
    def make(raw: dict[str, Any]) -> Reach:
        env = Env(tmp_path, yard_clock, Deadline.after(60, "the check", yard_clock), tool=Path)
        return Reach(spec(raw), env)

    return make


def test_fields_that_kops_drops_are_named(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = kops_that_knows(monkeypatch)
    raw = {"cluster": {"nonsense": {"a": 1}, "cloudLabels": {"a": "b"}}, "groups": {"web": {"cpuCredit": "unlimited"}}}
    with pytest.raises(InvalidSpec) as error:
        judge(reach_of(raw), "1.35.5")
    assert [line.split(":")[0] for line in error.value.problems] == [
        "provider.raw.cluster.nonsense",
        "provider.raw.groups.web.cpuCredit",
    ]
    assert stores[0].startswith("file://")


def test_fields_that_say_nothing_may_be_left_out(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    kops_that_knows(monkeypatch)
    judge(reach_of({"cluster": {"other": False, "more": [], "sshAccess": None}}), "1.35.5")


def test_nothing_is_asked_without_raw_fields(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = kops_that_knows(monkeypatch)
    judge(reach_of({}), "1.35.5")
    assert stores == []


def test_steps_of_one_operation_ask_once(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    stores = kops_that_knows(monkeypatch)
    reach = reach_of({"cluster": {"cloudLabels": {"a": "b"}}})
    for version in ("1.35.5", "1.35.5", "1.36.1"):
        judge(reach, version)
    assert len(stores) == 2


def test_a_value_that_kops_refuses_is_a_mistake_in_the_spec(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(kops: Kops, manifests: Any) -> None:
        raise Permanent("registering failed; kOps said: cannot unmarshal string into maxPods of type int32.")

    monkeypatch.setattr(Kops, "create", refuse)
    with pytest.raises(InvalidSpec, match=r"provider\.raw: .*maxPods"):
        judge(reach_of({"cluster": {"kubelet": {"maxPods": "x"}}}), "1.35.5")


def test_a_kops_that_cannot_answer_now_is_no_mistake(reach_of: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(kops: Kops, manifests: Any) -> None:
        raise Temporary("AWS had a failure.")

    monkeypatch.setattr(Kops, "create", busy)
    with pytest.raises(Temporary):
        judge(reach_of({"cluster": {"cloudLabels": {"a": "b"}}}), "1.35.5")
