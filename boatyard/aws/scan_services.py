"""What the services around EC2 list: Auto Scaling, load balancers, queues, event rules, IAM, S3."""

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from boatyard.aws import prices
from boatyard.aws.errors import AwsNotFound
from boatyard.aws.ownership import ROLE_LENGTH, RULES, is_cluster, queue_name, told_by
from boatyard.aws.scan import GLOBAL, Look, Seen, View, if_there, in_batches, moment, tags_of

_BALANCER_PRICES = {
    "network": prices.NETWORK_LOAD_BALANCER,
    "application": prices.NETWORK_LOAD_BALANCER,
    "gateway": prices.GATEWAY_LOAD_BALANCER,
}
_RULE = re.compile(rf".+-(?:{'|'.join(RULES)})")


def auto_scaling_groups(view: View) -> Iterator[Seen]:
    parameters = {"PaginationConfig": {"PageSize": 100}}
    for item in view.pages("autoscaling", "describe_auto_scaling_groups", "AutoScalingGroups[]", **parameters):
        subnets = tuple(filter(None, (item.get("VPCZoneIdentifier") or "").split(",")))
        yield Seen(
            "autoscaling-group",
            item["AutoScalingGroupName"],
            item["AutoScalingGroupName"],
            view.region,
            tags_of(item.get("Tags")),
            within=subnets,
            uses=tuple(_templates(item)),
            state=item.get("Status") or f"{len(item.get('Instances') or ())} of {item['DesiredCapacity']} instances",
            created=moment(item.get("CreatedTime")),
        )


def _templates(group: Mapping[str, Any]) -> Iterator[str]:
    """Ids of the launch templates of an Auto Scaling group."""
    mixed = (group.get("MixedInstancesPolicy") or {}).get("LaunchTemplate") or {}
    for each in (group.get("LaunchTemplate") or {}, mixed.get("LaunchTemplateSpecification") or {}):
        if each.get("LaunchTemplateId"):
            yield each["LaunchTemplateId"]


def load_balancers(view: View) -> Iterator[Seen]:
    for item, tags in _of_elbv2(view, "describe_load_balancers", "LoadBalancer"):
        yield Seen(
            "load-balancer",
            item["LoadBalancerArn"],
            item["LoadBalancerName"],
            view.region,
            tags,
            vpc=item.get("VpcId"),
            within=tuple(item.get("SecurityGroups") or ()),
            state=(item.get("State") or {}).get("Code", ""),
            created=moment(item.get("CreatedTime")),
            monthly_cost=_BALANCER_PRICES.get(item.get("Type", "")),
        )


def target_groups(view: View) -> Iterator[Seen]:
    for item, tags in _of_elbv2(view, "describe_target_groups", "TargetGroup"):
        yield Seen(
            "target-group",
            item["TargetGroupArn"],
            item["TargetGroupName"],
            view.region,
            tags,
            vpc=item.get("VpcId"),
        )


def _of_elbv2(view: View, operation: str, word: str) -> Iterator[tuple[Mapping[str, Any], dict[str, str]]]:
    """What is listed, with its tags, which have to be asked for. word: as in the answer's `LoadBalancers`."""

    def ask(batch: Sequence[str]) -> dict[str, dict[str, str]]:
        answer = view.ask("elbv2", "describe_tags", ResourceArns=list(batch))
        return {each["ResourceArn"]: tags_of(each.get("Tags")) for each in answer["TagDescriptions"]}

    found = list(view.pages("elbv2", operation, f"{word}s[]"))
    tags = in_batches([item[f"{word}Arn"] for item in found], 20, ask)
    for item in found:
        yield item, tags.get(item[f"{word}Arn"], {})


def classic_load_balancers(view: View) -> Iterator[Seen]:
    def ask(batch: Sequence[str]) -> dict[str, dict[str, str]]:
        answer = view.ask("elb", "describe_tags", LoadBalancerNames=list(batch))
        return {each["LoadBalancerName"]: tags_of(each.get("Tags")) for each in answer["TagDescriptions"]}

    found = list(view.pages("elb", "describe_load_balancers", "LoadBalancerDescriptions[]"))
    tags = in_batches([item["LoadBalancerName"] for item in found], 20, ask)
    for item in found:
        name = item["LoadBalancerName"]
        yield Seen(
            "classic-load-balancer",
            name,
            name,
            view.region,
            tags.get(name, {}),
            vpc=item.get("VPCId") or None,
            within=tuple(item.get("SecurityGroups") or ()),
            created=moment(item.get("CreatedTime")),
            monthly_cost=prices.CLASSIC_LOAD_BALANCER,
        )


def queues(view: View) -> Iterator[Seen]:
    """kOps' queues end with `-nth`; of one cluster, only the one so named is asked about."""
    wanted = None if view.clusters is None else {queue_name(cluster) for cluster in view.clusters}
    prefixes = [None] if wanted is None else sorted(wanted)
    for prefix in prefixes:
        only = {} if prefix is None else {"QueueNamePrefix": prefix}
        for url in view.pages("sqs", "list_queues", "QueueUrls[]", PaginationConfig={"PageSize": 1000}, **only):
            name = str(url).rpartition("/")[2]
            if name.endswith("-nth") and (wanted is None or name in wanted):
                yield from _queue(view, str(url), name)


