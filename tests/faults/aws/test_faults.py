"""The faults themselves, as clients of the emulated account meet them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError

from boatyard.aws.errors import THROTTLED
from boatyard.sandbox.aws import Faults, Sandbox
from boatyard.sandbox.aws.faults import ERROR, LOST, STALE, THROTTLE, UNANSWERED

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    with Sandbox.start(tmp_path_factory.mktemp("sandbox")) as made:
        yield made


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """Clients that ask once."""
    given = sandbox.environment
    session = boto3.Session(given["AWS_ACCESS_KEY_ID"], given["AWS_SECRET_ACCESS_KEY"], region_name=given["AWS_REGION"])

    def make(service: str, attempts: int = 1) -> Any:
        retries = {"mode": "standard", "total_max_attempts": attempts}
        return session.client(service, endpoint_url=sandbox.endpoint, config=Config(retries=retries))

    yield make
    sandbox.disturb(None)


ASKED: dict[str, Callable[[Any], Any]] = {
    "ec2": lambda ec2: ec2.describe_vpcs(),
    "autoscaling": lambda one: one.describe_auto_scaling_groups(),
    "elbv2": lambda one: one.describe_load_balancers(),
    "iam": lambda one: one.list_roles(),
    "sts": lambda one: one.get_caller_identity(),
    "route53": lambda one: one.list_hosted_zones(),
    "sqs": lambda one: one.list_queues(),
    "events": lambda one: one.list_rules(),
    "service-quotas": lambda one: one.get_service_quota(ServiceCode="vpc", QuotaCode="L-F678F1CE"),
    "s3": lambda one: one.list_buckets(),
}


@pytest.mark.parametrize("service", ASKED)
def test_each_protocol_has_its_own_words(sandbox: Sandbox, client: Client, service: str) -> None:
    one = client(service)
    sandbox.disturb(Faults(1, 1.0, (THROTTLE,)))
    with pytest.raises(ClientError) as throttled:
        ASKED[service](one)
    assert throttled.value.response["Error"]["Code"] in THROTTLED
    sandbox.disturb(Faults(1, 1.0, (ERROR,)))
    with pytest.raises(ClientError) as failed:
        ASKED[service](one)
    assert failed.value.response["ResponseMetadata"]["HTTPStatusCode"] in (500, 503)
    assert failed.value.response["Error"]["Code"] not in THROTTLED
    sandbox.disturb(None)
    ASKED[service](one)


def test_a_lost_request_did_nothing_and_an_unanswered_one_did(sandbox: Sandbox, client: Client) -> None:
    ec2 = client("ec2")
    before = len(ec2.describe_vpcs()["Vpcs"])
    for kind, more in ((LOST, 0), (UNANSWERED, 1)):
        sandbox.disturb(Faults(1, 1.0, (kind,), only=("ec2:CreateVpc",)))
        with pytest.raises(ConnectionClosedError):
            ec2.create_vpc(CidrBlock="10.9.0.0/16")
        assert len(ec2.describe_vpcs()["Vpcs"]) == before + more
        assert sandbox.injected() == {kind: 1}


def test_a_stale_read_is_of_before_the_last_change_and_not_for_long(sandbox: Sandbox, client: Client) -> None:
    ec2, s3 = client("ec2"), client("s3")
    sandbox.disturb(Faults(1, 1.0, (STALE,), burst=1, only=("*:Describe*", "s3:GET*")))
    before = ec2.describe_key_pairs()["KeyPairs"]
    assert ec2.describe_key_pairs()["KeyPairs"] == before, "nothing has changed, so nothing is stale"
    ec2.create_key_pair(KeyName="stale")
    assert ec2.describe_key_pairs()["KeyPairs"] == before
    sandbox.disturb(None)
    assert len(ec2.describe_key_pairs()["KeyPairs"]) == len(before) + 1
    sandbox.disturb(Faults(1, 1.0, (STALE,), only=("s3:*",)))
    s3.list_buckets()
    s3.create_bucket(Bucket="never-stale")
    assert "never-stale" in [each["Name"] for each in s3.list_buckets()["Buckets"]], "S3 is consistent"


def test_one_seed_gives_one_weather(sandbox: Sandbox, client: Client) -> None:
    iam = client("iam")

    def day(seed: int) -> list[bool]:
        sandbox.disturb(Faults(seed, 0.3, (ERROR,)))
        return [_well(iam) for _ in range(40)]

    assert day(5) == day(5)
    assert day(5) != day(6)
    assert True in day(5)
    assert False in day(5)


def test_a_client_that_tries_again_gets_through_a_short_burst(sandbox: Sandbox, client: Client) -> None:
    patient = client("iam", attempts=4)
    sandbox.disturb(Faults(3, 0.3, (THROTTLE, ERROR, LOST), burst=1))
    assert all(_well(patient) for _ in range(10))
    assert sum(sandbox.injected().values()) > 0


def test_from_the_first_request_on(tmp_path: Path, client: Client) -> None:
    with Sandbox.start(tmp_path, faults=Faults(1, 1.0, (ERROR,))) as bad:
        config = Config(retries={"total_max_attempts": 1})
        keys = {"aws_access_key_id": "a", "aws_secret_access_key": "b", "region_name": "us-east-1"}
        with pytest.raises(ClientError):
            boto3.client("iam", endpoint_url=bad.endpoint, config=config, **keys).list_roles()


def test_a_kind_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValueError, match="sleet"):
        Faults(1, 0.1, ("sleet",))


def _well(iam: Any) -> bool:
    try:
        iam.list_roles()
    except (ClientError, ConnectionClosedError):
        return False
    return True
