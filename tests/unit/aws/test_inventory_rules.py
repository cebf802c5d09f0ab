"""What tags and names say, and what things cost: pure rules."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatyard.aws import ownership, prices
from boatyard.aws.inventory import Found, owners
from boatyard.aws.orphans import unknown
from boatyard.aws.scan import Seen

NAME = "k8s.example.com"
RECORDED = Path(__file__).parents[2] / "cases" / "inventory" / "recorded-deletion.json"


def test_every_name_that_kops_printed_before_deleting_is_known() -> None:
    """The list of a recorded `kops delete cluster`: each name alone tells the cluster, where a name can."""
    recorded = json.loads(RECORDED.read_text())
    names = ownership.Names({recorded["cluster"], "example.com", "other.example.com"})
    untold = [each for each in recorded["resources"] if names.of(*each) != {recorded["cluster"]}]
    assert [kind for kind, _ in untold] == recorded["told_by_tags_alone"]


@pytest.mark.parametrize(
    ("tags", "said", "shared"),
    [
        ({"KubernetesCluster": NAME}, {NAME}, set()),
        ({f"kubernetes.io/cluster/{NAME}": "owned"}, {NAME}, set()),
        ({f"kubernetes.io/cluster/{NAME}": "shared"}, set(), {NAME}),
        ({f"kubernetes.io/cluster/{NAME}": "shared", "KubernetesCluster": NAME}, set(), {NAME}),
        ({f"kubernetes.io/cluster/{NAME}": "owned", "KubernetesCluster": "b.example.com"}, {NAME}, set()),
        ({f"kubernetes.io/cluster/{NAME}": "owned", "kubernetes.io/cluster/b.c": "shared"}, {NAME}, {"b.c"}),
        ({f"kubernetes.io/cluster/{NAME}": "true"}, set(), set()),
        ({f"k8s.io/cluster/{NAME}": "owned"}, {NAME}, set()),
        ({f"k8s.io/cluster-autoscaler/{NAME}": "owned", "k8s.io/cluster-autoscaler/enabled": "owned"}, {NAME}, set()),
        ({"elbv2.k8s.aws/cluster": NAME}, {NAME}, set()),
        ({"cluster.k8s.amazonaws.com/name": NAME}, {NAME}, set()),
        ({"k8s.io/role/node": "1", "Name": f"nodes.{NAME}"}, set(), set()),
        ({"KubernetesCluster": ""}, set(), set()),
    ],
)
def test_tags_say_whose(tags: dict[str, str], said: set[str], shared: set[str]) -> None:
    assert ownership.claim(tags) == ownership.Claim(frozenset(said), frozenset(shared))


@pytest.mark.parametrize(
    ("kind", "name", "cluster"),
    [
        ("keypair", f"kubernetes.{NAME}-dd:5a:97:fb:60:d6:e5:54:8c:3a:35:2a:38:32:26:9d", NAME),
        ("keypair", f"kubernetes.{NAME}", NAME),
        ("keypair", "laptop", None),
        ("iam-role", f"masters.{NAME}", NAME),
        ("iam-role", f"ebs-csi-controller-sa.kube-system.sa.{NAME}", NAME),
        ("iam-role", "nodes.team", None),
        ("iam-role", "nodes." + "a" * 50 + ".example", None),
        ("security-group", f"api-elb.{NAME}", NAME),
        ("security-group", f"web.{NAME}", None),
        ("volume", f"a.etcd-main.{NAME}", NAME),
        ("volume", f"{NAME}-dynamic-pvc-1", None),
        ("eventbridge-rule", f"{NAME}-SpotInterruption", NAME),
        ("eventbridge-rule", f"{NAME}-backup", None),
        ("autoscaling-group", f"control-plane-a.masters.{NAME}", NAME),
        ("autoscaling-group", f"nodes-a.{NAME}", None),
        ("vpc", NAME, None),
    ],
)
def test_some_names_tell_a_cluster_nobody_asked_for(kind: str, name: str, cluster: str | None) -> None:
    assert ownership.told_by(kind, name) == cluster


@pytest.mark.parametrize("name", ["prod.k8s.example.com", "example.com", "my-k8s.example.com", "k8s.example.com.au"])
def test_no_name_of_one_cluster_is_anothers(name: str) -> None:
    both = ownership.Names({NAME, name})
    for cluster in (NAME, name):
        made = [("iam-role", f"nodes.{cluster}"), ("security-group", f"masters.{cluster}")]
        made += [("autoscaling-group", f"nodes-a.{cluster}"), ("launch-template", f"nodes-a.{cluster}")]
        made += [("sqs", ownership.queue_name(cluster)), ("volume", f"a.etcd-main.{cluster}")]
        made += [("load-balancer", ownership.hashed("api", cluster)), ("keypair", f"kubernetes.{cluster}")]
        prefixes = ("api", "api.internal", "kops-controller.internal", "bastion", "etcd-a.internal", "etcd-events-b")
        made += [("route53-record", f"{prefix}.{cluster}") for prefix in prefixes]
        assert [(each, both.of(*each)) for each in made if both.of(*each) != {cluster}] == []


def test_a_chain_of_attachments_is_followed_and_a_half_one_is_not() -> None:
    ours = {f"kubernetes.io/cluster/{NAME}": "owned"}
    seen = [
        Seen("elastic-ip", "eipalloc-1", within=("eni-1",)),
        Seen("network-interface", "eni-1", within=("sg-1",)),
        Seen("security-group", "sg-1", "x", tags=ours),
        Seen("security-group", "sg-2", "y"),
        Seen("load-balancer", "lb", within=("sg-1", "sg-2")),
        Seen("launch-template", "lt-1", "t"),
        Seen("autoscaling-group", "one", "one", tags=ours, uses=("lt-1", "lt-2")),
        Seen("launch-template", "lt-2", "u"),
        Seen("autoscaling-group", "two", "two", uses=("lt-2",)),
        Seen("volume", "vol-1", within=("sg-1",), tags={f"kubernetes.io/cluster/{NAME}": "shared"}),
    ]
    assert [each.identity for each, whose in zip(seen, owners(seen, {NAME}), strict=True) if whose] == [
        "eipalloc-1",
        "eni-1",
        "sg-1",
        "lt-1",
        "one",
    ]


def found(identity: str, cluster: str, cost: float | None = 1.0, **more: object) -> Found:
    rest: dict[str, object] = {"owner": "", "created": None} | more
    return Found("volume", identity, "", cluster, region="r", tags={}, monthly_cost=cost, state="", **rest)  # type: ignore[arg-type]


def test_what_a_known_cluster_has_is_no_orphan() -> None:
    when = datetime(2026, 1, 1, tzinfo=UTC)
    resources = {
        "known.example.com": [found("a", "known.example.com"), found("b", "known.example.com")],
        "both.example.com": [found("b", "both.example.com")],
        "cheap.example.com": [found("c", "cheap.example.com", 2.0)],
        "dear.example.com": [
            found("d", "dear.example.com", 9.0, owner="ann", created=when),
            found("e", "dear.example.com", None, owner="ann"),
            found("b", "dear.example.com"),
        ],
    }
    dear, cheap = unknown(resources, {"known.example.com", "elsewhere.example.com"})
    assert (dear.cluster, [each.identity for each in dear.resources]) == ("dear.example.com", ["d", "e"])
    assert (dear.monthly_cost, dear.unpriced, dear.owner, dear.oldest, dear.regions) == (9.0, 1, "ann", when, ("r",))
    assert (cheap.cluster, cheap.owner, cheap.oldest) == ("cheap.example.com", "", None)


@pytest.mark.parametrize(
    ("kind", "hour"),
    [
        ("t3.medium", 0.0416),
        ("t2.micro", 0.0116),
        ("m6i.large", 0.096),
        ("m6i.xlarge", 0.192),
        ("c6i.32xlarge", 5.44),
        ("m7i-flex.2xlarge", 0.38304),
        ("r5.24xlarge", 6.048),
        ("c7g.medium", 0.0363),
        ("i4i.16xlarge", 5.491),
        ("g5.2xlarge", 1.212),
    ],
)
def test_instances_cost_what_the_price_list_says(kind: str, hour: float) -> None:
    assert prices.instance(kind) == pytest.approx(hour * 730, rel=0.01)


@pytest.mark.parametrize("kind", ["m6i.metal", "p5.48xlarge", "m99.large", "large", "", "m6i.", "m6i.xxlarge"])
def test_what_the_table_does_not_know_has_no_price(kind: str) -> None:
    assert prices.instance(kind) is None
    assert prices.volume(kind, 10) is None


@pytest.mark.parametrize(
    ("kind", "gib", "iops", "throughput", "month"),
    [
        ("gp3", 20, 3000, 125, 1.6),
        ("gp3", 100, 4000, 225, 8 + 5 + 4),
        ("gp2", 100, 300, 0, 10),
        ("io1", 100, 1000, 0, 12.5 + 65),
        ("io2", 100, 70000, 0, 12.5 + 32000 * 0.065 + 32000 * 0.046 + 6000 * 0.032),
    ],
)
def test_volumes_cost_by_size_and_speed(kind: str, gib: int, iops: int, throughput: int, month: float) -> None:
    assert prices.volume(kind, gib, iops=iops, throughput=throughput) == pytest.approx(month)


def test_a_snapshot_of_unknown_size_has_no_price() -> None:
    assert prices.snapshot(None) is None
    assert prices.snapshot(2 * 2**30) == pytest.approx(0.1)
