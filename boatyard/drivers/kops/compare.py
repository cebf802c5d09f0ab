"""What kOps' state store holds against what the spec asks for. Pure.

Fields that only the stored documents have are kOps' defaults or somebody else's business, except those that Boatyard
itself writes: taken out of the spec, they must go.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from boatyard.drivers.kops.merge import same

Document = dict[str, Any]
Path = tuple[str, ...]

_ABSENT = object()
POOL_LABEL = "boatyard.dev/pool"

_CLUSTER: Mapping[Path, Sequence[Any]] = {
    ("networkID",): (),
    ("podCIDR",): (),
    ("serviceClusterIPRange",): (),
    ("api", "dns"): (),
    ("api", "loadBalancer"): (),
    ("networking", "*"): (),
    ("kubeProxy", "enabled"): (True,),
    ("topology", "bastion"): (),
    ("serviceAccountIssuerDiscovery", "discoveryStore"): (),
    ("serviceAccountIssuerDiscovery", "enableAWSOIDCProvider"): (False,),
    ("iam", "useServiceAccountExternalPermissions"): (False,),
    ("clusterAutoscaler", "enabled"): (False,),
    ("metricsServer", "enabled"): (False,),
    ("certManager", "enabled"): (False,),
    ("nodeTerminationHandler", "enabled"): (True,),
    ("etcdClusters", "*", "etcdMembers", "*", "encryptedVolume"): (False,),
}
_GROUP: Mapping[Path, Sequence[Any]] = {
    ("rootVolumeSize",): (),
    ("rootVolumeType",): ("gp3",),
    ("rootVolumeIops",): (3000,),
    ("rootVolumeThroughput",): (125,),
    ("rootVolumeEncryption",): (True,),
    ("maxPrice",): ("",),
    ("mixedInstancesPolicy", "instances"): (),
    ("mixedInstancesPolicy", "onDemandBase"): (0,),
    ("mixedInstancesPolicy", "onDemandAboveBase"): (100,),
    ("mixedInstancesPolicy", "spotAllocationStrategy"): (),
    ("additionalSecurityGroups",): (),
    ("taints",): (),
    ("nodeLabels", "*"): (),
}
"""What Boatyard writes only when asked to → values that mean the same as nothing."""

_ROOT_VOLUME = {"Master": 64, "Node": 128, "Bastion": 32}
"""GiB that kOps gives each role."""

_IN_ANY_ORDER = ("sshAccess", "kubernetesApiAccess", "subnets", "taints", "additionalSecurityGroups")


@dataclass(frozen=True)
class Differences:
    """One line a field: `spec.minSize: 2, 4 is wanted`. `missing`, `extra`: names of instance groups."""

    cluster: tuple[str, ...] = ()
    groups: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Instance group → its lines; of groups that both sides have and that differ."""
    missing: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.cluster or self.groups or self.missing or self.extra)


def differences(desired: Sequence[Document], stored: Sequence[Document]) -> Differences:
    """What has to change in the stored documents (Cluster and InstanceGroups, in any order)."""
    ours, theirs = _groups(desired), _groups(stored)
    lines = {name: tuple(_lines(ours[name], theirs[name])) for name in ours if name in theirs}
    return Differences(
        cluster=tuple(_lines(_cluster(desired), _cluster(stored))),
        groups={name: told for name, told in lines.items() if told},
        missing=tuple(name for name in ours if name not in theirs),
        extra=tuple(name for name in theirs if name not in ours),
    )


def merged(desired: Document, stored: Document) -> Document:
    """The stored document as desired, what is not Boatyard's kept: what to write back."""
    spec = _merged(desired["spec"], stored["spec"], (), _Rules(stored))
    return {**stored, "spec": spec}


class _Rules:
    """Which stored-only fields of a document matter, and which values of theirs say nothing."""

    def __init__(self, document: Document) -> None:
        self._group = document.get("kind") == "InstanceGroup"
        self._owned = _GROUP if self._group else _CLUSTER
        self._role = str(document.get("spec", {}).get("role", ""))

    def inside(self, path: Path) -> bool:
        """Something below `path` is ours."""
        return any(len(own) > len(path) and _fits(own[: len(path)], path) for own in self._owned)

    def surplus(self, path: Path, value: Any) -> bool:
        """`value` is stored at `path`, where nothing is wanted, and has to go."""
        if path[:1] == ("nodeLabels",) and len(path) == 2 and _of_kops(path[1]):
            return False
        if path == ("rootVolumeSize",) and value == _ROOT_VOLUME.get(self._role):
            return False
        means_nothing = next((values for own, values in self._owned.items() if _fits(own, path)), None)
        return means_nothing is not None and not any(same(value, one) for one in means_nothing) and value != []

    def needless(self, path: Path) -> bool:
        """Not worth new nodes where it is not stored: the group's name says the same."""
        return self._group and path == ("nodeLabels", POOL_LABEL)


