"""Nodes that an upgrade would stumble over: unhealthy, forgotten, too old; and nodes that wait for a certificate."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from boatyard.kube.health import NODE_GRACE
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import NODES, Json, Seen
from boatyard.spec.types import format_duration
from boatyard.versions import kubelet_problem

LONG = timedelta(days=1)
"""A node that is cordoned for longer was most likely forgotten."""
WAITING = timedelta(minutes=10)
"""A request for a certificate that nobody decided on for longer is stuck."""

_BAD = (
    "MemoryPressure",
    "DiskPressure",
    "PIDPressure",
    "NetworkUnavailable",
    "KernelDeadlock",  # this and the next by node-problem-detector, config/kernel-monitor.json
    "ReadonlyFilesystem",
)
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_CLIENT = "kubernetes.io/kube-apiserver-client-kubelet"
_SERVING = "kubernetes.io/kubelet-serving"


def nodes(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Health, cordons and kubelet versions of every node."""
    for node in seen.of(NODES):
        whose = _pool(node)
        yield from _health(node, whose, seen.now)
        yield from _cordon(node, whose, seen.now)
        yield from _skew(node, whose, str(seen.next))


def _pool(node: Json) -> str:
    marks = node["metadata"].get("labels") or {}
    labels = ("boatyard.dev/pool", "kops.k8s.io/instancegroup", "eks.amazonaws.com/nodegroup", "karpenter.sh/nodepool")
    return next((f"pool {marks[label]}" for label in labels if label in marks), "")


def _health(node: Json, whose: str, now: datetime) -> Iterator[Culprit]:
    states = {each["type"]: each for each in (node.get("status") or {}).get("conditions") or ()}
    ready: Json = states.get("Ready", {})
    if ready.get("status") != "True":
        said = str(ready.get("message") or ready.get("reason") or "its kubelet has not reported").rstrip(".")
        young = now - datetime.fromisoformat(node["metadata"]["creationTimestamp"]) < NODE_GRACE
        fix = (
            "Wait until it has joined."
            if young
            else "Repair or replace it; a node that is not Ready cannot be drained."
        )
        yield Culprit("node-unhealthy", Ref.of(node), whose, f"It is not Ready: {said}.", fix)
    elif bad := [kind for kind in _BAD if states.get(kind, {}).get("status") == "True"]:
        why = f"It reports {', '.join(bad)}."
        yield Culprit(
            "node-unhealthy",
            Ref.of(node),
            whose,
            why,
            "Free what it is short of, repair it, or replace it.",
            blocks=False,
        )


def _cordon(node: Json, whose: str, now: datetime) -> Iterator[Culprit]:
    if not (node.get("spec") or {}).get("unschedulable"):
        return
    since = cordoned_since(node)
    if since is None or now - since < LONG:
        return
    yield Culprit(
        "node-cordoned",
        Ref.of(node),
        whose,
        f"It has been cordoned for {format_duration(timedelta(days=(now - since).days))}, since {since:%Y-%m-%d}.",
        "Uncordon it, or remove it.",
        blocks=False,
    )


def cordoned_since(node: Json) -> datetime | None:
    """By the taint that goes with a cordon, else by whoever manages `unschedulable`; None when neither tells."""
    for taint in (node.get("spec") or {}).get("taints") or ():
        if taint["key"] == _UNSCHEDULABLE and taint.get("timeAdded"):
            return datetime.fromisoformat(taint["timeAdded"])
    times = [
        datetime.fromisoformat(each["time"])
        for each in node["metadata"].get("managedFields") or ()
        if each.get("time") and "f:unschedulable" in ((each.get("fieldsV1") or {}).get("f:spec") or {})
    ]
    return max(times, default=None)


def _skew(node: Json, whose: str, following: str) -> Iterator[Culprit]:
    kubelet = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "").removeprefix("v")
    try:
        problem = kubelet_problem(following, kubelet)
    except ValueError:
        why = f"Its kubelet says it is {kubelet or 'nothing'!r}, which is no version, so its skew is not known."
        yield Culprit("node-skew", Ref.of(node), whose, why, "Look at the node's kubelet.", blocks=False)
        return
    if problem:
        why = f"Under the API server to come: {problem}."
        yield Culprit("node-skew", Ref.of(node), whose, why, "Bring the node's kubelet up first, or replace the node.")


def requests(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Certificate requests of kubelets that nobody has decided on."""
    for request in seen.of(("certificates.k8s.io", "CertificateSigningRequest")):
        spec, status = request.get("spec") or {}, request.get("status") or {}
        signer = spec.get("signerName")
        age = seen.now - datetime.fromisoformat(request["metadata"]["creationTimestamp"])
        if signer not in (_CLIENT, _SERVING) or status.get("conditions") or status.get("certificate") or age < WAITING:
            continue
        joins = signer == _CLIENT
        effect = "a node cannot join" if joins else "logs, exec and metrics of the node's pods do not work"
        yield Culprit(
            "csr-pending",
            Ref.of(request),
            str(spec.get("username") or ""),
            f"Nobody has approved it for {format_duration(timedelta(minutes=age // timedelta(minutes=1)))}: {effect}.",
            f"`kubectl certificate approve {request['metadata']['name']}` if it is genuine; mend what should do so.",
            blocks=joins,
        )
