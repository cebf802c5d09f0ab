"""IAM policies with the least that will do, as documents.

What the installer needs was taken from the AWS calls in kOps' own source (August 2026), not from its getting-started
page, which asks for seven `…FullAccess` policies, and is held to the calls of a recorded life. What nodes get is what
kOps gives them (its integration tests).
"""

from collections.abc import Iterable, Mapping
from typing import Any

Document = dict[str, Any]

READ: Mapping[str, tuple[str, ...]] = {
    "autoscaling": ("Describe*",),
    "ec2": ("Describe*", "GetInstanceTypesFromInstanceRequirements"),
    "elasticloadbalancing": ("Describe*",),
    "events": ("ListRules", "ListTagsForResource", "ListTargetsByRule"),
    "iam": (
        "GetInstanceProfile",
        "GetOpenIDConnectProvider",
        "GetPolicy",
        "GetRole",
        "GetRolePolicy",
        "ListAttachedRolePolicies",
        "ListInstanceProfiles",
        "ListOpenIDConnectProviders",
        "ListPolicies",
        "ListRolePolicies",
        "ListRoles",
        "SimulatePrincipalPolicy",
    ),
    "route53": ("GetChange", "GetHostedZone", "ListHostedZones*", "ListResourceRecordSets", "ListTagsForResource"),
    "servicequotas": ("GetServiceQuota",),
    "sqs": ("GetQueueAttributes", "ListQueueTags", "ListQueues"),
    "tag": ("GetResources",),
}
"""Service → actions that only look."""

WRITE: Mapping[str, tuple[str, ...]] = {
    "autoscaling": (
        "AttachInstances",
        "AttachLoadBalancerTargetGroups",
        "AttachLoadBalancers",
        "CreateAutoScalingGroup",
        "CreateOrUpdateTags",
        "DeleteAutoScalingGroup",
        "DeleteLifecycleHook",
        "DeleteTags",
        "DeleteWarmPool",
        "DetachInstances",
        "DetachLoadBalancerTargetGroups",
        "DetachLoadBalancers",
        "EnableMetricsCollection",
        "PutLifecycleHook",
        "PutWarmPool",
        "ResumeProcesses",
        "SuspendProcesses",
        "TerminateInstanceInAutoScalingGroup",
        "UpdateAutoScalingGroup",
    ),
    "ec2": (
        "AllocateAddress",
        "AssociateDhcpOptions",
        "AssociateRouteTable",
        "AssociateSubnetCidrBlock",
        "AssociateVpcCidrBlock",
        "AttachInternetGateway",
        "AuthorizeSecurityGroup*",
        "CreateDhcpOptions",
        "CreateEgressOnlyInternetGateway",
        "CreateInternetGateway",
        "CreateLaunchTemplate",
        "CreateLaunchTemplateVersion",
        "CreateNatGateway",
        "CreateRoute",
        "CreateRouteTable",
        "CreateSecurityGroup",
        "CreateSubnet",
        "CreateTags",
        "CreateVolume",
        "CreateVpc",
        "DeleteDhcpOptions",
        "DeleteEgressOnlyInternetGateway",
        "DeleteInternetGateway",
        "DeleteKeyPair",
        "DeleteLaunchTemplate",
        "DeleteLaunchTemplateVersions",
        "DeleteNatGateway",
        "DeleteNetworkInterface",
        "DeleteRoute",
        "DeleteRouteTable",
        "DeleteSecurityGroup",
        "DeleteSubnet",
        "DeleteTags",
        "DeleteVolume",
        "DeleteVpc",
        "DetachInternetGateway",
        "DisassociateRouteTable",
        "DisassociateSubnetCidrBlock",
        "DisassociateVpcCidrBlock",
        "ImportKeyPair",
        "ModifyInstanceAttribute",
        "ModifyLaunchTemplate",
        "ModifySubnetAttribute",
        "ModifyVolume",
        "ModifyVpcAttribute",
        "ReleaseAddress",
        "ReplaceRoute",
        "RevokeSecurityGroup*",
        "RunInstances",
        "TerminateInstances",
    ),
    "elasticloadbalancing": (
        "AddTags",
        "CreateListener",
        "CreateLoadBalancer",
        "CreateTargetGroup",
        "DeleteListener",
        "DeleteLoadBalancer",
        "DeleteTargetGroup",
        "DeregisterInstancesFromLoadBalancer",
        "DeregisterTargets",
        "ModifyListener",
        "ModifyLoadBalancerAttributes",
        "ModifyTargetGroup",
        "ModifyTargetGroupAttributes",
        "RegisterTargets",
        "RemoveTags",
        "SetIpAddressType",
        "SetSecurityGroups",
        "SetSubnets",
    ),
    "events": ("DeleteRule", "PutRule", "PutTargets", "RemoveTargets", "TagResource"),
    "route53": (
        "AssociateVPCWithHostedZone",
        "ChangeResourceRecordSets",
        "ChangeTagsForResource",
        "CreateHostedZone",
    ),
    "sqs": ("CreateQueue", "DeleteQueue", "SetQueueAttributes", "TagQueue"),
}
"""Service → actions that change something; on any resource, since most have no name before they are made."""

