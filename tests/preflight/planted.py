"""The cases of tests/cases/preflight: what each one plants in a cluster, how it is mended, and what must then be found.

says: one sentence. plant: objects, created in order. status: their conditions, patched afterwards. delete: objects to
delete. release: a Helm release. app: an app of the spec, with its files and the mended ones. spec: changes of the spec,
mended by leaving them out. mend: merge patches, or `$delete: true`, or `$create: true`. expected: check, object (a
glob), owner, blocks, and words of why.
"""

import base64
import gzip
import json
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import yaml

from boatyard.kube.client import ApiConflict, Client
from boatyard.kube.preflight.culprit import Culprit
from boatyard.spec.models import Cluster

Json = dict[str, Any]

CASES = Path(__file__).parents[1] / "cases" / "preflight"
PLANTER = "planter"


def cases() -> dict[str, Json]:
    return {path.stem: yaml.safe_load(path.read_text()) for path in sorted(CASES.glob("*.yaml"))}


def plant(client: Client, case: Mapping[str, Any]) -> None:
    documents = [*case.get("plant", ()), *([_release(**case["release"])] if "release" in case else [])]
    for document in documents:
        if namespace := document["metadata"].get("namespace"):
            _create(client, {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
        _create(client, document)


def _create(client: Client, document: Json) -> None:
    resource = client.resource(document["apiVersion"], document["kind"])
    try:
        client.create(resource.path(document["metadata"].get("namespace")), document, fieldManager=PLANTER)
    except ApiConflict:
        assert document["kind"] == "Namespace"


def finish(client: Client, case: Mapping[str, Any]) -> None:
    """What needs the planted objects to be there and running."""
    for document in case.get("status", ()):
        old = client.get(client.path_of(document))
        known = {each["type"]: each for each in old["status"].get("conditions") or ()}
        known |= {each["type"]: each for each in document["status"]["conditions"]}
        status = {**document["status"], "conditions": list(known.values())}
        client.patch(client.path_of(document) + "/status", {"status": status})
    for document in case.get("delete", ()):
        client.delete(client.path_of(document))


def mend(client: Client, case: Mapping[str, Any]) -> None:
    for document in case.get("mend", ()):
        path = client.path_of(document)
        if document.get("$delete"):
            client.delete(path)
        elif document.pop("$create", False):
            _create(client, document)
        else:
            client.patch(path, document)


def _release(name: str, namespace: str, version: int, manifest: str) -> Json:
    """As Helm 3 stores it: base64 of gzipped JSON, which the Secret holds in base64 once more."""
    release = {"name": name, "namespace": namespace, "version": version, "manifest": manifest}
    packed = base64.b64encode(gzip.compress(json.dumps(release).encode()))
    labels = {"name": name, "owner": "helm", "status": "deployed", "version": str(version)}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "helm.sh/release.v1",
        "metadata": {"name": f"sh.helm.release.v1.{name}.v{version}", "namespace": namespace, "labels": labels},
        "data": {"release": base64.b64encode(packed).decode()},
    }


def spec(cluster: Cluster, found: Iterable[Mapping[str, Any]], folder: Path, *, mended: bool = False) -> Cluster:
    """The cluster's spec with the cases' apps and changes."""
    data = cluster.model_dump(mode="json")
    for case in found:
        data |= {} if mended else case.get("spec", {})
        if app := case.get("app"):
            source = folder / app["name"]
            source.mkdir(exist_ok=True)
            for name, text in app["mended" if mended else "files"].items():
                (source / name).write_text(text)
            data["apps"] = [*data["apps"], {"name": app["name"], "manifests": str(source)}]
    return Cluster.model_validate(data)


def difference(expected: Sequence[Mapping[str, Any]], found: Sequence[Culprit]) -> list[str]:
    """What is missing and what is there besides, a line each; [] when every expectation has a culprit of its own."""
    rest, lines = list(found), []
    for wanted in expected:
        match = next((each for each in rest if _fits(wanted, each)), None)
        if match is None:
            lines.append(f"missing: {dict(wanted)}")
        else:
            rest.remove(match)
    return lines + [f"besides: {each}" for each in rest]


def _fits(wanted: Mapping[str, Any], culprit: Culprit) -> bool:
    return (
        wanted["check"] == culprit.check
        and fnmatchcase(str(culprit.object), wanted["object"])
        and wanted["owner"] == culprit.owner
        and wanted["blocks"] is culprit.blocks
        and wanted.get("why", "") in culprit.why
    )