def _fits(own: Path, path: Path) -> bool:
    return len(own) == len(path) and all(a in ("*", b) for a, b in zip(own, path, strict=True))


def _of_kops(label: str) -> bool:
    return label.split("/")[0].endswith("kops.k8s.io") or label.startswith("node-role.kubernetes.io/")


def _lines(desired: Document, stored: Document) -> Iterator[str]:
    for path, found, wanted in _changes(desired.get("spec", {}), stored.get("spec", {}), (), _Rules(stored)):
        yield f"spec.{'.'.join(path)}: {_shown(found)}, {_shown(wanted)} is wanted"


def _changes(desired: Any, stored: Any, path: Path, rules: _Rules) -> Iterator[tuple[Path, Any, Any]]:
    """(path, found, wanted) of all that has to change."""
    if _named(desired) and _named(stored):
        desired, stored = _by_name(desired), _by_name(stored)
        for name in [*desired, *(name for name in stored if name not in desired)]:
            if name in desired and name in stored:
                yield from _changes(desired[name], stored[name], (*path, name), rules)
            else:
                yield (*path, name), stored.get(name, _ABSENT), desired.get(name, _ABSENT)
    elif isinstance(desired, Mapping) and isinstance(stored, Mapping):
        for key in [*desired, *(key for key in stored if key not in desired)]:
            yield from _change(desired.get(key, _ABSENT), stored.get(key, _ABSENT), (*path, str(key)), rules)
    elif not _equal(desired, stored, path):
        yield path, stored, desired


def _change(wanted: Any, found: Any, path: Path, rules: _Rules) -> Iterator[tuple[Path, Any, Any]]:
    if wanted is _ABSENT:
        if isinstance(found, Mapping) and rules.inside(path):
            yield from _changes({}, found, path, rules)
        elif rules.surplus(path, found):
            yield path, found, wanted
    elif found is _ABSENT and isinstance(wanted, Mapping) and wanted and rules.inside(path):
        yield from _changes(wanted, {}, path, rules)
    elif found is _ABSENT:
        if wanted != [] and not rules.needless(path):
            yield path, found, wanted
    else:
        yield from _changes(wanted, found, path, rules)


def _merged(desired: Any, stored: Any, path: Path, rules: _Rules) -> Any:
    if _named(desired) and _named(stored):
        old = _by_name(stored)
        return [
            _merged(one, old[one["name"]], (*path, one["name"]), rules) if one["name"] in old else one
            for one in desired
        ]
    if not (isinstance(desired, Mapping) and isinstance(stored, Mapping)):
        return stored if _equal(desired, stored, path) else desired
    result: dict[str, Any] = {}
    for key, found in stored.items():
        below = (*path, str(key))
        if key in desired:
            result[key] = _merged(desired[key], found, below, rules)
        elif isinstance(found, Mapping) and rules.inside(below):
            if (left := _merged({}, found, below, rules)) or not found:
                result[key] = left
        elif not rules.surplus(below, found):
            result[key] = found
    for key, wanted in desired.items():
        below = (*path, str(key))
        if key in stored or rules.needless(below):
            continue
        inner = isinstance(wanted, Mapping) and wanted and rules.inside(below)
        added = _merged(wanted, {}, below, rules) if inner else wanted
        if added or not inner:
            result[key] = added
    return result


def _equal(desired: Any, stored: Any, path: Path) -> bool:
    if path == ("kubernetesVersion",):
        return str(desired).lstrip("v") == str(stored).lstrip("v")
    if path[-1:] and path[-1] in _IN_ANY_ORDER and isinstance(desired, list) and isinstance(stored, list):
        return sorted(map(str, desired)) == sorted(map(str, stored))
    return same(desired, stored)


def _named(value: Any) -> bool:
    """A list of mappings with names of their own: subnets, etcd clusters and members."""
    if not isinstance(value, list) or not value:
        return False
    names = {name for item in value if isinstance(item, Mapping) and isinstance(name := item.get("name"), str)}
    return len(names) == len(value)


def _by_name(items: list[Any]) -> dict[str, Any]:
    return {item["name"]: item for item in items}


def _shown(value: Any) -> str:
    import json

    if value is _ABSENT:
        return "nothing"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:119] + "…"


def _cluster(documents: Sequence[Document]) -> Document:
    return next((one for one in documents if one.get("kind") == "Cluster"), {})


def _groups(documents: Sequence[Document]) -> dict[str, Document]:
    return {one["metadata"]["name"]: one for one in documents if one.get("kind") == "InstanceGroup"}
