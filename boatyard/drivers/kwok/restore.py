"""Bring a snapshot's objects back into a running cluster, in place.

What is gone is created as it was, field owners included; what has changed is set back; what is as it was stays
untouched; what came since is left alone. Owners come before what they own, because their UIDs are new.
"""

import copy
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from boatyard.drivers.base import Env
from boatyard.drivers.kwok.snapshot import export, key, read
from boatyard.errors import DeadlineExceeded, Permanent, Temporary
from boatyard.kube.client import APPLY, ApiConflict, ApiError, Client

Json = dict[str, Any]

_PARALLEL = 16
_FIRST = (
    {"Namespace", "CustomResourceDefinition", "PriorityClass", "StorageClass", "RuntimeClass", "IngressClass"},
    {"ServiceAccount", "Secret", "ConfigMap", "ClusterRole", "Role", "ResourceQuota", "LimitRange", "PersistentVolume"},
    {"ClusterRoleBinding", "RoleBinding", "PersistentVolumeClaim", "PodDisruptionBudget", "Service", "NetworkPolicy"},
)
_LAST = {"APIService", "ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"}
"""Admission hooks and aggregated APIs come when what serves them is there again."""

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_BINDING = ("pv.kubernetes.io/bind-completed", "pv.kubernetes.io/bound-by-controller")


def restore(client: Client, source: Path, *, env: Env) -> None:
    """Make the cluster hold all objects of the snapshot again. Raises with every object that the server refused."""
    objects = read(source)
    env.report(f"{source}: {len(objects)} objects")
    _Restore(client, env, objects).run()


class _Restore:
    def __init__(self, client: Client, env: Env, objects: list[Json]) -> None:
        self._client, self._env, self._objects = client, env, objects
        self._live = {key(item): item for item in export(client)}
        self._uids: dict[str, str] = {}
        self._counts = {"created": 0, "set back": 0, "unchanged": 0}

    def run(self) -> None:
        failures: list[tuple[str, ApiError]] = []
        for wave in _waves(self._objects):
            with ThreadPoolExecutor(_PARALLEL) as threads:
                failures += [failure for failure in threads.map(self._guarded, wave) if failure]
            self._wait_established([item for item in wave if item["kind"] == "CustomResourceDefinition"])
        self._env.report(", ".join(f"{count} {what}" for what, count in self._counts.items()))
        if failures:
            text = "; ".join(f"{what}: {error.message}" for what, error in failures[:10])
            kind = Temporary if all(isinstance(error, Temporary) for _, error in failures) else Permanent
            raise kind(f"{len(failures)} of {len(self._objects)} objects could not be restored: {text}")

    def _guarded(self, item: Json) -> tuple[str, ApiError] | None:
        try:
            self._one(item)
        except ApiError as error:
            return f"{item['kind']} {'/'.join(part for part in key(item)[2:] if part)}", error
        return None

    def _one(self, item: Json) -> None:
        live = self._live.get(key(item))
        wanted = prepared(item, self._owners(item, live))
        if live is None:
            self._done(item, self._create(wanted), "created")
        elif _same(wanted, prepared(live, live["metadata"].get("ownerReferences") or [])):
            self._done(item, live, "unchanged")
        else:
            self._done(item, self._set_back(item, live, wanted), "set back")

    def _create(self, wanted: Json) -> Json:
        """With the field owners it had, so that whoever deployed it can go on as before."""
        self._env.fence()
        resource = self._client.resource(wanted["apiVersion"], wanted["kind"])
        try:
            path = resource.path(wanted["metadata"].get("namespace"))
            return self._client.create(path, wanted, fieldManager="boatyard")
        except ApiConflict:
            return self._apply(wanted)  # a controller was quicker, or it is of a kind that is not exported

    def _set_back(self, item: Json, live: Json, wanted: Json) -> Json:
        """Exactly as it was. The very same object keeps its bindings, so it is replaced by the snapshot's own text."""
        self._env.fence()
        same_object = item["metadata"]["uid"] == live["metadata"]["uid"]
        body = copy.deepcopy(item) if same_object else wanted
        body["metadata"].pop("managedFields", None)
        return self._client.replace(self._client.path_of(body), body, fieldManager="boatyard")

    def _apply(self, wanted: Json) -> Json:
        self._env.fence()
        body = copy.deepcopy(wanted)
        body["metadata"].pop("managedFields", None)
        return self._client.patch(self._client.path_of(body), body, APPLY, fieldManager="boatyard", force=True)

    def _done(self, item: Json, now: Json, what: str) -> None:
        self._uids[item["metadata"]["uid"]] = now["metadata"]["uid"]
        self._counts[what] += 1

    def _owners(self, item: Json, live: Json | None) -> list[Json]:
        """The same owners under their present UIDs. One that is neither in the snapshot nor the live object's is
        dropped, else the collector would take the object at once."""
        present = {owner["uid"] for owner in ((live or {}).get("metadata") or {}).get("ownerReferences") or []}
        owners = []
        for owner in item["metadata"].get("ownerReferences") or []:
            uid = self._uids.get(owner["uid"]) or (owner["uid"] if owner["uid"] in present else None)
            if uid:
                owners.append(owner | {"uid": uid})
        return owners

    def _wait_established(self, definitions: Iterable[Json]) -> None:
        waiting = {item["metadata"]["name"] for item in definitions}
        if not waiting:
            return
        with self._client.watch(_CRDS, deadline=self._env.deadline) as watch:
            for event in watch:
                if event.type in ("ADDED", "MODIFIED") and _established(event.object):
                    waiting.discard(event.object["metadata"]["name"])
                if not waiting:
                    return
        raise DeadlineExceeded(f"custom resource definitions not established in time: {', '.join(sorted(waiting))}.")


