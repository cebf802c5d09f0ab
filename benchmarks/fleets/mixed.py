"""500 objects of the kinds that a platform team applies to a new cluster, as a folder of YAML files."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

NAMESPACES, DEFINITIONS = 20, 10
_EACH = {"ServiceAccount": 3, "ConfigMap": 7, "Secret": 4, "Role": 2, "RoleBinding": 2, "Service": 2, "Deployment": 2}
"""Objects of each kind in a namespace: 22 of them, 440 in all; custom resources make up the rest."""
CUSTOM = 30


def objects() -> list[Json]:
    """Namespaces and definitions first, as `kubectl apply` needs them."""
    found = [*_namespaces(), *_definitions()]
    for space in range(NAMESPACES):
        found += [_MAKERS[kind](space, number) for kind, count in _EACH.items() for number in range(count)]
    found += [_custom(number) for number in range(CUSTOM)]
    return found


def write(folder: Path) -> tuple[Path, Path]:
    """Two folders: what must be there first, and the rest, one file a namespace. Returns both."""
    first, rest = folder / "1-first", folder / "2-rest"
    for part in (first, rest):
        part.mkdir(parents=True)
    whole = objects()
    head = [one for one in whole if one["kind"] in ("Namespace", "CustomResourceDefinition")]
    _dump(first / "first.yaml", head)
    for space in range(NAMESPACES):
        here = [one for one in whole if one not in head and one["metadata"].get("namespace") == _space(space)]
        _dump(rest / f"{_space(space)}.yaml", here)
    return first, rest


def _dump(path: Path, documents: list[Json]) -> None:
    path.write_text(yaml.safe_dump_all(documents, sort_keys=False))


def _space(number: int) -> str:
    return f"team-{number:02d}"


def _meta(kind: str, space: int, number: int) -> Json:
    name = f"{kind.lower()}-{number:02d}"
    return {"name": name, "namespace": _space(space), "labels": {"app.kubernetes.io/name": name, "team": _space(space)}}


def _namespaces() -> Iterator[Json]:
    for number in range(NAMESPACES):
        yield {
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": _space(number), "labels": {"tier": "apps"}},
        }


def _definitions() -> Iterator[Json]:
    text = {"type": "string"}
    spec = {"type": "object", "properties": {"size": {"type": "integer"}, "owner": text, "region": text}}
    schema = {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}}
    for number in range(DEFINITIONS):
        kind = f"Kind{number:02d}"
        names = {"kind": kind, "listKind": f"{kind}List", "plural": f"{kind.lower()}s", "singular": kind.lower()}
        version = {"name": "v1", "served": True, "storage": True, "schema": schema}
        yield {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{names['plural']}.bench.example.com"},
            "spec": {"group": "bench.example.com", "scope": "Namespaced", "names": names, "versions": [version]},
        }


def _custom(number: int) -> Json:
    kind = f"Kind{number % DEFINITIONS:02d}"
    metadata = {"name": f"object-{number:02d}", "namespace": _space(number % NAMESPACES)}
    spec = {"size": number, "owner": "team@example.com", "region": "local"}
    return {"apiVersion": "bench.example.com/v1", "kind": kind, "metadata": metadata, "spec": spec}


def _service_account(space: int, number: int) -> Json:
    return {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": _meta("ServiceAccount", space, number)}


def _config_map(space: int, number: int) -> Json:
    data = {f"setting-{index}": f"value {index} of {number}\n" * 3 for index in range(8)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": _meta("ConfigMap", space, number), "data": data}


def _secret(space: int, number: int) -> Json:
    metadata = _meta("Secret", space, number)
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": {"word": "bm90IGEgc2VjcmV0"}}


def _role(space: int, number: int) -> Json:
    rules = [{"apiGroups": [""], "resources": ["configmaps", "secrets"], "verbs": ["get", "list", "watch"]}]
    metadata = _meta("Role", space, number)
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": metadata, "rules": rules}


def _role_binding(space: int, number: int) -> Json:
    name, group = f"-{number:02d}", "rbac.authorization.k8s.io"
    return {
        "apiVersion": f"{group}/v1",
        "kind": "RoleBinding",
        "metadata": _meta("RoleBinding", space, number),
        "roleRef": {"apiGroup": group, "kind": "Role", "name": f"role{name}"},
        "subjects": [{"kind": "ServiceAccount", "name": f"serviceaccount{name}", "namespace": _space(space)}],
    }


def _service(space: int, number: int) -> Json:
    ports = [{"name": "http", "port": 80, "targetPort": 8080}]
    spec = {"selector": {"app.kubernetes.io/name": f"deployment-{number:02d}"}, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _meta("Service", space, number), "spec": spec}


def _deployment(space: int, number: int) -> Json:
    metadata = _meta("Deployment", space, number)
    labels = {"app.kubernetes.io/name": metadata["name"]}
    container = {
        "name": "main",
        "image": "registry.example.com/app:1.0",
        "ports": [{"containerPort": 8080}],
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}},
        "envFrom": [{"configMapRef": {"name": "configmap-00"}}],
    }
    pod = {"metadata": {"labels": labels}, "spec": {"containers": [container]}}
    spec = {"replicas": number % 2, "selector": {"matchLabels": labels}, "template": pod}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec}


_MAKERS = {
    "ServiceAccount": _service_account,
    "ConfigMap": _config_map,
    "Secret": _secret,
    "Role": _role,
    "RoleBinding": _role_binding,
    "Service": _service,
    "Deployment": _deployment,
}
