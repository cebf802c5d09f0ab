"""Why an object is not ready: one sentence a cause, from the object, its pods and their events."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from boatyard.errors import BoatyardError
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.readiness import condition

Json = dict[str, Any]

_IMAGE = {"ImagePullBackOff", "ErrImagePull", "InvalidImageName", "ErrImageNeverPull", "RegistryUnavailable"}
_WORKLOADS = {"Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "Job", "ReplicationController"}
_PODS_AT_MOST = 500


def why(client: Client, ref: Ref) -> list[str]:
    """Causes, the likeliest first; [] when nothing is found. Never raises for what it cannot read."""
    try:
        document = client.get(client.discovery.preferred(*ref.type).path(ref.namespace or None, ref.name))
        return list(dict.fromkeys(_causes(client, ref, document)))
    except BoatyardError as error:
        return [str(error)]


def _causes(client: Client, ref: Ref, document: Json) -> list[str]:
    if document["metadata"].get("deletionTimestamp"):
        held = document["metadata"].get("finalizers") or []
        return [f"is being deleted, held by the finalizers {', '.join(held)}"] if held else ["is being deleted"]
    if ref.kind in _WORKLOADS:
        return _workload(client, ref, document)
    events = _events(client, ref.namespace, {str(document["metadata"]["uid"])})
    if ref.kind == "Pod":
        return pod_causes([document], _warnings(events)) + _claims(client, [document])
    if ref.kind == "PersistentVolumeClaim":
        return [f"no volume: {_last(events) or 'nothing provides one of class ' + _class(document)}"]
    if ref.kind == "Service":
        return [f"no load balancer address: {_last(events) or 'no controller in this cluster gives one out'}"]
    return [last] if (last := _last(_warnings(events))) else []


def _class(claim: Json) -> str:
    return repr((claim.get("spec") or {}).get("storageClassName") or "")


def _workload(client: Client, ref: Ref, document: Json) -> list[str]:
    pods = _pods(client, ref, document)
    uids = {str(document["metadata"]["uid"])} | {str(pod["metadata"]["uid"]) for pod in pods}
    uids |= {owner["uid"] for pod in pods for owner in pod["metadata"].get("ownerReferences") or []}
    replica_failure = condition(document, "ReplicaFailure")
    causes = []
    if replica_failure.get("status") == "True":
        causes.append(_creation(str(replica_failure.get("message") or "")))
    events = _events(client, ref.namespace, uids)
    if not causes:
        failed = [event for event in events if event.get("reason") == "FailedCreate"]
        causes += [_creation(_last(failed))] if failed and len(pods) < _wanted(document) else []
    causes += pod_causes(pods, events)
    return causes + _claims(client, pods)


def _wanted(document: Json) -> int:
    spec, state = document.get("spec") or {}, document.get("status") or {}
    return int(state.get("desiredNumberScheduled") or spec.get("replicas") or 1)


def _creation(message: str) -> str:
    if "exceeded quota" in message:
        return f"the namespace's quota is used up: {message.partition('exceeded quota: ')[2]}"
    return f"its pods are refused: {message}"


def _pods(client: Client, ref: Ref, document: Json) -> list[Json]:
    selector = (document.get("spec") or {}).get("selector") or {}
    labels = selector.get("matchLabels") if "matchLabels" in selector else selector
    if not labels or not all(isinstance(value, str) for value in labels.values()):
        return []
    text = ",".join(f"{key}={value}" for key, value in labels.items())
    found = client.list(f"/api/v1/namespaces/{ref.namespace}/pods", labelSelector=text)
    return [pod for pod in found if not pod["metadata"].get("deletionTimestamp")][:_PODS_AT_MOST]


def _claims(client: Client, pods: Iterable[Json]) -> list[str]:
    """Unbound claims of pods that have no node: what the scheduler only hints at."""
    wanted = {
        (pod["metadata"]["namespace"], volume["persistentVolumeClaim"]["claimName"])
        for pod in pods
        if condition(pod, "PodScheduled").get("status") == "False"
        for volume in (pod.get("spec") or {}).get("volumes") or []
        if "persistentVolumeClaim" in volume
    }
    causes = []
    for namespace, name in sorted(wanted):
        try:
            claim = client.get(f"/api/v1/namespaces/{namespace}/persistentvolumeclaims/{name}")
        except BoatyardError:
            causes.append(f"its PersistentVolumeClaim {name} does not exist")
            continue
        if (claim.get("status") or {}).get("phase") != "Bound":
            events = _events(client, namespace, {str(claim["metadata"]["uid"])})
            said = _last(events) or f"nothing provides a volume of class {_class(claim)}"
            causes.append(f"PersistentVolumeClaim {name} has no volume: {said}")
    return causes


def _events(client: Client, namespace: str, uids: set[str]) -> list[Json]:
    """Events of one object, or warnings about several, by their uids; oldest first."""
    alone = next(iter(uids)) if len(uids) == 1 else None  # a claim's binding is told by Normal events
    selector = f"involvedObject.uid={alone}" if alone else "type=Warning"
    found = client.list(f"/api/v1/namespaces/{namespace or 'default'}/events", fieldSelector=selector)
    mine = [event for event in found if (event.get("involvedObject") or {}).get("uid") in uids]
    return sorted(mine, key=_when)


def _warnings(events: Iterable[Json]) -> list[Json]:
    return [event for event in events if event.get("type") != "Normal"]


def _when(event: Mapping[str, Any]) -> str:
    series = event.get("series") or {}
    return str(
        series.get("lastObservedTime")
        or event.get("lastTimestamp")
        or event.get("eventTime")
        or event["metadata"].get("creationTimestamp")
        or ""
    )


def _last(events: list[Json]) -> str:
    return str(events[-1].get("message") or "").strip().rstrip(".") if events else ""


def pod_causes(pods: Iterable[Json], events: Iterable[Json]) -> list[str]:
    """What keeps these pods from being ready, alike ones counted together. Pure."""
    by_pod: dict[str, list[Json]] = {}
    for event in events:
        by_pod.setdefault(str((event.get("involvedObject") or {}).get("uid")), []).append(event)
    counted = Counter(
        cause for pod in pods for cause in _pod_causes(pod, by_pod.get(str(pod["metadata"].get("uid")), []))
    )
    return [f"{number} pod{'s' if number > 1 else ''}: {cause}" for cause, number in counted.most_common()]


def _pod_causes(pod: Json, events: list[Json]) -> list[str]:
    state = pod.get("status") or {}
    if state.get("phase") == "Succeeded" or condition(pod, "Ready").get("status") == "True":
        return []
    if state.get("phase") == "Failed":
        return [state.get("message") or _first_termination(state) or state.get("reason") or "failed"]
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return [f"no node takes it: {str(scheduled.get('message') or scheduled.get('reason')).rstrip('.')}"]
    causes = []
    for container in (state.get("initContainerStatuses") or []) + (state.get("containerStatuses") or []):
        if cause := _container(container, events):
            causes.append(cause)
    mounts = [event for event in events if event.get("reason") in ("FailedMount", "FailedAttachVolume")]
    if not causes and mounts:
        causes.append(f"a volume cannot be mounted: {_last(mounts)}")
    return causes or ([_last(events)] if events else [])


def _container(container: Json, events: list[Json]) -> str:
    name, state = container.get("name"), container.get("state") or {}
    waiting, running = state.get("waiting") or {}, state.get("running")
    reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "").rstrip(".")
    if reason in _IMAGE:
        return f"the image {container.get('image')} of {name} cannot be pulled ({message or reason})"
    if reason == "CrashLoopBackOff":
        return f"{name} keeps crashing ({_ended((container.get('lastState') or {}).get('terminated') or {})})"
    if reason and reason not in ("ContainerCreating", "PodInitializing"):
        return f"{name} cannot start: {reason}{f' ({message})' if message else ''}"
    if ended := state.get("terminated"):
        return "" if ended.get("exitCode") == 0 else f"{name} ended ({_ended(ended)})"
    if running is not None and not container.get("ready"):
        probes = [event for event in events if event.get("reason") == "Unhealthy"]
        return f"{name} runs, but its probe fails: {_last(probes)}" if probes else f"{name} runs but is not ready"
    return ""


def _ended(terminated: Json) -> str:
    reason = terminated.get("reason")
    code = f"exit code {terminated.get('exitCode')}" if "exitCode" in terminated else "no exit code known"
    return f"{reason}, {code}" if reason and reason != "Error" else code


def _first_termination(state: Json) -> str:
    for container in state.get("containerStatuses") or []:
        ended = (container.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            return f"{container.get('name')} ended ({_ended(ended)})"
    return ""
