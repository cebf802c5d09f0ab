"""Templates: clusters without a name, from which events make short-lived ones.

A template is a YAML file with `kind: ClusterTemplate`. It is a cluster's file in every other way; its `name` is the
template's own. As a value a template is a plain dict in the words of a cluster's file, with its paths absolute, so that
it can travel through a queue and be kept in the store.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from boatyard.errors import InvalidSpec, Permanent
from boatyard.spec import load, wording
from boatyard.spec.document import Mark, Node, Problem, node_of
from boatyard.spec.models import Cluster
from boatyard.spec.source import fleet_file
from boatyard.spec.types import format_duration

KIND = "ClusterTemplate"

Template = dict[str, Any]


def load_template(path: Path) -> Template:
    """The one template of a file, with the defaults of its fleet. Errors as `load_cluster`."""
    document, problems = load.read_one(path)
    if (fleet := fleet_file(path)) is not None:
        defaults, more = load.read_defaults(fleet)
        document, problems = load.merge(defaults, document), problems + more
    found = judge_template(document, problems)
    if found is None or problems:
        raise load.refuse(problems)
    return found


def judge_template(document: Node, problems: list[Problem]) -> Template | None:
    """The template of a parsed document, or None with the reasons added to `problems`: it must be a good cluster."""
    kind = document.get("kind")
    if document.kind == "mapping" and (kind is None or kind.scalar != KIND):
        at = kind.mark if kind is not None else document.mark
        problems.append(Problem(at, ("kind",), f"found {kind.found() if kind else 'nothing'}, allowed {KIND}"))
    cluster = load.judge(_as_cluster(document), problems)
    return {**cluster.model_dump(mode="json", exclude_unset=True), "kind": KIND} if cluster is not None else None


def _as_cluster(document: Node) -> Node:
    if document.kind != "mapping" or "kind" not in document.children:
        return document
    changed = Node("mapping", document.mark)
    changed.children, changed.keys = dict(document.children), document.keys
    kind = changed.children["kind"] = Node("scalar", document.children["kind"].mark)
    kind.scalar = kind.text = "Cluster"
    return changed


def instantiate(
    template: Mapping[str, Any],
    name: str,
    *,
    owner: str | None = None,
    labels: Mapping[str, str] | None = None,
    ttl: timedelta | None = None,
) -> Cluster:
    """A cluster named `name` from a template. `owner` and `ttl` replace the template's, `labels` are added to them.

    Its life must be bounded: without a `ttl` here or in the template's policy it is refused (`InvalidSpec`), and so is
    a template that protects its clusters, for nothing would ever delete them.
    """
    data = json.loads(json.dumps(dict(template)))
    data |= {"kind": "Cluster", "name": name}
    if owner is not None:
        data["owner"] = owner
    data["labels"] = {**data.get("labels", {}), **(labels or {})}
    policy = data.setdefault("policy", {})
    if ttl is not None:
        policy["ttl"] = format_duration(ttl)
    where = f"template {template.get('name', '')} for {name}"
    if not policy.get("ttl"):
        raise _refused(
            where, ("policy", "ttl"), "found nothing, allowed a duration like 8h: a cluster from a template must end"
        )
    if policy.get("protect"):
        raise _refused(where, ("policy", "protect"), "found true, allowed false: a cluster from a template must end")
    try:
        return Cluster.model_validate_json(json.dumps(data), strict=True)
    except ValidationError as error:
        raise load.refuse(wording.problems(error, node_of(data, Mark(where, 1, 1)), Cluster)) from None


def _refused(where: str, path: tuple[str, ...], message: str) -> Permanent:
    return InvalidSpec([str(Problem(Mark(where, 1, 1), path, message))])
