"""The driver on the emulated account with a stand-in for kOps: what the suite for every driver cannot ask.

One cluster for all of it, in the order of its life.
"""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.backup import backup_condition
from boatyard.drivers.base import Env
from boatyard.drivers.kops.command import Kops
from boatyard.drivers.kops.driver import Driver
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import Unsafe
from boatyard.kube.client import Client
from boatyard.plan.model import Phase, Verb
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.tools.toolbox import Toolbox
from tests.conformance.worlds import aws
from tests.unit.kube.certificates import make_authority

pytestmark = pytest.mark.twin

NAME = "life.test.example.com"
STORE = "s3://driver-kops"
CLOCK = SystemClock()


@dataclass
class Place:
    """The account, and the driver's reports since they were last asked for."""

    home: Path
    told: dict[str, str]
    said: list[str] = field(default_factory=list)

    def spec(self, **provider: Any) -> Cluster:
        return Cluster.model_validate(
            {
                "name": NAME,
                "provider": {
                    "kind": "kops",
                    "state_store": STORE,
                    "zones": ["us-east-1a"],
                    "dns": "none",
                    **self.told,
                    **provider,
                },
                "kubernetes": {"version": "1.35"},
                "control_plane": {"size": "t3.medium"},
                "pools": [{"name": "web", "size": "t3.medium", "min": 1, "max": 3}],
            }
        )

    def env(self) -> Env:
        deadline = Deadline.after(600, "the test", CLOCK)
        return Env(self.home, CLOCK, deadline, Toolbox(Settings.load().cache).path, report=self.said.append)

    def driver(self, spec: Cluster | None = None) -> Driver:
        return Driver(spec or self.spec(), self.env())

    def reach(self) -> Reach:
        return Reach(self.spec(), self.env())


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with aws(tmp_path_factory.mktemp("world")) as told:
        yield Place(tmp_path_factory.mktemp("home"), dict(told))


@pytest.fixture
def edit(place: Place) -> Callable[[str, Callable[[dict[str, Any]], None]], None]:
    """Change a stored document, as somebody else's `kops edit` would."""

    def change(key: str, how: Callable[[dict[str, Any]], None]) -> None:
        s3 = place.reach().account.client("s3")
        where = {"Bucket": STORE.removeprefix("s3://"), "Key": f"{NAME}/{key}"}
        document = yaml.safe_load(s3.get_object(**where)["Body"].read())
        how(document["spec"])
        s3.put_object(**where, Body=yaml.safe_dump(document))

    return change


def _counted(monkeypatch: pytest.MonkeyPatch, method: str) -> list[Any]:
    """What kOps is asked for by this method from now on."""
    told: list[Any] = []
    whole = getattr(Kops, method)

    def ask(kops: Kops, given: Any = ()) -> Any:
        told.append(list(given))
        return whole(kops, given)

    monkeypatch.setattr(Kops, method, ask)
    return told


def test_what_is_missing_is_made_and_then_nothing_is(place: Place) -> None:
    findings = place.driver().preflight()
    assert [each.subject for each in findings] == [f"state store {STORE}"]
    for each in findings:
        assert each.repair is not None
        each.repair()
    assert place.driver().preflight() == []


