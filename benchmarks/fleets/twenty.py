"""Twenty apps as files: eight folders of manifests, six kustomizations, six releases of one Helm chart."""

from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

MANIFESTS, KUSTOMIZATIONS, CHARTS = 8, 6, 6


def write(folder: Path) -> list[Json]:
    """manifests/NAME/, kustomize/NAME/ and chart/ under `folder`; the `apps:` of a spec that lies beside it."""
    found = []
    for name in _names("manifests", MANIFESTS):
        home = folder / "manifests" / name
        home.mkdir(parents=True)
        for number, one in enumerate([_namespace(name), *_objects(name)]):
            _dump(home / f"{number:02d}-{one['kind'].lower()}.yaml", one)
        found.append({"name": name, "namespace": name, "manifests": str(home.relative_to(folder.parent))})
    _base(folder / "base")
    for name in _names("kustomize", KUSTOMIZATIONS):
        home = folder / "kustomize" / name
        home.mkdir(parents=True)
        _dump(home / "namespace.yaml", _namespace(name))
        _dump(home / "kustomization.yaml", _kustomization(name))
        found.append({"name": name, "namespace": name, "kustomize": str(home.relative_to(folder.parent))})
    _chart(folder / "chart")
    for name in _names("chart", CHARTS):
        found.append({"name": name, "namespace": name, "chart": f"{folder.name}/chart"})
    return found


def _names(kind: str, count: int) -> list[str]:
    return [f"{kind}-{number:02d}" for number in range(count)]


def _dump(path: Path, document: Json) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False))


def _namespace(name: str) -> Json:
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}


def _base(folder: Path) -> None:
    folder.mkdir()
    objects = _objects("app", namespaced=False)
    for one in objects:
        _dump(folder / f"{one['kind'].lower()}.yaml", one)
    resources = [f"{one['kind'].lower()}.yaml" for one in objects]
    _dump(folder / "kustomization.yaml", _KUSTOMIZE | {"resources": resources})


_KUSTOMIZE = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}


def _kustomization(name: str) -> Json:
    labels = [{"pairs": {"instance": name}, "includeSelectors": True}]
    return _KUSTOMIZE | {"namespace": name, "labels": labels, "resources": ["namespace.yaml", "../../base"]}


def _chart(folder: Path) -> None:
    templates = folder / "templates"
    templates.mkdir(parents=True)
    _dump(folder / "Chart.yaml", {"apiVersion": "v2", "name": "app", "version": "1.0.0"})
    _dump(folder / "values.yaml", {"replicas": 2})
    for one in _objects("{{ .Release.Name }}", namespaced=False):
        (templates / f"{one['kind'].lower()}.yaml").write_text(
            yaml.safe_dump(one, sort_keys=False).replace("replicas: 2", "replicas: {{ .Values.replicas }}")
        )


def _objects(name: str, *, namespaced: bool = True) -> list[Json]:
    """What a small web app has: an account, settings, pods, an address, a budget."""
    labels = {"app": name}
    metadata: Json = {"name": name, "labels": labels} | ({"namespace": name} if namespaced else {})
    container = {
        "name": "main",
        "image": "registry.example.com/app:1.0",
        "ports": [{"name": "http", "containerPort": 8080}],
        "envFrom": [{"configMapRef": {"name": name}}],
        "resources": {"requests": {"cpu": "50m", "memory": "64Mi"}},
    }
    pod = {"metadata": {"labels": labels}, "spec": {"serviceAccountName": name, "containers": [container]}}
    selector = {"matchLabels": labels}
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"LEVEL": "info", "REGION": "local"}},
        {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": {"selector": labels, "ports": ports}},
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": metadata,
            "spec": {"replicas": 2, "selector": selector, "template": pod},
        },
        {
            "apiVersion": "policy/v1",
            "kind": "PodDisruptionBudget",
            "metadata": metadata,
            "spec": {"maxUnavailable": 1, "selector": selector},
        },
    ]