def _queue(view: View, url: str, name: str) -> Iterator[Seen]:
    tags = if_there(lambda: view.ask("sqs", "list_queue_tags", QueueUrl=url))
    about = if_there(lambda: view.ask("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["CreatedTimestamp"]))
    if tags is not None and about is not None:
        born = (about.get("Attributes") or {}).get("CreatedTimestamp")
        yield Seen("sqs", url, name, view.region, tags.get("Tags") or {}, created=moment(born))


def event_rules(view: View) -> Iterator[Seen]:
    """Those with the names that kOps gives; they are cut after 33 letters of the cluster's."""
    for item in view.pages("events", "list_rules", "Rules[]"):
        name = item["Name"]
        if not _RULE.fullmatch(name):
            continue
        if view.clusters is not None and not any(name.startswith(cluster[:33]) for cluster in view.clusters):
            continue
        answer = if_there(partial(view.ask, "events", "list_tags_for_resource", ResourceARN=item["Arn"]))
        if answer is not None:
            yield Seen(
                "eventbridge-rule", name, name, view.region, tags_of(answer.get("Tags")), state=item.get("State", "")
            )


def roles(view: View) -> Iterator[Seen]:
    for item in view.pages("iam", "list_roles", "Roles[]", PaginationConfig={"PageSize": 1000}):
        if not item.get("Path", "/").startswith("/aws-service-role/"):
            yield from _by_name(view, "iam-role", item, "get_role", "Role")


def instance_profiles(view: View) -> Iterator[Seen]:
    pages = view.pages("iam", "list_instance_profiles", "InstanceProfiles[]", PaginationConfig={"PageSize": 1000})
    for item in pages:
        yield from _by_name(view, "iam-instance-profile", item, "get_instance_profile", "InstanceProfile")


def _by_name(view: View, kind: str, item: Mapping[str, Any], operation: str, word: str) -> Iterator[Seen]:
    """A name that tells its cluster is believed; only for others are tags asked for, one by one."""
    name = item[f"{word}Name"]
    if not view.may_be(name, cut_at=ROLE_LENGTH):
        return
    if told_by(kind, name) is not None:
        yield _of_iam(kind, name, name, {}, item)
        return
    answer = if_there(partial(view.ask, "iam", operation, **{f"{word}Name": name}))
    if answer is not None:
        yield _of_iam(kind, name, name, answer[word], item)


def policies(view: View) -> Iterator[Seen]:
    """Customer-managed ones. kOps itself writes its policies into the roles, with which they go."""
    parameters = {"Scope": "Local", "PaginationConfig": {"PageSize": 1000}}
    for item in view.pages("iam", "list_policies", "Policies[]", **parameters):
        if not view.may_be(item["PolicyName"], cut_at=128):
            continue
        arn = item["Arn"]
        answer = if_there(partial(view.ask, "iam", "get_policy", PolicyArn=arn))
        if answer is not None:
            yield _of_iam("iam-policy", arn, item["PolicyName"], answer["Policy"], item)


def _of_iam(kind: str, identity: str, name: str, answer: Mapping[str, Any], item: Mapping[str, Any]) -> Seen:
    return Seen(kind, identity, name, tags=tags_of(answer.get("Tags")), created=moment(item.get("CreateDate")))


def oidc_providers(view: View) -> Iterator[Seen]:
    """The cluster's name is the last part of the issuer's URL, or follows `api.internal.` in its host."""
    for item in view.pages("iam", "list_open_id_connect_providers", "OpenIDConnectProviderList[]"):
        arn = item["Arn"]
        answer = if_there(partial(view.ask, "iam", "get_open_id_connect_provider", OpenIDConnectProviderArn=arn))
        if answer is None:
            continue
        url = urlsplit("https://" + str(answer.get("Url", "")).removeprefix("https://"))
        names = {url.path.rpartition("/")[2]}
        if (url.hostname or "").startswith("api.internal."):
            names.add((url.hostname or "").removeprefix("api.internal."))
        yield Seen(
            "oidc-provider",
            arn,
            f"{url.netloc}{url.path}",
            tags=tags_of(answer.get("Tags")),
            created=moment(answer.get("CreateDate")),
            told=frozenset(filter(is_cluster, names)),
        )


def objects(view: View, kind: str, store: str, cluster: str) -> Iterator[Seen]:
    """The folder of a cluster in a bucket, as one: kOps' records and backups, or its OIDC discovery documents.

    store: `s3://bucket` or `s3://bucket/prefix`. Old versions of objects are the bucket's lifecycle rule's to remove.
    """
    bucket, _, above = store.removeprefix("s3://").partition("/")
    folder = f"{above.strip('/')}/{cluster}/".lstrip("/")
    count, stored, oldest = 0, 0, None
    try:
        for item in view.pages("s3", "list_objects_v2", "Contents[]", Bucket=bucket, Prefix=folder):
            count, stored = count + 1, stored + item["Size"]
            oldest = _earlier(oldest, moment(item["LastModified"]))
    except AwsNotFound:
        return
    if count:
        yield Seen(
            kind,
            f"s3://{bucket}/{folder}",
            cluster,
            GLOBAL,
            state=f"{count} objects",
            created=oldest,
            monthly_cost=prices.objects(stored),
            told=frozenset({cluster}),
        )


def _earlier(one: datetime | None, other: datetime | None) -> datetime | None:
    return min(filter(None, (one, other)), default=None)


REGIONAL: tuple[Look, ...] = (
    auto_scaling_groups,
    load_balancers,
    target_groups,
    classic_load_balancers,
    queues,
    event_rules,
)
WORLDWIDE: tuple[Look, ...] = (roles, instance_profiles, policies, oidc_providers)
