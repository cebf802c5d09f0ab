"""Policies with the least that will do, and the group and role that carry them."""

import json
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from boatyard.aws import policy
from boatyard.aws.account import Account
from boatyard.aws.permissions import make_group, make_role, principal

RECORDED = Path(__file__).parents[2] / "cases" / "aws" / "asked-in-a-life.txt"
LONGEST_MANAGED_POLICY = 6144  # characters, white space aside; IAM quotas


def actions(document: dict[str, Any]) -> set[str]:
    return {action for statement in document["Statement"] for action in statement["Action"]}


INSTALLER = policy.installer(
    state_store="example-kops-state-store", discovery_store="example-kops-oidc-store", cluster="*.k8s.example.com"
)
READER = policy.reader(state_store="example-kops")


@pytest.mark.parametrize("document", [INSTALLER, READER, policy.nodes()], ids=["installer", "reader", "nodes"])
def test_a_policy_is_one_that_iam_takes(document: dict[str, Any], account: Account) -> None:
    account.client("iam").create_policy(PolicyName="x", PolicyDocument=json.dumps(document))
    assert len(json.dumps(document, separators=(",", ":"))) <= LONGEST_MANAGED_POLICY


def test_nothing_is_allowed_wholesale() -> None:
    for document in (INSTALLER, READER, policy.nodes()):
        assert not [action for action in actions(document) if action.endswith(":*") or action == "*"]


def test_the_installer_may_all_that_was_asked_for_in_a_clusters_life() -> None:
    asked = [line for line in RECORDED.read_text().split("\n") if line and not line.startswith("#")]
    allowed = actions(INSTALLER)
    assert [action for action in asked if not any(fnmatchcase(action, pattern) for pattern in allowed)] == []
    assert "s3:GetObjectAcl" in asked


def test_buckets_and_roles_are_named() -> None:
    by_sid = {statement["Sid"]: statement for statement in INSTALLER["Statement"]}
    assert by_sid["Objects"]["Resource"] == [
        "arn:aws:s3:::example-kops-oidc-store/*",
        "arn:aws:s3:::example-kops-state-store/*",
    ]
    assert by_sid["PassRoles"]["Resource"] == ["arn:aws:iam::*:role/*.k8s.example.com"]
    assert all("s3:" not in action for action in by_sid["Build"]["Action"])


def test_the_reader_changes_nothing() -> None:
    looking = ("Get", "List", "Describe", "Simulate")
    assert [action for action in actions(READER) if not action.split(":")[1].startswith(looking)] == []
    assert actions(READER) < actions(INSTALLER)


def test_another_partition_has_its_own_arns() -> None:
    document = json.dumps(policy.installer(state_store="example-kops", partition="aws-cn"))
    assert "arn:aws-cn:s3:::example-kops" in document
    assert "arn:aws:" not in document


def test_a_group_is_made_once_and_follows_the_policy(account: Account) -> None:
    first = make_group(account, policy.installer(state_store="example-kops"))
    for store in ["example-kops", *(f"other-{number}" for number in range(7))]:
        assert make_group(account, policy.installer(state_store=store)) == first
    iam = account.client("iam")
    attached = iam.list_attached_group_policies(GroupName="kops")["AttachedPolicies"]
    assert [one["PolicyArn"] for one in attached] == [first] == ["arn:aws:iam::123456789012:policy/boatyard/kops"]
    default = iam.get_policy(PolicyArn=first)["Policy"]["DefaultVersionId"]
    held = iam.get_policy_version(PolicyArn=first, VersionId=default)["PolicyVersion"]["Document"]
    assert held == policy.installer(state_store="other-6")
    assert len(iam.list_policy_versions(PolicyArn=first)["Versions"]) == 5


def test_a_role_is_made_once_and_trusts_whom_it_is_told_to(account: Account) -> None:
    document = policy.reader(state_store="example-kops")
    arn = make_role(account, document, "arn:aws:iam::123456789012:user/anna", "readers")
    assert make_role(account, document, "arn:aws:iam::123456789012:user/ben", "readers") == arn
    role = account.client("iam").get_role(RoleName="readers")["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {
        "AWS": "arn:aws:iam::123456789012:user/ben"
    }
    assert account.client("iam").list_attached_role_policies(RoleName="readers")["AttachedPolicies"]


def test_a_session_counts_by_its_role_with_the_roles_path(account_of: Any) -> None:
    account = account_of()
    arn = make_role(account, policy.reader(state_store="x"), "arn:aws:iam::123456789012:user/anna", "readers")
    assert principal(account) == "arn:aws:iam::123456789012:user/moto"
    assert principal(account_of(role=arn)) == arn == "arn:aws:iam::123456789012:role/boatyard/readers"
    assert principal(account_of(role="arn:aws:iam::123456789012:role/gone")) == "arn:aws:iam::123456789012:role/gone"