def test_registered_and_never_made_is_partial_and_taken_up(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    from boatyard.drivers.kops.create import documents

    wanted = place.spec(ssh_access=["192.0.2.0/24"], zones=["us-east-1a", "us-east-1b", "us-east-1c"])
    other = wanted.model_copy(update={"control_plane": wanted.control_plane.model_copy(update={"count": 3})})
    registered = documents(other, "1.34.8")[:4]  # cut off before the pool, then the spec was changed
    registered[1]["spec"]["image"] = "099720109477/ubuntu/images/of-another-time"
    place.reach().kops.create(registered)
    seen = place.driver().observe()
    assert (seen.phase, seen.version) == (Phase.PARTIAL, None)
    assert "never made" in seen.detail
    operation = place.env()
    Driver(place.spec(), operation).create()
    assert place.driver().observe().phase is Phase.RUNNING
    previews = _counted(monkeypatch, "preview")
    Driver(place.spec(), operation).create_pool(place.spec().pools[0], "1.35")
    assert previews == [], "the pool came with its cluster"
    place.driver().create_pool(place.spec().pools[0], "1.35")
    assert previews == [["web"]], "another operation asks"
    record = place.reach().store.read()
    assert (record.version, record.control_plane) == ("1.35.5", ["control-plane-us-east-1a"])
    assert "image" not in record.groups["control-plane-us-east-1a"]["spec"]
    assert list(place.reach().fleet.read()) == ["control-plane-us-east-1a", "web"]
    assert any("taking it up" in line for line in place.said)


def test_a_cluster_as_its_spec_says_has_an_empty_plan(place: Place) -> None:
    driver = place.driver()
    driver.create_pool(place.spec().pools[0], "1.35")
    seen = place.driver().observe()
    assert (seen.differs, seen.outdated, seen.pools["web"].ready) == ((), (), 1)
    assert place.driver().plan(seen, {}).steps == ()


def test_etcds_backups_are_seen_and_are_recent(place: Place) -> None:
    found = place.driver().backups()
    assert {each.etcd for each in found} == {"main", "events"}
    assert all(each.size > 10_000 and each.location.startswith(f"{STORE}/{NAME}/backups/etcd/") for each in found)
    now = CLOCK.now()
    assert backup_condition(found, now).status == "True"
    old = backup_condition(found, now + timedelta(hours=4))
    assert (old.status, old.reason) == ("False", "TooOld")


def test_what_is_adopted_has_an_empty_plan(place: Place) -> None:
    (found,) = Driver.found(STORE, place.env())
    assert found.name == NAME
    provider = found.provider.model_copy(update={"api_server": place.told["api_server"]})
    driver = place.driver(found.model_copy(update={"provider": provider}))
    assert driver.plan(driver.observe(), {}).steps == ()


def test_within_the_bounds_kops_is_not_asked(place: Place) -> None:
    before = place.reach().store.ours()
    place.driver().scale_pool("web", 2)
    assert place.driver().observe().pools["web"].ready == 2
    assert place.reach().store.ours() == before, "no snapshot, since nothing was recorded"


def test_what_a_step_does_not_explain_is_refused_and_the_record_put_back(
    place: Place, edit: Callable[[str, Callable[[dict[str, Any]], None]], None]
) -> None:
    edit("config", lambda spec: spec.update(sshAccess=["192.0.2.0/24"]))
    before = place.reach().store.read()
    with pytest.raises(Unsafe, match=r"scaling pool web: kOps would also .*SecurityGroupRule"):
        place.driver().scale_pool("web", 4)
    after = place.reach().store.read()
    assert after.documents == before.documents
    assert place.reach().fleet.read()["web"].maximum == 3


def test_a_setting_is_a_step_of_its_own_and_only_what_was_agreed_to_is_done(place: Place) -> None:
    seen = place.driver().observe()
    (line,) = seen.differs
    assert line.startswith("spec.sshAccess:")
    (step,) = place.driver().plan(seen, {}).steps
    assert (step.verb, step.params["changes"]) == (Verb.CONFIGURE, [line])
    with pytest.raises(Unsafe, match="nobody agreed"):
        place.driver().configure(())
    place.driver().configure([line])
    assert place.driver().observe().differs == ()


def test_another_instance_type_is_a_roll_of_the_pool(place: Place) -> None:
    larger = place.spec().pools[0].model_copy(update={"size": "t3.large"})
    wanted = place.spec().model_copy(update={"pools": (larger,)})
    (before, step, after) = place.driver(wanted).plan(place.driver(wanted).observe(), {}).steps
    assert (step.verb, step.target) == (Verb.UPGRADE_POOL, "web")
    assert before.verb is after.verb is Verb.VALIDATE


def test_work_that_outlasts_its_certificate_goes_on_with_another(place: Place, tmp_path: Path) -> None:
    """A roll of many nodes takes hours, a certificate one: it is no longer accepted in the middle of it."""
    kept = place.home / "kops" / NAME / "kubeconfig.json"
    place.reach().client().close()
    content = json.loads(kept.read_bytes())
    refused = base64.b64encode(make_authority(tmp_path).read_bytes()).decode()
    content["document"]["users"][0]["user"] = {"client-certificate-data": refused, "client-key-data": refused}
    kept.write_text(json.dumps(content))
    with place.reach().client() as client:
        kept.write_text(json.dumps({**content, "until": (CLOCK.now() - timedelta(minutes=1)).isoformat()}))
        assert client.list("/api/v1/nodes")


def test_credentials_are_short_lived_and_private(place: Place) -> None:
    from cryptography import x509

    from boatyard.kube.kubeconfig import _material

    document = place.driver().kubeconfig()
    users: Any = document["users"]
    certificate = x509.load_pem_x509_certificate(_material(users[0]["user"], "client-certificate") or b"")
    left = certificate.not_valid_after_utc - CLOCK.now()
    assert 0 < left.total_seconds() <= 3600
    kept = place.home / "kops" / NAME / "kubeconfig.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700


def test_load_balancers_go_before_the_cluster_and_nothing_is_left(place: Place) -> None:
    with Client(dict(place.driver().kubeconfig())) as client:
        ports = [{"port": 80, "protocol": "TCP"}]
        body = {"metadata": {"name": "shop"}, "spec": {"type": "LoadBalancer", "selector": {"a": "b"}, "ports": ports}}
        client.create("/api/v1/namespaces/default/services", body)
    assert place.driver().residue() != []
    place.said.clear()
    place.driver().delete()
    assert any("releasing 1 load balancers" in line for line in place.said)
    assert place.driver().residue() == []
    assert place.driver().observe().phase is Phase.ABSENT
    assert not (place.home / "kops" / NAME).exists()
