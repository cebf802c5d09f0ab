"""Who uses an API version: one value a use, found in objects, in app sources and in Helm releases."""

import base64
import gzip
import json
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from boatyard.errors import BoatyardError
from boatyard.kube.apps import Sources
from boatyard.kube.discovery import Resource
from boatyard.kube.documents import Loader
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.owners import CONTROL_PLANE, Owners
from boatyard.kube.preflight.seen import Json, Seen
from boatyard.kube.render import Capabilities, render
from boatyard.spec.models import App


@dataclass(frozen=True)
class Use:
    """One use of an API version for one object. how: a clause, `a.yaml has it so`. writers: field managers, if any."""

    api_version: str
    object: Ref
    owner: str
    how: str
    writers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Opaque:
    """An app's source or a Helm release that may use anything. object: `App` or `HelmRelease`, of our own kinds."""

    object: Ref
    owner: str
    why: str


def in_objects(seen: Seen, owners: Owners) -> Iterator[Use]:
    """What clients write, by the managed fields of each stored object; parts of the control plane are left out.

    Of an API version that is not served any more nothing is said: nobody can still be writing it.
    """
    served = {(each.api_version, each.kind) for each in seen.served}
    for documents in seen.kinds.values():
        for document in documents:
            kind, ref = str(document["kind"]), Ref.of(document)
            writers: dict[str, set[str]] = {}
            for entry in document["metadata"].get("managedFields") or ():
                manager = str(entry.get("manager") or "somebody")
                if not manager.startswith(CONTROL_PLANE) and (entry.get("apiVersion"), kind) in served:
                    writers.setdefault(str(entry["apiVersion"]), set()).add(manager)
            for api_version, managers in writers.items():
                who = tuple(sorted(managers))
                yield Use(api_version, ref, owners.of(document), f"{', '.join(who)} wrote it so", who)


def in_apps(apps: Iterable[App], sources: Sources, seen: Seen) -> Iterator[Use | Opaque]:
    """What the cluster's app sources hold, rendered for the target."""
    able = Capabilities(
        kube_version=str(seen.target),
        api_versions=tuple(dict.fromkeys(each.api_version for each in seen.served)),
        upgrade=True,
    )
    kinds = {(each.api_version, each.kind): each for each in seen.served}
    for app in apps:
        try:
            rendered = render(
                app,
                base=sources.base,
                tool=sources.tool,
                cache=sources.cache,
                timeout=sources.timeout,
                capabilities=able,
            )
        except BoatyardError as error:
            why = f"Its source could not be rendered: {error}"
            yield Opaque(Ref("", "App", "", app.name), f"app {app.name}", why)
            continue
        for document in rendered.all:
            ref = _placed(document.object, app.namespace, kinds)
            yield Use(str(document.object["apiVersion"]), ref, f"app {app.name}", f"{document.where} has it so")


def _placed(document: Json, namespace: str, kinds: dict[tuple[str, str], Resource]) -> Ref:
    """The reference of an object that may leave its namespace to whoever applies it."""
    ref = Ref.of(document)
    resource = kinds.get((str(document["apiVersion"]), ref.kind))
    if ref.namespace or resource is None or not resource.namespaced:
        return ref
    return Ref(ref.group, ref.kind, namespace, ref.name)


def in_releases(seen: Seen) -> Iterator[Use | Opaque]:
    """What the manifests of deployed Helm releases hold."""
    kinds = {(each.api_version, each.kind): each for each in seen.served}
    for secret in seen.releases:
        namespace = str(secret["metadata"]["namespace"])
        name = str((secret["metadata"].get("labels") or {}).get("name") or secret["metadata"]["name"])
        release = decoded(secret)
        if release is None:
            why = "Its Secret holds no release that can be read."
            yield Opaque(Ref("", "HelmRelease", namespace, name), f"Helm release {namespace}/{name}", why)
            continue
        text = str(release.get("manifest") or "")
        for document in manifests(text):
            ref = _placed(document, namespace, kinds)
            how = f"the manifest of revision {release.get('version')} has it so"
            yield Use(str(document["apiVersion"]), ref, f"Helm release {namespace}/{name}", how)


def decoded(secret: Json) -> Json | None:
    """The release in a Secret of type helm.sh/release.v1: base64 of Helm's own base64 of gzipped JSON. None when it is
    something else. Source: helm.sh/helm/v3/pkg/storage/driver/util.go."""
    try:
        packed = base64.b64decode(base64.b64decode((secret.get("data") or {})["release"]))
        text = gzip.decompress(packed) if packed[:3] == b"\x1f\x8b\x08" else packed
        release = json.loads(text)
    except (KeyError, TypeError, ValueError, OSError, EOFError, zlib.error):
        return None
    return release if isinstance(release, dict) else None


def manifests(text: str) -> list[Json]:
    """The objects in a manifest; what is no object (an empty document, one that does not parse) is passed over."""
    found: list[Json] = []
    try:
        for document in yaml.load_all(text, Loader=Loader):
            found += _objects(document)
    except (yaml.YAMLError, ValueError):
        pass
    return found


def _objects(document: Any) -> Iterator[Json]:
    if not isinstance(document, dict):
        return
    if str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for item in document["items"]:
            yield from _objects(item)
    elif (
        document.get("apiVersion")
        and document.get("kind")
        and isinstance(metadata := document.get("metadata"), dict)
        and metadata.get("name")
    ):
        yield document
