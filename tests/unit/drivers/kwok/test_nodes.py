"""Node objects, sizes and names: pure."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.drivers.kwok import nodes, sizes
from boatyard.drivers.kwok.state import PoolRecord
from boatyard.errors import InvalidSpec


@pytest.mark.parametrize(
    ("size", "cpu", "memory"),
    [
        (None, "4", "16Gi"),
        ("m6i.large", "2", "8Gi"),
        ("m6i.xlarge", "4", "16Gi"),
        ("c6i.2xlarge", "8", "16Gi"),
        ("r7g.16xlarge", "64", "512Gi"),
        ("c6a.medium", "1", "2Gi"),
        ("t3.nano", "2", "512Mi"),
        ("t3.2xlarge", "8", "32Gi"),
        ("e2-standard-4", "4", "16Gi"),
        ("n2-highmem-8", "8", "64Gi"),
        ("Standard_D4s_v5", "4", "16Gi"),
        ("3x7", "3", "7Gi"),
    ],
)
def test_what_a_size_holds(size: str | None, cpu: str, memory: str) -> None:
    capacity = sizes.capacity(size)
    assert (capacity["cpu"], capacity["memory"]) == (cpu, memory)


@pytest.mark.parametrize(
    "size", ["0x4", "4x0", "m6i", "m6i.huge", "t3.16xlarge", "m6i.micro", "x", "", "4x16x1", "-1x2"]
)
def test_a_size_nobody_knows(size: str) -> None:
    if size == "":
        assert sizes.capacity(size) == sizes.capacity(None)
        return
    with pytest.raises(InvalidSpec, match="does not know the size"):
        sizes.capacity(size)


@given(st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True), st.integers(0, 30))
def test_names_are_new_and_short(pool: str, taken: int) -> None:
    existing = {name for _, name in itertools.islice(nodes.names(pool, set()), taken)}
    new = [name for _, name in itertools.islice(nodes.names(pool, existing), 20)]
    assert len(set(new) | existing) == 20 + taken
    assert all(len(name) <= 63 for name in new)


def test_a_pool_whose_name_looks_like_anothers_node() -> None:
    first = next(nodes.names("web", set()))[1]
    assert next(nodes.names(first, {first}))[1] != first
    assert next(nodes.names("web", {f"{first}-001"}))[1] == first


def test_two_long_names_that_begin_alike() -> None:
    one, other = ("p" * 60 + "a", "p" * 60 + "b")
    assert next(nodes.names(one, set()))[1] != next(nodes.names(other, set()))[1]


@pytest.mark.parametrize("text", ["a=b:NoSchedule", "a:NoExecute", "x.io/y=z:PreferNoSchedule"])
def test_a_taint_reads_back(text: str) -> None:
    assert nodes.taint_text(nodes.parse_taint(text)) == text


RECORD = PoolRecord("2x8", "1.35", {"team": "shop"}, ("a=b:NoSchedule",))


def test_a_new_node_is_as_ordered() -> None:
    node = nodes.build("demo", "web", RECORD, "web-001", 1)
    assert nodes.configured(node, RECORD)
    assert nodes.pool_of(node) == "web"
    assert nodes.size_of(node) == "2x8"
    assert nodes.version_of(node) == "1.35"
    assert not nodes.ready(node)


def test_a_pool_cannot_take_over_the_labels_that_say_whose_a_node_is() -> None:
    node = nodes.build(
        "demo", "web", PoolRecord("2x8", "1.35", {nodes.POOL: "other", nodes.HOSTNAME: "x"}), "web-001", 1
    )
    assert nodes.pool_of(node) == "web"
    assert node["metadata"]["labels"][nodes.HOSTNAME] == "web-001"


def test_configuring_replaces_ours_and_keeps_foreign() -> None:
    node = nodes.build("demo", "web", RECORD, "web-001", 1)
    node["metadata"]["resourceVersion"] = "7"
    node["metadata"]["labels"]["foreign"] = "yes"
    node["spec"]["taints"].append({"key": "foreign", "effect": "NoExecute"})
    patch = nodes.configuration(node, PoolRecord("2x8", "1.35", {"tier": "1"}, ("c:NoSchedule",)))
    assert patch["metadata"]["labels"] == {"team": None, "tier": "1"}
    assert patch["metadata"]["resourceVersion"] == "7"
    assert [nodes.taint_text(taint) for taint in patch["spec"]["taints"]] == ["foreign:NoExecute", "c:NoSchedule"]


def test_a_taint_somebody_changed_under_us_is_set_right_once() -> None:
    node = nodes.build("demo", "web", RECORD, "web-001", 1)
    node["metadata"]["resourceVersion"] = "7"
    node["spec"]["taints"] = [{"key": "a", "value": "other", "effect": "NoSchedule"}]
    assert not nodes.configured(node, RECORD)
    assert [nodes.taint_text(taint) for taint in nodes.configuration(node, RECORD)["spec"]["taints"]] == [
        "a=b:NoSchedule"
    ]


def test_ready_means_that_pods_may_come() -> None:
    node = nodes.build("demo", "web", RECORD, "web-001", 1)
    node["status"]["conditions"] = [{"type": "Ready", "status": "True"}]
    assert nodes.ready(node)
    node["spec"]["taints"].append({"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"})
    assert not nodes.ready(node)
