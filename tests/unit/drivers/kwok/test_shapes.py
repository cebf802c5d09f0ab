"""A node that stands in for another takes over its shape, whoever asks for it and whenever."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kwok import nodes
from boatyard.drivers.kwok.pools import Pools
from boatyard.drivers.kwok.shapes import Shape, shape_of, shaped
from boatyard.drivers.kwok.state import Layout, PoolRecord
from boatyard.kube.client import Client
from boatyard.spec.models import Cluster

Json = dict[str, Any]
RECORD = PoolRecord("4x16", "1.35", {"team": "data"}, ("batch=true:NoSchedule",))
CLUSTER = Cluster.model_validate(
    {"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}, "pools": [{"name": "web"}]}
)


class Cloud:
    """Nodes, as an API server keeps them."""

    def __init__(self, *there: Json) -> None:
        self.nodes = list(there)

    def list(self, path: str, **params: Any) -> list[Json]:
        return list(self.nodes)

    def create(self, path: str, body: Json, **params: Any) -> Json:
        self.nodes.append(body)
        return body


def node(name: str, shape: Shape | None) -> Json:
    made = nodes.build("shop", "web", RECORD, name, 0)
    made["metadata"]["uid"] = f"uid-{name}"
    return shaped(made, shape) if shape else made


def pools(cloud: Cloud, tmp_path: Path) -> Pools:
    clock = ManualClock(datetime(2026, 3, 1, tzinfo=UTC))
    env = Env(tmp_path, clock, Deadline.after(60, "test", clock), lambda name: tmp_path / name)
    return Pools(CLUSTER, env, Layout(tmp_path, "shop"), cast(Client, cloud))


def machine(cpu: str, zone: str) -> Shape:
    room = {"cpu": cpu, "memory": "16Gi", "pods": "58"}
    return Shape(room, room | {"cpu": f"{cpu}000m"}, {"topology.kubernetes.io/zone": zone})


def test_each_stand_in_is_like_the_node_it_replaces(tmp_path: Path) -> None:
    cloud = Cloud(node("a", machine("4", "eu-1a")), node("b", machine("8", "eu-1b")))
    work = pools(cloud, tmp_path)
    work.of("web")
    work.make("web", RECORD, "web-001", 1, replaces="uid-b")
    work.make("web", RECORD, "web-002", 2)
    like_b, like_any = cloud.nodes[2:]
    assert shape_of(like_b) == shape_of(cloud.nodes[1])
    assert like_b["status"]["allocatable"]["cpu"] == "8000m"
    assert like_b["metadata"]["labels"]["topology.kubernetes.io/zone"] == "eu-1b"
    assert like_b["metadata"]["labels"][nodes.HOSTNAME] == "web-001"
    assert like_b["metadata"]["annotations"][nodes.REPLACES] == "uid-b"
    assert shape_of(like_any) == shape_of(cloud.nodes[0])


def test_nodes_of_an_ordinary_pool_have_the_size_they_are_ordered_in(tmp_path: Path) -> None:
    cloud = Cloud(node("a", None))
    work = pools(cloud, tmp_path)
    work.of("web")
    work.make("web", RECORD, "web-001", 1, replaces="uid-a")
    assert cloud.nodes[1] == nodes.build("shop", "web", RECORD, "web-001", 1, replaces="uid-a")


def test_a_taint_of_the_pool_is_not_doubled_by_that_of_the_shape() -> None:
    taint = {"key": "batch", "value": "true", "effect": "NoSchedule"}
    other = {"key": "gpu", "effect": "NoExecute"}
    made = shaped(nodes.build("shop", "web", RECORD, "a", 0), Shape({}, {}, taints=(taint, other)))
    assert made["spec"]["taints"] == [taint, other]