ROLES = (
    "AddClientIDToOpenIDConnectProvider",
    "AddRoleToInstanceProfile",
    "AttachRolePolicy",
    "CreateInstanceProfile",
    "CreateOpenIDConnectProvider",
    "CreateRole",
    "DeleteInstanceProfile",
    "DeleteOpenIDConnectProvider",
    "DeleteRole",
    "DeleteRolePermissionsBoundary",
    "DeleteRolePolicy",
    "DetachRolePolicy",
    "PutRolePermissionsBoundary",
    "PutRolePolicy",
    "RemoveClientIDFromOpenIDConnectProvider",
    "RemoveRoleFromInstanceProfile",
    "Tag*",
    "Untag*",
    "UpdateAssumeRolePolicy",
    "UpdateOpenIDConnectProviderThumbprint",
)
"""IAM actions on the roles of clusters."""

LINKED = ("autoscaling.amazonaws.com", "elasticloadbalancing.amazonaws.com", "spot.amazonaws.com")
"""Services that make a role of their own when they are first used."""

_BUCKET_READ = (
    "GetBucketLocation",
    "GetBucketOwnershipControls",
    "GetBucketPolicy",
    "GetBucketPolicyStatus",
    "GetBucketPublicAccessBlock",
    "GetBucketVersioning",
    "GetEncryptionConfiguration",
    "GetLifecycleConfiguration",
    "ListBucket",
    "ListBucketVersions",
)
_BUCKET_WRITE = (
    "CreateBucket",
    "PutBucketOwnershipControls",
    "PutBucketPolicy",
    "PutBucketPublicAccessBlock",
    "PutBucketVersioning",
    "PutEncryptionConfiguration",
    "PutLifecycleConfiguration",
)
_OBJECT_READ = ("GetObject", "GetObjectAcl", "GetObjectVersion")
"""kOps asks for the access list of every file of the record that is there already."""
_OBJECT_WRITE = ("DeleteObject", "DeleteObjectVersion", "PutObject", "PutObjectAcl")


def installer(
    *, state_store: str, discovery_store: str | None = None, cluster: str = "*", partition: str = "aws"
) -> Document:
    """For whoever runs Boatyard and kOps. state_store, discovery_store: bucket names.

    cluster: name or pattern (`*.k8s.example.com`) of the clusters whose IAM roles may be changed.
    """
    buckets = sorted({state_store, discovery_store or state_store})
    iam = f"arn:{partition}:iam::*"
    named = f"*{cluster.lstrip('*')}"  # kOps' roles are called nodes.NAME, masters.NAME and so on
    roles = [f"{iam}:{kind}/{named}" for kind in ("role", "instance-profile")] + [f"{iam}:oidc-provider/*"]
    passed = {"StringEquals": {"iam:PassedToService": "ec2.amazonaws.com"}}
    linked = {"StringEquals": {"iam:AWSServiceName": list(LINKED)}}
    return _document(
        _allow("Look", _named(READ), ["*"]),
        _allow("Build", _named(WRITE), ["*"]),
        _allow("Roles", [f"iam:{action}" for action in ROLES], roles),
        _allow("PassRoles", ["iam:PassRole"], roles[:1], passed),
        _allow("LinkedRoles", ["iam:CreateServiceLinkedRole"], [f"{iam}:role/aws-service-role/*"], linked),
        _allow("Buckets", [f"s3:{action}" for action in _BUCKET_READ + _BUCKET_WRITE], _arns(buckets, partition)),
        _allow("Objects", [f"s3:{action}" for action in _OBJECT_READ + _OBJECT_WRITE], _arns(buckets, partition, "/*")),
    )


def reader(*, state_store: str, discovery_store: str | None = None, partition: str = "aws") -> Document:
    """For `boatyard plan`, `status`, `aws orphans` and health sweeps: looks at all of a cluster, changes nothing.

    Reading the state store includes the clusters' private keys, without which the API servers cannot be reached.
    """
    buckets = sorted({state_store, discovery_store or state_store})
    return _document(
        _allow("Look", _named(READ), ["*"]),
        _allow("Buckets", [f"s3:{action}" for action in _BUCKET_READ], _arns(buckets, partition)),
        _allow("Objects", [f"s3:{action}" for action in _OBJECT_READ], _arns(buckets, partition, "/*")),
    )


def nodes() -> Document:
    """For worker nodes, as kOps gives it to them: images from ECR and nothing else; the rest comes from their control
    plane."""
    actions = ["BatchCheckLayerAvailability", "BatchGetImage", "DescribeRepositories", "GetAuthorizationToken"]
    actions += ["GetDownloadUrlForLayer", "GetRepositoryPolicy", "ListImages"]
    return _document(_allow("Images", [f"ecr:{action}" for action in actions], ["*"]))


def _named(actions: Mapping[str, Iterable[str]]) -> list[str]:
    return [f"{service}:{action}" for service in sorted(actions) for action in actions[service]]


def _arns(buckets: Iterable[str], partition: str, suffix: str = "") -> list[str]:
    return [f"arn:{partition}:s3:::{bucket}{suffix}" for bucket in buckets]


def _allow(sid: str, actions: list[str], on: list[str], when: Mapping[str, Any] | None = None) -> Document:
    statement: Document = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": on}
    return {**statement, "Condition": dict(when)} if when else statement


def _document(*statements: Document) -> Document:
    return {"Version": "2012-10-17", "Statement": list(statements)}
