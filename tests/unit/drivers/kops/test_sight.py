"""An account that cannot be looked at tells nothing of its cluster, neither absent nor broken; nothing is planned."""

import json
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from botocore.awsrequest import AWSResponse

from boatyard.aws.lending import TOKEN
from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.driver import Driver
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import MissingTool, Permanent, Temporary
from boatyard.plan.model import Observed, Phase
from boatyard.spec.models import Cluster
from tests.unit.drivers.kops.conftest import BUCKET, NAME, REGION

Put = Callable[[str, str], None]
Look = Callable[[], Observed]

pytestmark = pytest.mark.account


@pytest.fixture
def spec() -> Cluster:
    return Cluster.model_validate(
        {
            "name": NAME,
            "provider": {"kind": "kops", "state_store": f"s3://{BUCKET}", "zones": [f"{REGION}a"], "dns": "none"},
            "kubernetes": {"version": "1.35"},
        }
    )


@pytest.fixture
def reach(spec: Cluster, account: object, tmp_path: Path, yard_clock: ManualClock) -> Reach:
    def tool(name: str) -> Path:
        raise MissingTool(f"{name} is not installed.")

    deadline = Deadline.after(2, "the look", yard_clock)
    return Reach(spec, Env(tmp_path, yard_clock, deadline, tool))


@pytest.fixture
def look(reach: Reach) -> Look:
    from boatyard.drivers.kops.observe import observe

    return lambda: observe(reach)


def refuses_to_plan(reach: Reach, seen: Observed) -> bool:
    with pytest.raises(Temporary if seen.passing else Permanent, match="could not be looked at"):
        Driver(reach.cluster, reach.env).plan(seen, {})
    return True


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self.body]


def answers(client: Any, status: int, code: str) -> None:
    """AWS says this to whatever is asked."""
    body = f"<ErrorResponse><Error><Code>{code}</Code><Message>because</Message></Error></ErrorResponse>".encode()

    def instead(request: Any, **_: Any) -> AWSResponse:
        return AWSResponse(request.url, status, {}, _Raw(body))

    client.meta.events.register_first("before-send.*", instead)


def test_neither_state_store_nor_machines_is_absent(look: Look) -> None:
    assert look().phase is Phase.ABSENT


def test_machines_without_a_state_store_are_what_is_left_of_a_cluster(
    look: Look, scaling_group: Callable[..., None]
) -> None:
    scaling_group("web")
    seen = look()
    assert seen.phase is Phase.PARTIAL
    assert "web" in seen.detail


def test_no_credentials(reach: Reach, look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    seen = look()
    assert seen.phase is Phase.UNKNOWN
    assert "aws configure" in seen.detail
    assert refuses_to_plan(reach, seen)


@pytest.mark.parametrize(
    ("service", "status", "code", "says", "passing"),
    [
        (
            "s3",
            403,
            "AccessDenied",
            f"reading s3://{BUCKET}/{NAME}/config",
            False,
        ),  # somebody else's bucket, or forbidden
        ("autoscaling", 403, "AccessDenied", "AccessDenied", False),
        ("autoscaling", 403, "ExpiredToken", "session is over", False),
        ("autoscaling", 400, "InvalidClientTokenId", "aws configure", False),
        ("autoscaling", 400, "Throttling", "autoscaling:DescribeAutoScalingGroups", True),
        ("autoscaling", 500, "InternalFailure", "InternalFailure", True),
    ],
)
def test_what_aws_refuses_or_never_answers(
    reach: Reach, look: Look, put: Put, service: str, status: int, code: str, says: str, passing: bool
) -> None:
    answers(reach.account.client(service), status, code)
    seen = look()
    assert (seen.phase, seen.passing) == (Phase.UNKNOWN, passing)
    assert says in seen.detail
    assert refuses_to_plan(reach, seen)


def test_a_cluster_that_cannot_be_reached_for_want_of_kops_is_not_broken(
    reach: Reach, look: Look, put: Put, documents: dict[str, dict[str, Any]], scaling_group: Callable[..., None]
) -> None:
    for key, each in documents.items():
        put(f"{NAME}/{key}", yaml.safe_dump(each))
    put(f"{NAME}/cluster-completed.spec", "made")
    put(f"{NAME}/pki/private/kubernetes-ca/keyset.yaml", "keys")
    scaling_group("control-plane-a")
    seen = look()
    assert (seen.phase, seen.version) == (Phase.UNKNOWN, "1.35.5")
    assert "kops is not installed" in seen.detail
    assert refuses_to_plan(reach, seen)


def test_a_damaged_record_is_the_clusters_own_trouble(look: Look, put: Put) -> None:
    put(f"{NAME}/config", "{")
    seen = look()
    assert seen.phase is Phase.BROKEN
    assert f"s3://{BUCKET}/{NAME}/config is damaged" in seen.detail


def lent_to(spec: Cluster, reach: Reach, **provider: str) -> dict[str, Any]:
    """What kOps is lent when the spec names these."""
    provided = spec.provider.model_copy(update=provider)
    with Reach(spec.model_copy(update={"provider": provided}), reach.env)._lend() as variables:
        if not variables:
            return {}
        shown = {"Authorization": variables[TOKEN]}
        where = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        with urllib.request.urlopen(urllib.request.Request(where, headers=shown)) as answer:  # noqa: S310
            return json.load(answer)


def test_kops_is_lent_the_roles_or_the_profiles_credentials_and_finds_its_own_where_none_is_named(
    spec: Cluster, reach: Reach, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config"
    config.write_text("[profile prod]\naws_access_key_id = AKIAPROD\naws_secret_access_key = hush\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert lent_to(spec, reach) == {}
    assert lent_to(spec, reach, profile="prod")["AccessKeyId"] == "AKIAPROD"
    role = lent_to(spec, reach, role="arn:aws:iam::123456789012:role/kops")
    assert role["AccessKeyId"].startswith("ASIA")
    assert role["Token"]


def test_kops_is_told_of_an_s3_that_is_not_aws_own_with_our_keys_to_it(
    reach: Reach, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("S3_ENDPOINT", "S3_REGION", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIA1234")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hush")
    assert reach._endpoints() == {}
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    keys = {"S3_ACCESS_KEY_ID": "AKIA1234", "S3_SECRET_ACCESS_KEY": "hush"}
    assert reach._endpoints() == {"S3_ENDPOINT": "http://127.0.0.1:1", "S3_REGION": REGION, **keys}
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "of-another")
    assert reach._endpoints() == {"S3_ENDPOINT": "http://127.0.0.1:1", "S3_REGION": REGION}
