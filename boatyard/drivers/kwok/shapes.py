"""Nodes that look like machines elsewhere: what such a node can hold and is called goes on to the one in its place.

A node keeps its shape in an annotation, so that whoever replaces it, also after a kill, needs no other memory.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from boatyard.drivers.kwok.nodes import HOSTNAME, POOL, Json, annotation

SHAPE = "boatyard.dev/shape"


@dataclass(frozen=True)
class Shape:
    """capacity, allocatable: quantities by resource. labels: but for the node's own name. taints: in the API's form."""

    capacity: Mapping[str, str]
    allocatable: Mapping[str, str]
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Mapping[str, str], ...] = ()


def shaped(node: Json, shape: Shape | str) -> Json:
    """The node in that shape; `shape` may be the text that `shape_of` read from another one."""
    text = json.dumps(asdict(shape), sort_keys=True) if isinstance(shape, Shape) else shape
    found: dict[str, Any] = json.loads(text)
    metadata, spec, status = node["metadata"], node["spec"], node["status"]
    own = {key: metadata["labels"][key] for key in (HOSTNAME, POOL) if key in metadata["labels"]}
    taken = {(taint["key"], taint["effect"]) for taint in spec["taints"]}
    more = [taint for taint in found["taints"] if (taint["key"], taint["effect"]) not in taken]
    return {
        **node,
        "metadata": {
            **metadata,
            "labels": {**metadata["labels"], **found["labels"], **own},
            "annotations": {**metadata["annotations"], SHAPE: text},
        },
        "spec": {**spec, "taints": [*spec["taints"], *more]},
        "status": {**status, "capacity": found["capacity"], "allocatable": found["allocatable"]},
    }


def shape_of(node: Json) -> str:
    """The text of a node's shape; empty for one that has none."""
    return annotation(node, SHAPE)
