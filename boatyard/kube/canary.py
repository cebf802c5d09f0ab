"""The canary: a pod of our own that is scheduled, becomes Ready and goes again, to show that the cluster does its job.

It tolerates nothing, asks for next to nothing, and ends by itself even when everything that should remove it is killed.
"""

import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from boatyard.clock import Clock, Deadline
from boatyard.errors import BoatyardError, Fenced, Temporary
from boatyard.kube.client import ApiConflict, ApiNotFound, Client
from boatyard.kube.health import Check, State, takes_pods
from boatyard.kube.objects import SYSTEM_NAMESPACE
from boatyard.kube.reading import NODES
from boatyard.store.process import Process, is_dead

Json = Mapping[str, Any]

LABEL = "boatyard.dev/canary"
_HOLDER = "boatyard.dev/canary-of"
_PODS = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/pods"
_IMAGE = "registry.k8s.io/pause:3.10"
_LIFE = 120
"""Seconds after which the kubelet ends a canary that nobody removed."""
_NAME = "canary"


def fly(client: Client, *, deadline: Deadline, clock: Clock, fence: Callable[[], None] = lambda: None) -> Check:
    """Send one canary and see it gone. Leaves nothing behind, and takes away what killed runs have left. Never raises
    for what the cluster does, only what `fence` raises.

    OK: it ran. WARN: it was placed but did not start (its image cannot be had, for example). FAIL: it was not placed.
    """
    try:
        if not any(takes_pods(node) for node in client.list(NODES)):
            return Check(_NAME, State.OK, "none: no node takes pods without tolerations")
        fence()
        _namespace(client, deadline)
        sweep(client, clock.now())
        pod = _create(client, deadline)
        try:
            return _watch(client, pod, deadline)
        finally:
            _remove(client, pod, deadline)
    except Fenced:
        raise
    except BoatyardError as error:
        return Check(_NAME, State.FAIL, f"could not be sent: {error}")


def sweep(client: Client, now: datetime) -> list[str]:
    """Remove canaries whose run is dead, or too old to be waited for by anyone; their names."""
    left = [pod for pod in client.list(_PODS, labelSelector=LABEL) if _abandoned(pod, now)]
    for pod in left:
        _delete(client, pod)
    return [pod["metadata"]["name"] for pod in left]


def _abandoned(pod: Json, now: datetime) -> bool:
    meta = pod["metadata"]
    if now - datetime.fromisoformat(meta["creationTimestamp"]) > timedelta(seconds=_LIFE):
        return True
    machine, _, rest = (meta.get("annotations") or {}).get(_HOLDER, "").partition(" ")
    pid, _, started = rest.partition(" ")
    return pid.isdecimal() and is_dead(machine, int(pid), started)


def _namespace(client: Client, deadline: Deadline) -> None:
    """Our namespace, with the service account that every pod needs and that a controller makes a moment later."""
    try:
        client.get(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}")
    except ApiNotFound:
        with suppress(ApiConflict):
            client.create("/api/v1/namespaces", {"metadata": {"name": SYSTEM_NAMESPACE}}, fieldManager="boatyard")
    accounts = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/serviceaccounts"
    with client.watch(accounts, deadline=deadline, fieldSelector="metadata.name=default") as watch:
        for event in watch:
            if event.type in ("ADDED", "MODIFIED"):
                return
    raise Temporary(f"namespace {SYSTEM_NAMESPACE} has no service account `default`; is the controller manager up?")


def _create(client: Client, deadline: Deadline) -> Json:
    me = Process.this()
    return client.create(
        _PODS,
        {
            "metadata": {
                "name": f"canary-{secrets.token_hex(4)}",
                "labels": {LABEL: "true"},
                "annotations": {_HOLDER: f"{me.machine} {me.pid} {me.started}"},
            },
            "spec": {
                "activeDeadlineSeconds": _LIFE,
                "terminationGracePeriodSeconds": 0,
                "automountServiceAccountToken": False,
                "enableServiceLinks": False,
                "restartPolicy": "Never",
                "securityContext": {
                    "runAsNonRoot": True,
                    "runAsUser": 65535,
                    "seccompProfile": {"type": "RuntimeDefault"},
                },
                "containers": [
                    {
                        "name": "canary",
                        "image": _IMAGE,
                        "resources": {"requests": {"cpu": "1m", "memory": "8Mi"}, "limits": {"memory": "32Mi"}},
                        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    }
                ],
            },
        },
        fieldManager="boatyard",
    )


def _watch(client: Client, pod: Json, deadline: Deadline) -> Check:
    """Until it is Ready, or has ended, or time is over."""
    last = pod
    selector = f"metadata.name={pod['metadata']['name']}"
    with client.watch(_PODS, deadline=deadline, fieldSelector=selector) as watch:
        for event in watch:
            if event.type == "SYNCED":
                continue
            last = event.object
            if event.type == "DELETED" or (last.get("status") or {}).get("phase") == "Failed":
                return Check(_NAME, State.FAIL, f"it was ended: {_why(last)}")
            if _condition(last, "Ready").get("status") == "True":
                return Check(_NAME, State.OK, f"ran on {last['spec']['nodeName']}")
    if node := (last.get("spec") or {}).get("nodeName"):
        return Check(_NAME, State.WARN, f"placed on {node}, but did not start in time: {_why(last)}")
    return Check(_NAME, State.FAIL, f"not placed in time: {_why(last)}")


def _remove(client: Client, pod: Json, deadline: Deadline) -> None:
    """Delete it and see it gone; its kubelet, or `sweep`, ends it where that takes too long."""
    _delete(client, pod)
    selector, left = f"metadata.name={pod['metadata']['name']}", max(1.0, min(5.0, deadline.left))
    with client.watch(_PODS, timeout=left, fieldSelector=selector) as watch:
        there = False
        for event in watch:
            there = there or event.type in ("ADDED", "MODIFIED")
            if event.type == "DELETED" or (event.type == "SYNCED" and not there):
                return


def _delete(client: Client, pod: Json) -> None:
    with suppress(ApiNotFound, ApiConflict):
        client.delete(f"{_PODS}/{pod['metadata']['name']}", uid=pod["metadata"]["uid"], grace=0)


def _condition(pod: Json, kind: str) -> Json:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((entry for entry in conditions if entry["type"] == kind), {})


def _why(pod: Json) -> str:
    status = pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if waiting := (container.get("state") or {}).get("waiting"):
            return f"{waiting.get('reason')} {waiting.get('message') or ''}".strip()
    scheduled = _condition(pod, "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or scheduled.get("reason"))
    return str(status.get("message") or status.get("reason") or "no reason given")
