"""An emulated AWS account (moto, in this process), a bucket and a launch template, for parts of the driver."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from boatyard.aws.account import Account
from boatyard.clock import Deadline, ManualClock
from tests.unit.aws.serial import emulated

NAME = "k8s.example.com"
REGION = "us-east-1"
BUCKET = "kops-state"


class Fence:
    """Counts the changes; from the n-th on nothing gets through."""

    def __init__(self) -> None:
        self.calls, self.closed = 0, False

    def __call__(self) -> None:
        if self.closed:
            raise RuntimeError("fenced off")
        self.calls += 1


@pytest.fixture
def fence() -> Fence:
    return Fence()


@pytest.fixture
def yard_clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 22, 16, 0, tzinfo=UTC))


@pytest.fixture
def account(yard_clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Account]:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    with emulated():
        yield Account(REGION, home=tmp_path, deadline=Deadline.after(600, "test", yard_clock))


@pytest.fixture
def put(account: Account) -> Callable[[str, str], None]:
    """Write an object of the state store, whose bucket is made."""
    s3 = account.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    return lambda key, text: s3.put_object(Bucket=BUCKET, Key=key, Body=text.encode()) and None


@pytest.fixture
def template(account: Account) -> str:
    """Id of a launch template, as kOps makes one."""
    ec2 = account.client("ec2")
    image = ec2.describe_images(Owners=["099720109477"])["Images"][0]["ImageId"]
    made = ec2.create_launch_template(
        LaunchTemplateName=f"web.{NAME}", LaunchTemplateData={"ImageId": image, "InstanceType": "t3.medium"}
    )
    return str(made["LaunchTemplate"]["LaunchTemplateId"])


@pytest.fixture
def scaling_group(account: Account, template: str) -> Callable[..., None]:
    """Make an Auto Scaling group with kOps' tags."""

    def make(group: str = "web", *, minimum: int = 2, maximum: int = 4, version: str = "$Latest", **tags: str) -> None:
        given = {"KubernetesCluster": NAME, "kops.k8s.io/instancegroup": group, **tags}
        account.client("autoscaling").create_auto_scaling_group(
            AutoScalingGroupName=f"{group}.{NAME}",
            MinSize=minimum,
            MaxSize=maximum,
            AvailabilityZones=[f"{REGION}a"],
            LaunchTemplate={"LaunchTemplateId": template, "Version": version},
            Tags=[{"Key": key, "Value": value, "PropagateAtLaunch": True} for key, value in given.items()],
        )

    return make


@pytest.fixture
def documents() -> dict[str, dict[str, Any]]:
    """A cluster's record as kOps stores it: `config` and a group each."""
    etcd = [{"name": name, "etcdMembers": [{"name": "a", "instanceGroup": "control-plane-a"}]} for name in ("main",)]
    return {
        "config": {"metadata": {"name": NAME}, "spec": {"kubernetesVersion": "1.35.5", "etcdClusters": etcd}},
        "instancegroup/control-plane-a": {"metadata": {"name": "control-plane-a"}, "spec": {"role": "Master"}},
        "instancegroup/web": {
            "metadata": {"name": "web"},
            "spec": {
                "role": "Node",
                "minSize": 2,
                "maxSize": 4,
                "machineType": "t3.medium",
                "nodeLabels": {"team": "shop", "kops.k8s.io/instancegroup": "web", "boatyard.dev/pool": "web"},
                "taints": ["only=shop:NoSchedule"],
            },
        },
    }
