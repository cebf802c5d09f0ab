"""May we do what kOps will do? Asked of IAM's own simulator before anything is made. And the group or role that may."""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, fine, warning, wrong
from boatyard.aws.errors import AwsDenied, AwsNotFound, told
from boatyard.aws.policy import Document, installer

PATH = "/boatyard/"
_MOST_VERSIONS = 5  # of one managed policy; IAM quotas


def examine(account: Account, needs: Needs) -> list[Check]:
    """The actions of the installer's policy that our identity lacks, one check a service, each action named."""
    who = principal(account)
    if who is None:
        return [fine("permissions")] if account.arn.endswith(":root") else [_cannot("a federated user has no policies")]
    wanted = installer(
        state_store=needs.state_store,
        discovery_store=needs.discovery_store,
        cluster=needs.cluster,
        partition=account.partition,
    )
    try:
        refused = [refusal for statement in wanted["Statement"] for refusal in _simulate(account, who, statement)]
    except AwsDenied as error:
        return [_cannot(error.message)]
    services = sorted({action.split(":")[0] for action, _ in refused})
    return [_lacking(who, service, refused) for service in services] or [fine("permissions")]


def principal(account: Account) -> str | None:
    """ARN of the user or role whose policies count; None for the root user and for federated users."""
    arn = account.arn
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "user":
        return f"arn:{account.partition}:iam::{account.id}:user/{name}"
    if kind != "assumed-role":
        return None
    role = name.split("/")[0]
    try:
        with told(f"reading the role {role}"):
            # A session's ARN leaves out the role's path, which single sign-on roles have.
            return str(account.client("iam").get_role(RoleName=role)["Role"]["Arn"])
    except (AwsDenied, AwsNotFound):
        return f"arn:{account.partition}:iam::{account.id}:role/{role}"