def _waves(objects: list[Json]) -> Iterable[list[Json]]:
    """Groups that may go side by side: by kind, and within that owners before what they own."""
    for rank in range(len(_FIRST) + 2):
        left = [item for item in objects if _rank(item) == rank]
        while left:
            here = {item["metadata"]["uid"] for item in left}
            free = [item for item in left if not _owner_uids(item) & here]
            wave = free or left  # owners in a circle: nothing better can be done
            yield wave
            left = [item for item in left if not any(item is each for each in wave)]


def _rank(item: Json) -> int:
    for rank, kinds in enumerate(_FIRST):
        if item["kind"] in kinds:
            return rank
    return len(_FIRST) + (item["kind"] in _LAST)


def _owner_uids(item: Json) -> set[str]:
    return {owner["uid"] for owner in item["metadata"].get("ownerReferences") or []}


def prepared(item: Json, owners: list[Json]) -> Json:
    """What to send: without the old cluster's identity, with the kind's own bindings undone."""
    wanted = copy.deepcopy(item)
    metadata = wanted["metadata"]
    for field in ("uid", "creationTimestamp", "ownerReferences", "deletionTimestamp"):
        metadata.pop(field, None)
    if owners:
        metadata["ownerReferences"] = owners
    if unbind := _UNBIND.get(wanted["kind"]):
        unbind(wanted)
    return wanted


def _job(job: Json) -> None:
    """Its selector holds the old UID; the server makes a new one."""
    if not job["spec"].get("manualSelector"):
        job["spec"].pop("selector", None)
        labels = job["spec"]["template"].get("metadata", {}).get("labels") or {}
        for name in ("controller-uid", "batch.kubernetes.io/controller-uid"):
            labels.pop(name, None)
            (job["metadata"].get("labels") or {}).pop(name, None)


def _pod(pod: Json) -> None:
    """To be scheduled anew; the server adds the token's volume itself."""
    spec = pod["spec"]
    spec.pop("nodeName", None)
    tokens = {v["name"] for v in spec.get("volumes") or [] if v["name"].startswith("kube-api-access-")}
    spec["volumes"] = [v for v in spec.get("volumes") or [] if v["name"] not in tokens]
    for container in (*spec["containers"], *(spec.get("initContainers") or [])):
        container["volumeMounts"] = [m for m in container.get("volumeMounts") or [] if m["name"] not in tokens]


def _claim(claim: Json) -> None:
    for name in _BINDING:
        (claim["metadata"].get("annotations") or {}).pop(name, None)


def _volume(volume: Json) -> None:
    """Reserved for the claim of that name, whatever UID it has now."""
    for field in ("uid", "resourceVersion"):
        (volume["spec"].get("claimRef") or {}).pop(field, None)


def _secret(secret: Json) -> None:
    """A service account's token is signed for the old account's UID: let a new one be made."""
    if secret.get("type") == "kubernetes.io/service-account-token":
        secret.pop("data", None)
        (secret["metadata"].get("annotations") or {}).pop("kubernetes.io/service-account.uid", None)


_UNBIND: dict[str, Callable[[Json], None]] = {
    "Job": _job,
    "Pod": _pod,
    "PersistentVolumeClaim": _claim,
    "PersistentVolume": _volume,
    "Secret": _secret,
}


def _same(wanted: Json, live: Json) -> bool:
    return _comparable(wanted) == _comparable(live)


def _comparable(item: Json) -> Json:
    metadata = {k: v for k, v in item["metadata"].items() if k not in ("managedFields", "finalizers") and v}
    return {k: v for k, v in item.items() if k not in ("metadata", "status")} | {"metadata": metadata}


def _established(definition: Json) -> bool:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(each["type"] == "Established" and each["status"] == "True" for each in conditions)
