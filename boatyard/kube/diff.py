"""What deploying an app would change, object by object, as the server itself would merge it (a dry run)."""

import difflib
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from boatyard.errors import NotFound
from boatyard.kube import inventory
from boatyard.kube.apply import replaceable
from boatyard.kube.apps import Sources, prepare
from boatyard.kube.client import APPLY, ApiInvalid, Client
from boatyard.kube.objects import APP_LABEL, MANAGER, Json, Ref, labels
from boatyard.kube.prune import to_be_kept
from boatyard.spec.models import App

_NOISE = ("managedFields", "resourceVersion", "uid", "creationTimestamp", "generation", "selfLink")
_WRITTEN_BY_KUBECTL = "kubectl.kubernetes.io/last-applied-configuration"  # the object once more, a Secret's values too
_PARALLEL = 16


@dataclass(frozen=True)
class Change:
    """What would happen to one object. `text`: a unified diff of its YAML; empty when nothing changes.

    replace: a Job whose template changes is deleted and made anew; of what is there only the fields are compared that
    the source has too.
    """

    ref: Ref
    action: Literal["create", "change", "replace", "delete", "same"]
    text: str


def diff(client: Client, app: App, sources: Sources) -> list[Change]:
    """Every object of the app, and those that would be pruned, in a stable order. Changes nothing.

    Hooks are left out where the source is as deployed, since they would not run. Values of Secrets are masked.
    Errors: those of `prepare`, and `ApiError` where the server would refuse an object.
    """
    ready = prepare(client, app, sources)
    objects = list(ready.objects)
    if not (ready.old.complete and ready.old.digest == ready.digest):
        objects += [one for group in (*ready.before, *ready.after) for one in group]
    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="diff") as pool:
        changes = list(pool.map(lambda one: _change(client, one), objects))
        changes += _deletions(client, app.name, ready.old.refs - ready.refs, pool)
    return sorted(changes, key=lambda change: change.ref)


def diff_removed(client: Client, apps: Collection[str]) -> dict[str, list[Change]]:
    """By app what a deployment would delete of the apps in the cluster that are not among `apps`. Changes nothing."""
    left = {name: found for name, found in inventory.read_all(client).items() if name not in apps}
    with ThreadPoolExecutor(max_workers=_PARALLEL, thread_name_prefix="diff") as pool:
        return {
            name: sorted(_deletions(client, name, found.refs, pool), key=lambda c: c.ref)
            for name, found in left.items()
        }


def _deletions(client: Client, app: str, refs: Iterable[Ref], pool: ThreadPoolExecutor) -> list[Change]:
    return [change for change in pool.map(lambda ref: _deletion(client, app, ref), refs) if change]


def _change(client: Client, document: Json) -> Change:
    ref = Ref.of(document)
    try:
        path = client.path_of(document)
        live: Json | None = client.get(path)
    except NotFound:  # the object, its namespace or its kind does not exist yet
        live = None
    if live is None:
        return Change(ref, "create", unified(ref, None, document))
    try:
        after = client.patch(
            path, document, APPLY, fieldManager=MANAGER, fieldValidation="Strict", force=True, dryRun="All"
        )
    except ApiInvalid as error:
        if not replaceable(client, ref, path, document, error):
            raise
        return Change(ref, "replace", unified(ref, _within(live, document), document))
    text = unified(ref, live, after)
    return Change(ref, "change" if text else "same", text)


def _within(live: Any, written: Any) -> Any:
    """What is there, without the fields that the server or others filled in."""
    if isinstance(live, dict) and isinstance(written, dict):
        return {key: _within(value, written[key]) for key, value in live.items() if key in written}
    if isinstance(live, list) and isinstance(written, list):
        return [_within(old, new) for old, new in zip(live, written, strict=False)] + live[len(written) :]
    return live


def _deletion(client: Client, app: str, ref: Ref) -> Change | None:
    try:
        live = client.get(client.discovery.preferred(*ref.type).path(ref.namespace or None, ref.name))
    except NotFound:
        return None
    if labels(live).get(APP_LABEL) != app or to_be_kept(live):
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
