"""What deploying an app would change, object by object, as the server itself would merge it (a dry run)."""

import difflib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from boatyard.errors import NotFound
from boatyard.kube.apps import Sources, prepare
from boatyard.kube.client import APPLY, Client
from boatyard.kube.objects import MANAGER, Json, Ref
from boatyard.spec.models import App

_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_WRITTEN_BY_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"  # the object once more, a Secret's values too
_PARALLEL = 16


@dataclass(frozen=True)
class Change:
    """What would happen to one object. `text`: a unified diff of its YAML; empty when nothing changes."""

    ref: Ref
    action: Literal["create", "change", "delete", "same"]
    text: str


def diff(client: Client, app: App, sources: Sources) -> list[Change]:
    """Every object of the app, and those that would be pruned, in a stable order. Changes nothing.

    Values of Secrets are masked. Errors: those of `prepare`, and `ApiError` where the server would refuse an object.
    """
    ready = prepare(client, app, sources)
    objects = [*(one for group in ready.before for one in group), *ready.objects]
    objects += [one for group in ready.after for one in group]
    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="diff") as pool:
        changes = list(pool.map(lambda one: _change(client, one), objects))
        gone = pool.map(lambda ref: _deletion(client, ref), ready.old.refs - ready.refs)
        changes += [change for change in gone if change]
    return sorted(changes, key=lambda change: change.ref)


def _change(client: Client, document: Json) -> Change:
    ref = Ref.of(document)
    try:
        path = client.path_of(document)
        live: Json | None = client.get(path)
    except NotFound:  # the object, its namespace or its kind does not exist yet
        live = None
    if live is None:
        return Change(ref, "create", unified(ref, None, document))
    after = client.patch(path, document, APPLY, fieldManager=MANAGER, force=True, dryRun="All")
    text = unified(ref, live, after)
    return Change(ref, "change" if text else "same", text)


def _deletion(client: Client, ref: Ref) -> Change | None:
    try:
        live = client.get(client.discovery.preferred(*ref.type).path(ref.namespace or None, ref.name))
    except NotFound:
        return None
    return Change(ref, "delete", unified(ref, live, None))


def unified(ref: Ref, before: Json | None, after: Json | None) -> str:
    """A unified diff of two states of an object, without what the server keeps for itself. Pure."""
    if ref.type == ("", "Secret"):
        before, after = _masked(before, {}), _masked(after, (before or {}).get("data") or {})
    old, new = _yaml(before), _yaml(after)
    return "".join(difflib.unified_diff(old, new, f"live/{ref}", f"new/{ref}"))


def _masked(secret: Json | None, before: dict[str, Any]) -> Json | None:
    if secret is None:
        return None
    data = {
        key: "*** (changed)" if key in before and before[key] != value else "***"
        for key, value in (secret.get("data") or {}).items()
    }
    return {**secret, "data": data, **({"stringData": "***"} if "stringData" in secret else {})}


def _yaml(document: Json | None) -> list[str]:
    if document is None:
        return []
    metadata = {key: value for key, value in document["metadata"].items() if key not in _NOISE}
    if _WRITTEN_BY_KUBECTL in (metadata.get("annotations") or {}):
        metadata["annotations"] = {k: v for k, v in metadata["annotations"].items() if k != _WRITTEN_BY_KUBECTL}
    shown = {key: value for key, value in document.items() if key != "status"} | {"metadata": metadata}
    return yaml.dump(shown, Dumper=yaml.CSafeDumper, sort_keys=True, allow_unicode=True).splitlines(keepends=True)