def _simulate(account: Account, who: str, statement: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(action, why) of those that are not allowed on the statement's resources."""
    asked = {
        "PolicySourceArn": who,
        "ActionNames": sorted({name for action in statement["Action"] for name in _SAMPLES.get(action, (action,))}),
        "ResourceArns": [
            arn.replace("::*:", f"::{account.id}:").replace("*", "boatyard") if arn != "*" else arn
            for arn in statement["Resource"]
        ],
        "ContextEntries": [
            {"ContextKeyName": key, "ContextKeyType": "string", "ContextKeyValues": [_first(value)]}
            for key, value in statement.get("Condition", {}).get("StringEquals", {}).items()
        ],
    }
    return [
        (result["EvalActionName"], _why(result))
        for result in account.pages("iam", "simulate_principal_policy", "EvaluationResults", **asked)
        if result["EvalDecision"] != "allowed"
    ]


_SAMPLES = {
    "autoscaling:Describe*": ("autoscaling:DescribeAutoScalingGroups", "autoscaling:DescribeLifecycleHooks"),
    "ec2:AuthorizeSecurityGroup*": ("ec2:AuthorizeSecurityGroupIngress", "ec2:AuthorizeSecurityGroupEgress"),
    "ec2:RevokeSecurityGroup*": ("ec2:RevokeSecurityGroupIngress", "ec2:RevokeSecurityGroupEgress"),
    "ec2:Describe*": (
        "ec2:DescribeAvailabilityZones",
        "ec2:DescribeImages",
        "ec2:DescribeInstanceTypes",
        "ec2:DescribeInstances",
        "ec2:DescribeLaunchTemplates",
        "ec2:DescribeRouteTables",
        "ec2:DescribeSecurityGroups",
        "ec2:DescribeSubnets",
        "ec2:DescribeVolumes",
        "ec2:DescribeVpcs",
    ),
    "elasticloadbalancing:Describe*": (
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeTargetGroups",
    ),
    "iam:Tag*": ("iam:TagInstanceProfile", "iam:TagOpenIDConnectProvider", "iam:TagRole"),
    "iam:Untag*": ("iam:UntagInstanceProfile", "iam:UntagOpenIDConnectProvider", "iam:UntagRole"),
    "route53:ListHostedZones*": ("route53:ListHostedZones", "route53:ListHostedZonesByName"),
}
"""The simulator takes no patterns: pattern → actions that are asked about in its place."""


def _first(value: Any) -> str:
    return value if isinstance(value, str) else str(value[0])


def _why(result: Mapping[str, Any]) -> str:
    """In whose power it is to allow it."""
    if (result.get("OrganizationsDecisionDetail") or {}).get("AllowedByOrganizations") is False:
        return "by a policy of the organization"
    if (result.get("PermissionsBoundaryDecisionDetail") or {}).get("AllowedByPermissionsBoundary") is False:
        return "by the permissions boundary"
    return "by a Deny" if result["EvalDecision"] == "explicitDeny" else ""


def _lacking(who: str, service: str, refused: Iterable[tuple[str, str]]) -> Check:
    named = sorted(
        {f"{action} ({why})" if why else action for action, why in refused if action.startswith(f"{service}:")}
    )
    fix = "Attach what `boatyard aws policy installer` prints to it, or have the one who set the limit lift it."
    return wrong(f"permissions for {service}", f"{who} may not: {', '.join(named)}.", fix)


def _cannot(why: str) -> Check:
    fix = (
        "Allow iam:SimulatePrincipalPolicy to have missing permissions named beforehand; otherwise AWS tells the first."
    )
    return warning("permissions", f"Permissions could not be checked: {why.rstrip('.')}.", fix)


def make_group(account: Account, document: Document, name: str = "kops") -> str:
    """An IAM group with `document` attached, as kOps' guide makes one; returns the policy's ARN. Safe to repeat."""
    iam = account.client("iam")
    policy = _policy(account, document, name)
    with told(f"making the group {name}"):
        with suppress(iam.exceptions.EntityAlreadyExistsException):
            iam.create_group(GroupName=name, Path=PATH)
        iam.attach_group_policy(GroupName=name, PolicyArn=policy)
    return policy


def make_role(account: Account, document: Document, trusted: str, name: str = "kops") -> str:
    """An IAM role with `document` attached that `trusted` (an ARN) may take on; returns its ARN. Safe to repeat."""
    iam = account.client("iam")
    policy = _policy(account, document, name)
    trust = {"Effect": "Allow", "Principal": {"AWS": trusted}, "Action": "sts:AssumeRole"}
    document_of_trust = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    with told(f"making the role {name}"):
        try:
            role = iam.create_role(RoleName=name, Path=PATH, AssumeRolePolicyDocument=document_of_trust)["Role"]
        except iam.exceptions.EntityAlreadyExistsException:
            role = iam.get_role(RoleName=name)["Role"]
            if role["AssumeRolePolicyDocument"] != json.loads(document_of_trust):
                iam.update_assume_role_policy(RoleName=name, PolicyDocument=document_of_trust)
        iam.attach_role_policy(RoleName=name, PolicyArn=policy)
    return str(role["Arn"])


def _policy(account: Account, document: Document, name: str) -> str:
    """The managed policy `name`, with `document` as its default version; its ARN."""
    iam = account.client("iam")
    arn = f"arn:{account.partition}:iam::{account.id}:policy{PATH}{name}"
    with told(f"making the policy {name}"):
        try:
            held = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
        except iam.exceptions.NoSuchEntityException:
            made = iam.create_policy(PolicyName=name, Path=PATH, PolicyDocument=_compact(document))
            return str(made["Policy"]["Arn"])
        if iam.get_policy_version(PolicyArn=arn, VersionId=held)["PolicyVersion"]["Document"] != document:
            _make_room(iam, arn)
            iam.create_policy_version(PolicyArn=arn, PolicyDocument=_compact(document), SetAsDefault=True)
    return arn


def _make_room(iam: Any, arn: str) -> None:
    """IAM keeps five versions: the oldest that is not in use goes."""
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    if len(versions) >= _MOST_VERSIONS:
        unused = sorted((v["CreateDate"], v["VersionId"]) for v in versions if not v["IsDefaultVersion"])
        iam.delete_policy_version(PolicyArn=arn, VersionId=unused[0][1])


def _compact(document: Document) -> str:
    return json.dumps(document, separators=(",", ":"))
