"""Kubernetes objects as documents: their references, the marks we put on them, the order they are applied in."""

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from boatyard.errors import InvalidSpec
from boatyard.kube.discovery import Resource

Json = dict[str, Any]

MANAGER = "boatyard"
"""Our name as a field manager in server-side apply."""
SYSTEM_NAMESPACE = "boatyard-system"
"""Where our own records live in a cluster."""
APP_LABEL = "boatyard.dev/app"
"""On every object of an app, with the app's name: the proof that we may delete it."""

CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
NAMESPACE = ("", "Namespace")

_FIRST = {
    NAMESPACE,
    CRD,
    ("scheduling.k8s.io", "PriorityClass"),
    ("node.k8s.io", "RuntimeClass"),
    ("storage.k8s.io", "StorageClass"),
    ("networking.k8s.io", "IngressClass"),
}
_EARLY = {
    ("", "LimitRange"),
    ("", "ResourceQuota"),
    ("", "ServiceAccount"),
    ("", "ConfigMap"),
    ("", "Secret"),
    ("", "PersistentVolumeClaim"),
    ("", "Service"),
    ("rbac.authorization.k8s.io", "ClusterRole"),
    ("rbac.authorization.k8s.io", "ClusterRoleBinding"),
    ("rbac.authorization.k8s.io", "Role"),
    ("rbac.authorization.k8s.io", "RoleBinding"),
    ("networking.k8s.io", "NetworkPolicy"),
}
_LATE = {
    ("", "Pod"),
    ("apiregistration.k8s.io", "APIService"),
    ("admissionregistration.k8s.io", "MutatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io", "MutatingAdmissionPolicyBinding"),
}


@dataclass(frozen=True, order=True)
class Ref:
    """Which object, whatever the version of its API. `namespace` is empty for kinds that have none."""

    group: str
    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"

    @property
    def type(self) -> tuple[str, str]:
        """Group and kind."""
        return self.group, self.kind

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Ref":
        """The reference of an object as it stands."""
        group, _, _ = str(document["apiVersion"]).rpartition("/")
        metadata = document["metadata"]
        return cls(group, str(document["kind"]), str(metadata.get("namespace") or ""), str(metadata["name"]))


_BUSY = {
    ("apps", "Deployment"),
    ("apps", "StatefulSet"),
    ("apps", "DaemonSet"),
    ("apps", "ReplicaSet"),
    ("batch", "Job"),
    ("batch", "CronJob"),
}


def order(ref: Ref) -> tuple[int, bool]:
    """Sorts by wave, and inside of one what sets controllers to work last: they compete with us for the API server."""
    return wave(ref), ref.type in _BUSY


def wave(ref: Ref) -> int:
    """0 to 3: what must be there before the rest, what pods rely on, the rest, what acts on others' requests.

    Pods rely on what they mount, on the Services that they learn of when they start, on the rights of their accounts,
    and on the policies that shield them. Pods are last because the server refuses one whose service account or priority
    class is not there yet.
    """
    if ref.type in _FIRST:
        return 0
    if ref.type in _EARLY:
        return 1
    return 3 if ref.type in _LATE else 2


def labels(document: Mapping[str, Any]) -> Mapping[str, str]:
    return (document.get("metadata") or {}).get("labels") or {}


def annotations(document: Mapping[str, Any]) -> Mapping[str, str]:
    return (document.get("metadata") or {}).get("annotations") or {}


def defined_kinds(objects: Iterable[Mapping[str, Any]]) -> dict[tuple[str, str], Resource]:
    """(apiVersion, kind) → resource, by the CustomResourceDefinitions among `objects`: kinds not yet known."""
    found = {}
    for document in objects:
        if (document.get("kind"), str(document.get("apiVersion")).partition("/")[0]) != (CRD[1], CRD[0]):
            continue
        spec = document.get("spec") or {}
        names = spec.get("names") or {}
        for version in spec.get("versions") or []:
            resource = Resource(
                group=str(spec.get("group")),
                version=str(version.get("name")),
                kind=str(names.get("kind")),
                plural=str(names.get("plural")),
                namespaced=spec.get("scope") == "Namespaced",
            )
            found[resource.api_version, resource.kind] = resource
    return found


def adopt(document: Mapping[str, Any], *, app: str, namespace: str, namespaced: bool) -> Json:
    """A copy with our label, and `namespace` where the kind needs one and the object names none.

    A Secret's `stringData` becomes `data`: the server never gives it back, so what is left out later would stay.
    `InvalidSpec` for values of Secrets that are no text; the server would show them in its refusal.
    """
    metadata = dict(document["metadata"])
    metadata["labels"] = {**(metadata.get("labels") or {}), APP_LABEL: app}
    if namespaced:
        metadata["namespace"] = metadata.get("namespace") or namespace
    else:
        metadata.pop("namespace", None)
    copy = {**{key: value for key, value in document.items() if key != "status"}, "metadata": metadata}
    if (document["apiVersion"], document["kind"]) == ("v1", "Secret"):
        _texts(copy, "data")
        if plain := _texts(copy, "stringData"):
            coded = {key: base64.b64encode((value or "").encode()).decode() for key, value in plain.items()}
            copy["data"] = {**(copy.get("data") or {}), **coded}
        copy.pop("stringData", None)
    return copy


def _texts(secret: Mapping[str, Any], field: str) -> dict[str, str | None]:
    values = secret.get(field)
    if values is not None and not isinstance(values, dict):
        raise InvalidSpec([f"Secret {secret['metadata']['name']}: {field} is not made of keys and values"])
    for key, value in (values or {}).items():
        if not isinstance(key, str) or not (value is None or isinstance(value, str)):
            where = f"Secret {secret['metadata']['name']}: {field}.{key}"
            raise InvalidSpec([f"{where} is no text; put numbers, true and false in quotes"])
    return values or {}


def served_path(definition: Mapping[str, Any]) -> str | None:
    """Where the objects of a CustomResourceDefinition are listed; None where none of its versions is served."""
    spec = definition["spec"]
    version = next((each["name"] for each in spec["versions"] if each.get("served")), None)
    return None if version is None else f"/apis/{spec['group']}/{version}/{spec['names']['plural']}"
