"""What kOps prints, as values. Pure functions over text; `Permanent` when a text is not what kOps 1.36 prints."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from boatyard.errors import Permanent

Document = dict[str, Any]


@dataclass(frozen=True)
class Change:
    """One cloud resource that `kops update cluster` would touch.

    fields: field → value (a new resource), or `old -> new` or a diff (a modified one).
    """

    kind: str
    name: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Preview:
    """What `kops update cluster` would do; `prune` are those it only deletes when asked for with `--prune`."""

    create: tuple[Change, ...] = ()
    modify: tuple[Change, ...] = ()
    delete: tuple[Change, ...] = ()
    prune: tuple[Change, ...] = ()

    @property
    def nothing(self) -> bool:
        """Nothing is to be done."""
        return not (self.create or self.modify or self.delete)


@dataclass(frozen=True)
class Resource:
    """A cloud resource that `kops delete cluster` would delete."""

    kind: str
    name: str
    id: str


@dataclass(frozen=True)
class Instance:
    """`group` is the instance group's name; `outdated`: its launch template has changed since it was launched."""

    id: str
    group: str
    roles: tuple[str, ...]
    outdated: bool
    status: str
    machine_type: str = ""
    internal_ip: str = ""


@dataclass(frozen=True)
class Keypair:
    """A certificate and key of a keyset. `distrusted` is when it was distrusted, None while it is trusted."""

    keyset: str
    id: str
    primary: bool
    private_key: bool
    not_before: datetime
    not_after: datetime
    distrusted: datetime | None = None


@dataclass(frozen=True)
class GroupUpdate:
    """A row of `kops rolling-update cluster`. `nodes` is None when the API server was not asked."""

    name: str
    status: str
    need_update: int
    ready: int
    min: int
    target: int
    max: int
    nodes: int | None = None


@dataclass(frozen=True)
class Failure:
    """What is wrong with a cluster: a node, a pod or an instance group."""

    kind: str
    name: str
    message: str


@dataclass(frozen=True)
class Validation:
    """`kops validate cluster`: valid when nothing failed. `nodes`: name → Ready, as `True`, `False`, `Unknown`."""

    failures: tuple[Failure, ...]
    nodes: Mapping[str, str]

    @property
    def valid(self) -> bool:
        return not self.failures and bool(self.nodes)


_SECTIONS: Mapping[str, Literal["create", "modify", "prune", "delete"]] = {
    "Will create resources:": "create",
    "Will modify resources:": "modify",
    "Items will be deleted only when the --prune flag is specified:": "prune",
    "Items will be deleted during update:": "delete",
}
_ENDS = ("Must specify --yes to apply changes", "No changes need to be applied")
_FIELD = re.compile(r"  \t(\S.*?) *(?:\t(.*))?$")
_MORE = re.compile(r"  \t {20}\t(.*)$")


def preview(text: str) -> Preview:
    """Of `kops update cluster` and `kops create cluster` without `--yes`."""
    found: dict[str, list[Change]] = {name: [] for name in _SECTIONS.values()}
    section, fields, last = "", dict[str, str](), ""
    ended = False
    for line in text.splitlines():
        if line in _SECTIONS:
            section = _SECTIONS[line]
        elif line.startswith(_ENDS):
            section, ended = "", True
        elif not section or not line.strip():
            continue
        elif section in ("prune", "delete"):
            kind, _, name = line.strip().partition(" ")
            found[section].append(Change(kind, name.strip()))
        elif more := _MORE.match(line):
            fields[last] += more[1] + "\n"
        elif one := _FIELD.match(line):
            last, fields[one[1]] = one[1], (one[2] or "").strip()
        elif line.startswith("  ") and not line.startswith("   "):
            kind, _, name = line[2:].partition("/")
            fields = {}
            found[section].append(Change(kind, name, fields))
    if not ended:
        raise Permanent(f"kOps printed no plan that Boatyard understands: {_start(text)!r}.")
    return Preview(**{name: tuple(changes) for name, changes in found.items()})


def deletion(text: str) -> tuple[Resource, ...]:
    """Of `kops delete cluster`, with or without `--yes`. Empty when no cloud resource is left."""
    lines = iter(text.splitlines())
    for line in lines:
        if line.split() == ["TYPE", "NAME", "ID"]:
            break
    rows = []
    for line in lines:
        parts = re.split(r"\t+", line)
        if len(parts) != 3:
            break
        rows.append(Resource(*parts))
    return tuple(rows)


def rolling(text: str) -> tuple[GroupUpdate, ...]:
    """Of `kops rolling-update cluster` without `--yes`."""
    rows = [re.split(r"\t+", line.strip()) for line in text.splitlines() if "\t" in line]
    if not rows or rows[0][:3] != ["NAME", "STATUS", "NEEDUPDATE"]:
        raise Permanent(f"kOps printed no table of instance groups: {_start(text)!r}.")
    titles = [title.lower() for title in rows[0]]
    groups = []
    for row in rows[1:]:
        cells = dict(zip(titles, row, strict=True))
        counts = {name: int(cells[name]) for name in ("ready", "min", "target", "max")}
        nodes = int(cells["nodes"]) if "nodes" in cells else None
        groups.append(GroupUpdate(cells["name"], cells["status"], int(cells["needupdate"]), **counts, nodes=nodes))
    return tuple(groups)


def validation(text: str) -> Validation:
    """Of `kops validate cluster -o json`, whatever its exit code."""
    read = document(text)
    failures = tuple(
        Failure(one.get("type", ""), one.get("name", ""), one.get("message", "")) for one in read.get("failures") or []
    )
    return Validation(failures, {node["name"]: node.get("status", "") for node in read.get("nodes") or []})


def document(text: str) -> Document:
    """One JSON document."""
    read = _json(text)
    if not isinstance(read, dict):
        raise Permanent(f"kOps printed no single document: {_start(text)!r}.")
    return read


def documents(text: str) -> list[Document]:
    """A JSON list of documents; a single one is a list of it."""
    read = _json(text)
    return read if isinstance(read, list) else [read]


def instances(text: str, cluster: str) -> tuple[Instance, ...]:
    """Of `kops get instances -o json`. It names the Auto Scaling group, from which the cluster's part is cut off."""
    suffix = re.compile(rf"(\.(masters|apiservers))?\.{re.escape(cluster)}$")
    return tuple(
        Instance(
            one["id"],
            suffix.sub("", one["instanceGroup"]),
            tuple(dict.fromkeys(one.get("roles") or ())),
            one.get("status") != "UpToDate",
            one.get("status", ""),
            one.get("machineType", ""),
            one.get("internalIP", ""),
        )
        for one in documents(text)
    )


def keypairs(text: str) -> tuple[Keypair, ...]:
    """Of `kops get keypairs -o json`."""
    return tuple(
        Keypair(
            one["name"],
            one["id"],
            bool(one.get("isPrimary")),
            bool(one.get("hasPrivateKey")),
            datetime.fromisoformat(one["notBefore"]),
            datetime.fromisoformat(one["notAfter"]),
            datetime.fromisoformat(one["distrustTimestamp"]) if one.get("distrustTimestamp") else None,
        )
        for one in documents(text)
    )


def version(text: str) -> str:
    """`1.36.2` of `kops version`."""
    if found := re.search(r"^Client version: v?(\d+\.\d+\.\d+\S*)", text, re.M):
        return found[1]
    raise Permanent(f"kOps did not tell its version: {_start(text)!r}.")


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        raise Permanent(f"kOps printed no JSON: {_start(text)!r}.") from None


def _start(text: str) -> str:
    return " ".join(text.split())[:200]
