"""Clients of one account: who we are, throttles that nobody sees, time limits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.awsrequest import AWSResponse

from boatyard.aws.account import CONNECT_TIMEOUT, READ_TIMEOUT, Account
from boatyard.aws.errors import NoCredentials, told
from boatyard.clock import ManualClock
from boatyard.errors import DeadlineExceeded

pytestmark = pytest.mark.account

THROTTLE = b"<ErrorResponse><Error><Code>Throttling</Code><Message>Rate exceeded</Message></Error></ErrorResponse>"


class _Raw:
    def __init__(self, body: bytes) -> None:
        self.body = body

    def stream(self, **_: Any) -> list[bytes]:
        return [self.body]


def answer_with(client: Any, status: int, body: bytes, times: int) -> list[str]:
    """The client's next `times` attempts get this answer; returns the log of what was asked."""
    asked: list[str] = []

    def instead(request: Any, **_: Any) -> AWSResponse | None:
        asked.append(request.url)
        return AWSResponse(request.url, status, {}, _Raw(body)) if len(asked) <= times else None

    client.meta.events.register_first("before-send.*", instead)
    return asked


def test_the_account_is_asked_for_once(account: Account) -> None:
    asked = answer_with(account.client("sts"), 200, b"", times=0)
    assert account.id == "123456789012"
    assert account.arn.startswith("arn:aws:sts::123456789012:")
    assert account.partition == "aws"
    assert len(asked) == 1


def test_a_role_is_taken_on(account_of: Callable[..., Account]) -> None:
    account = account_of(role="arn:aws:iam::123456789012:role/kops")
    assert account.arn == "arn:aws:sts::123456789012:assumed-role/kops/boatyard"


def test_a_profile_that_is_not_there_says_how_to_sign_in(account_of: Callable[..., Account]) -> None:
    with pytest.raises(NoCredentials, match=r"profile.*nobody.*aws sso login"):
        _ = account_of(profile="nobody").id


def test_no_credentials_at_all_says_how_to_get_some(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(NoCredentials, match="aws configure"):
        list(account.pages("ec2", "describe_vpcs", "Vpcs"))


def test_pages_are_put_together(account: Account) -> None:
    ec2 = account.client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    made = {ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{block}.0/24")["Subnet"]["SubnetId"] for block in range(7)}
    query = {"Filters": [{"Name": "vpc-id", "Values": [vpc]}], "PaginationConfig": {"PageSize": 5}}
    assert {subnet["SubnetId"] for subnet in account.pages("ec2", "describe_subnets", "Subnets", **query)} == made


def test_lists_without_pages_are_read_too(account: Account) -> None:
    zones = list(account.pages("ec2", "describe_availability_zones", "AvailabilityZones"))
    assert {zone["RegionName"] for zone in zones} == {"eu-central-1"}
    assert list(account.pages("ec2", "describe_instances", "Reservations[].Instances[]")) == []
    assert {each["RegionName"] for each in account.pages("ec2", "describe_regions", "Regions[]")} >= {account.region}


def test_more_throttles_than_botocore_retries_are_not_seen(account: Account, clock: ManualClock) -> None:
    client = account.client("route53")
    before = clock.monotonic()
    asked = answer_with(client, 400, THROTTLE, times=5)
    assert client.list_hosted_zones()["HostedZones"] == []
    assert len(asked) == 6
    assert clock.monotonic() > before, "it waited its turn on the clock that it was given"


def test_throttled_until_the_deadline(account_of: Callable[..., Account]) -> None:
    account = account_of(seconds=2)
    answer_with(account.client("route53"), 400, THROTTLE, times=1000)
    with pytest.raises(DeadlineExceeded, match="route53:ListHostedZones"), told("listing zones"):
        account.client("route53").list_hosted_zones()


def test_nothing_is_asked_after_the_deadline(account_of: Callable[..., Account], clock: ManualClock) -> None:
    account = account_of(seconds=0)
    asked = answer_with(account.client("ec2"), 200, b"", times=0)
    with pytest.raises(DeadlineExceeded):
        list(account.pages("ec2", "describe_vpcs", "Vpcs"))
    assert asked == []


def test_every_client_has_a_time_limit(account: Account) -> None:
    config = account.client("s3").meta.config
    assert (config.connect_timeout, config.read_timeout) == (CONNECT_TIMEOUT, READ_TIMEOUT)
    assert config.retries["mode"] == "adaptive"
    assert account.client("s3") is account.client("s3")
    assert account.client("s3", region="us-east-1") is not account.client("s3")


def test_two_accounts_objects_share_the_budget_of_the_account(
    account_of: Callable[..., Account], tmp_path: Path
) -> None:
    for region in ("eu-central-1", "us-east-1"):
        account = account_of(region)
        account.client("route53").list_hosted_zones()
        account.client("ec2").describe_vpcs()
    assert {file.name for file in (tmp_path / "home" / "aws-budget").iterdir()} >= {
        "123456789012.global.route53",
        "123456789012.eu-central-1.ec2",
        "123456789012.us-east-1.ec2",
    }


def test_an_emulated_aws_is_reached_where_the_environment_says(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:5999")
    assert account.client("ec2").meta.endpoint_url == "http://127.0.0.1:5999"
