"""The cluster's nodes as nodes of the twin: same names, same shapes. Pure."""

from collections.abc import Iterable
from typing import Any

from boatyard.drivers.kwok import nodes, sizes
from boatyard.drivers.kwok.shapes import Shape, shaped
from boatyard.drivers.kwok.state import PoolRecord
from boatyard.kube.nodes import cordoned, name_of
from boatyard.spec.models import Pool

Json = dict[str, Any]

_OF_THE_MOMENT = ("node.kubernetes.io/", "node.cloudprovider.kubernetes.io/", "ToBeDeletedByClusterAutoscaler")
"""Taints that controllers put on and take off by what a node does now."""


def twin_node(node: Json, pool: Pool | None, twin: str) -> Json:
    """A node for the twin. pool: the pool it belongs to there; None for one that no step touches."""
    name, version = name_of(node), nodes.version_of(node)
    body = nodes.build(twin, pool.name if pool else "", record(pool, version), name, 0)
    if pool is None:
        body["metadata"]["labels"].pop(nodes.POOL)
    body = shaped(body, shape(node))
    if cordoned(node):
        body["spec"]["unschedulable"] = True
    return body


def record(pool: Pool | None, version: str) -> PoolRecord:
    """How the twin's driver makes the next node of a pool; what a shape says goes before."""
    if pool is None:
        return PoolRecord(sizes.DEFAULT, version)
    return PoolRecord(pool.size or sizes.DEFAULT, version, dict(pool.labels), tuple(pool.taints), pool.spot)


def shape(node: Json) -> Shape:
    """What a node can hold and is called, and who may not come."""
    status, labels = node["status"], node["metadata"].get("labels") or {}
    return Shape(
        capacity=dict(status.get("capacity") or {}),
        allocatable=dict(status.get("allocatable") or {}),
        labels={key: value for key, value in labels.items() if key != nodes.HOSTNAME},
        taints=tuple(_lasting(node["spec"].get("taints") or [])),
    )


def twin_pools(pools: Iterable[Pool], nodes_of: dict[str, list[Json]]) -> tuple[Pool, ...]:
    """The spec's pools as the twin has them: without a size, which names a machine type, with the nodes there are."""
    made = []
    for pool in pools:
        count = len(nodes_of.get(pool.name, ()))
        made.append(pool.model_copy(update={"size": None, "min": count, "max": max(count, pool.upper)}))
    return tuple(made)


def _lasting(taints: Iterable[Json]) -> Iterable[Json]:
    for taint in taints:
        if not str(taint["key"]).startswith(_OF_THE_MOMENT):
            yield {key: str(taint[key]) for key in ("key", "value", "effect") if taint.get(key)}
