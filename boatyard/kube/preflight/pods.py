"""Pods that an eviction would lose, whose data stays behind, or that find no node even now.

What counts as local storage follows kubectl drain (`emptyDir`) and cluster-autoscaler (`hostPath` and `emptyDir` on
disk, its two annotations): https://github.com/kubernetes/autoscaler/blob/master/cluster-autoscaler/FAQ.md
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from boatyard.kube.eviction import Pod, read_pod
from boatyard.kube.objects import SYSTEM_NAMESPACE, Ref, annotations
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners, controller
from boatyard.kube.preflight.seen import PODS, Json, Seen

SAFE = "cluster-autoscaler.kubernetes.io/safe-to-evict"
SAFE_VOLUMES = "cluster-autoscaler.kubernetes.io/safe-to-evict-local-volumes"
YOUNG = timedelta(minutes=2)
"""A pod's owner may have been made after its kind was listed; and the scheduler needs a moment."""

_SYSTEM = "kube-system"
_HOSTNAME = "kubernetes.io/hostname"


def pods(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Every check on pods that must leave their nodes."""
    claims = {
        (one["metadata"]["namespace"], one["metadata"]["name"]): one for one in seen.of(("", "PersistentVolumeClaim"))
    }
    tied = {one["metadata"]["name"] for one in seen.of(("", "PersistentVolume")) if _tied(one)}
    for document in seen.of(PODS):
        pod = read_pod(document)
        if pod.stays or pod.terminating or pod.namespace == SYSTEM_NAMESPACE:  # our canaries go by themselves
            continue
        young = seen.now - datetime.fromisoformat(document["metadata"]["creationTimestamp"]) < YOUNG
        if not pod.node:
            if not young:
                yield from _unscheduled(document, owners)
            continue
        found = list(_unmanaged(pod, document, owners, seen, young)) or list(_local(document, owners, claims, tied))
        yield from found


def _unmanaged(pod: Pod, document: Json, owners: Owners, seen: Seen, young: bool) -> Iterator[Culprit]:
    if annotations(document).get(SAFE) == "true":
        return
    reference = controller(document)
    if reference is None:
        why = "No controller would make it anew after its eviction."
    elif not young and _listed(reference, seen) and not owners.knows(reference["uid"]):
        why = f"Its controller, {reference['kind']} {reference['name']}, does not exist any more."
    elif reference["kind"] == "Job" and _one_try(owners.top(document)):
        why = (
            f"Its Job {reference['name']} makes no second attempt (backoffLimit: 0), so an eviction ends it as failed."
        )
    else:
        return
    fix = f"Let a Deployment or Job run it, wait for its end, or agree to its loss by the annotation {SAFE}: 'true'."
    yield Culprit("pod-unmanaged", Ref.of(document), owners.of(document), why, fix)


def _listed(reference: Any, seen: Seen) -> bool:
    group = str(reference["apiVersion"]).rpartition("/")[0]
    return seen.has((group, str(reference["kind"])))


def _one_try(job: Json) -> bool:
    spec = job.get("spec") or {}
    return spec.get("backoffLimit") == 0 and not spec.get("podFailurePolicy")


def _local(document: Json, owners: Owners, claims: dict[tuple[str, str], Json], tied: set[str]) -> Iterator[Culprit]:
    """At most one finding a pod, the gravest."""
    workload = owners.workload(document)
    single = workload is not None and (workload.get("spec") or {}).get("replicas", 1) == 1
    namespace = document["metadata"]["namespace"]
    used = _claims(document)
    volumes = {
        name: str((claims.get((namespace, name)) or {}).get("spec", {}).get("volumeName") or "") for name in used
    }
    on_node = [f"{claim} ({volume})" for claim, volume in volumes.items() if volume in tied]
    ref, whose = Ref.of(document), owners.of(document)
    if on_node:
        yield Culprit(
            "local-volume",
            ref,
            whose,
            f"Its volume {', '.join(on_node)} exists on its node alone, so it could start on no other node.",
            "Move the data to a volume that can follow the pod, or waive this where the disk outlives the upgrade.",
        )
    elif single and (kept := _kept_on_disk(document)):
        yield Culprit(
            "local-storage",
            ref,
            whose,
            f"It is the only replica, and what it keeps in {', '.join(kept)} is lost when it leaves its node.",
            f"Add a replica, use a PersistentVolumeClaim, or agree: {SAFE_VOLUMES}: {','.join(_names(kept))}.",
            blocks=namespace != _SYSTEM,
        )
    elif workload is not None and single and (workload["kind"] == "StatefulSet" or used):
        yield Culprit(
            "single-stateful",
            ref,
            whose,
            "It is the only replica of something that keeps data, so it is down while it moves.",
            "Add a replica, or upgrade when an interruption is agreed to.",
            blocks=False,
        )


def _claims(document: Json) -> list[str]:
    name = document["metadata"]["name"]
    found = []
    for volume in (document.get("spec") or {}).get("volumes") or ():
        if claim := volume.get("persistentVolumeClaim"):
            found.append(str(claim["claimName"]))
        elif "ephemeral" in volume:
            found.append(f"{name}-{volume['name']}")
    return found


def _kept_on_disk(document: Json) -> list[str]:
    """`emptyDir cache`, `hostPath logs`: volumes on the node's disk that the pod's owner has not called expendable."""
    marks = annotations(document)
    if marks.get(SAFE) == "true":
        return []
    expendable = {name.strip() for name in str(marks.get(SAFE_VOLUMES) or "").split(",")}
    found = []
    for volume in (document.get("spec") or {}).get("volumes") or ():
        if volume["name"] in expendable:
            continue
        if "hostPath" in volume:
            found.append(f"hostPath {volume['name']}")
        elif "emptyDir" in volume and (volume["emptyDir"] or {}).get("medium") != "Memory":
            found.append(f"emptyDir {volume['name']}")
    return found


def _names(kept: list[str]) -> list[str]:
    return [each.partition(" ")[2] for each in kept]


def _tied(volume: Json) -> bool:
    """Does a PersistentVolume exist on one node alone? `local`, `hostPath`, or bound to a host by its name."""
    spec = volume.get("spec") or {}
    if "local" in spec or "hostPath" in spec:
        return True
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or ()
    return any(rule.get("key") == _HOSTNAME for term in terms for rule in term.get("matchExpressions") or ())


def _unscheduled(document: Json, owners: Owners) -> Iterator[Culprit]:
    conditions = (document.get("status") or {}).get("conditions") or ()
    scheduled: Json = next((each for each in conditions if each["type"] == "PodScheduled"), {})
    if scheduled.get("status") != "False" or scheduled.get("reason") == "SchedulingGated":
        return
    yield Culprit(
        "pod-unschedulable",
        Ref.of(document),
        owners.of(document),
        f"No node takes it: {str(scheduled.get('message') or scheduled.get('reason')).rstrip('.')}.",
        "Make room for it or delete it: those that must leave their nodes will want the same room.",
        blocks=False,
    )
