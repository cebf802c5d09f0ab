"""The monitor's look: a cluster's health as conditions. Reads only, is bounded in time, and never raises for a cluster.

A condition is True when all is well, False when somebody should look, Unknown when nothing can be said.
"""

import base64
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from cryptography import x509

from boatyard.errors import BoatyardError
from boatyard.kube.client import Client
from boatyard.kube.health import Check, PoolOf, State, judge, pool_by_label, served_version, version_drift
from boatyard.kube.reading import Reading, read
from boatyard.plan.model import Observed, Phase, Plan
from boatyard.spec.models import Cluster
from boatyard.words import some

Json = Mapping[str, Any]
Truth = Literal["True", "False", "Unknown"]

TYPES = (
    "Reachable",
    "ControlPlaneReady",
    "NodesReady",
    "SystemPodsReady",
    "VersionCurrent",
    "SkewOK",
    "CertificatesValid",
    "InSync",
)
EXPIRY_NOTICE = timedelta(days=30)
"""Certificates that end sooner than this make CertificatesValid False."""


@dataclass(frozen=True)
class Condition:
    """One side of a cluster's health. `reason`: one word in CamelCase; `message`: a sentence for people."""

    type: str
    status: Truth
    reason: str
    message: str


def observe_health(
    client: Client | None,
    cluster: Cluster,
    observed: Observed,
    now: datetime,
    *,
    plan: Plan | None = None,
    kubeconfig: Json | None = None,
    timeout: float = 10.0,
    pool_of: PoolOf = pool_by_label,
) -> list[Condition]:
    """One condition of each of `TYPES`, in that order.

    client: None when there is no way to reach the cluster. plan: what would bring it to its spec, None when that was
    not computed. kubeconfig: the one the client uses, for its certificate's end. timeout: seconds for the first answer.
    """
    if observed.phase in (Phase.HIBERNATED, Phase.ABSENT):
        reason = "Hibernated" if observed.phase is Phase.HIBERNATED else "Absent"
        return _all_unknown(reason, f"the cluster is {observed.phase}", _in_sync(plan))
    if client is None:
        return _unreachable(observed.detail or "there is no kubeconfig for it", plan)
    reading = read(client, timeout=timeout)
    if isinstance(reading.readyz, BoatyardError):
        return _unreachable(str(reading.readyz), plan)
    checks = judge(reading, cluster, now, pool_of=pool_of)
    return [
        Condition("Reachable", "True", "Answers", f"the API server at {client.server} answers"),
        _from_checks("ControlPlaneReady", [c for c in checks if c.name.startswith("readyz")], "AllChecksPass"),
        _from_checks("NodesReady", [c for c in checks if c.name.startswith(("pool/", "nodes"))], "AllReady"),
        _from_checks("SystemPodsReady", [c for c in checks if c.name in ("system-pods", "dns")], "AllReady"),
        _current(reading, cluster),
        _from_checks("SkewOK", [c for c in checks if c.name == "skew"], "WithinPolicy"),
        _certificates(client.server, kubeconfig, now, timeout),
        _in_sync(plan),
    ]


def _unreachable(why: str, plan: Plan | None) -> list[Condition]:
    unknown = _all_unknown("Unreachable", "the API server does not answer", None)
    return [Condition("Reachable", "False", "NoAnswer", why), *unknown[1:-1], _in_sync(plan, reachable=False)]


def _all_unknown(reason: str, message: str, in_sync: Condition | None) -> list[Condition]:
    conditions = [Condition(name, "Unknown", reason, message) for name in TYPES]
    return [*conditions[:-1], in_sync] if in_sync else conditions


def _from_checks(name: str, checks: Sequence[Check], well: str) -> Condition:
    """False when one fails; Unknown when one could not be read or nothing but waiting keeps it from passing."""
    failed = [check for check in checks if check.status is State.FAIL]
    waiting = [check for check in checks if check.status is State.WAITING]
    noted = [check for check in checks if check.status is State.WARN]
    unread = [check for check in failed if check.message.startswith("could not be read")]
    if failed and failed != unread:
        return Condition(name, "False", "ChecksFail", _sentence([c for c in failed if c not in unread]))
    if unread:
        return Condition(name, "Unknown", "NotRead", _sentence(unread))
    if waiting:
        return Condition(name, "Unknown", "InProgress", _sentence(waiting))
    if noted:
        return Condition(name, "True", "WithNotes", _sentence(noted))
    return Condition(name, "True", well, f"{len(checks)} checks pass" if len(checks) > 3 else _sentence(checks))


def _sentence(checks: Sequence[Check]) -> str:
    return "; ".join(f"{check.name}: {check.message}" for check in checks) or "nothing to check"


def _current(reading: Reading, cluster: Cluster) -> Condition:
    name = "VersionCurrent"
    if isinstance(reading.version, BoatyardError):
        return Condition(name, "Unknown", "NotRead", str(reading.version))
    served = served_version(reading.version)
    try:
        drift = version_drift(served, cluster)
    except ValueError as error:
        return Condition(name, "Unknown", "NotRead", str(error))
    if drift:
        return Condition(name, "False", "NotAsWanted", drift)
    return Condition(name, "True", "AsWanted", f"it runs {served}, the spec wants {cluster.kubernetes.version}")


def _in_sync(plan: Plan | None, *, reachable: bool = True) -> Condition:
    if plan is None:
        return Condition("InSync", "Unknown", "NotCompared", "it was not compared with its spec")
    if plan.empty and (plan.incomplete or not reachable):
        return Condition("InSync", "Unknown", "NotCompared", "it does not answer, so it cannot be compared in full")
    if plan.empty:
        return Condition("InSync", "True", "NothingToDo", "it is as its spec says")
    return Condition("InSync", "False", "Drifted", f"to be as its spec says it needs: {some(plan.steps, 5)}")


def _certificates(server: str, kubeconfig: Json | None, now: datetime, timeout: float) -> Condition:
    ends: dict[str, datetime] = {}
    problems = []
    looks: dict[str, Callable[[], datetime | None]] = {
        "the API server's certificate": lambda: serving_expiry(server, kubeconfig, timeout),
        "the kubeconfig's client certificate": lambda: client_expiry(kubeconfig),
    }
    for name, look in looks.items():
        try:
            if end := look():
                ends[name] = end
        except (OSError, ValueError) as error:
            problems.append(f"{name} could not be read: {error}")
    return _judge_certificates(ends, problems, now)


def _judge_certificates(ends: Mapping[str, datetime], problems: Sequence[str], now: datetime) -> Condition:
    name = "CertificatesValid"
    texts = [f"{subject} ends {end:%Y-%m-%d %H:%M} UTC" for subject, end in sorted(ends.items(), key=lambda e: e[1])]
    if any(end <= now for end in ends.values()):
        return Condition(name, "False", "Expired", "; ".join(texts))
    if any(end - now < EXPIRY_NOTICE for end in ends.values()):
        return Condition(name, "False", "ExpiresSoon", "; ".join(texts))
    if problems:
        return Condition(name, "Unknown", "NotRead", "; ".join(problems))
    return Condition(name, "True", "Valid", "; ".join(texts) or "there are none")


def serving_expiry(server: str, kubeconfig: Json | None, timeout: float) -> datetime | None:
    """When the certificate ends that the server shows in a TLS handshake; None without TLS. `OSError`."""
    address = urlsplit(server)
    if address.scheme != "https":
        return None
    host = address.hostname or ""
    name = _entry(kubeconfig, "cluster").get("tls-server-name") or host
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # an expired one must be readable too
    with (
        socket.create_connection((host, address.port or 443), timeout=timeout) as raw,
        context.wrap_socket(raw, server_hostname=name) as secure,
    ):
        shown = secure.getpeercert(binary_form=True)
    return x509.load_der_x509_certificate(shown).not_valid_after_utc if shown else None


def client_expiry(kubeconfig: Json | None) -> datetime | None:
    """When the client certificate ends. `OSError`, `ValueError`.

    None for users that prove themselves otherwise, and for one made anew each time: it lives shorter than the notice.
    """
    user = _entry(kubeconfig, "user")
    if inline := user.get("client-certificate-data"):
        pem = base64.b64decode(inline)
    elif path := user.get("client-certificate"):
        pem = Path(path).expanduser().read_bytes()
    else:
        return None
    certificate = x509.load_pem_x509_certificate(pem)
    end = certificate.not_valid_after_utc.astimezone(UTC)
    return end if end - certificate.not_valid_before_utc >= EXPIRY_NOTICE else None


def _entry(kubeconfig: Json | None, kind: Literal["cluster", "user"]) -> Json:
    """The current context's cluster or user, empty where there is none."""
    document = kubeconfig or {}
    contexts = {entry["name"]: entry.get("context") or {} for entry in document.get("contexts") or ()}
    context = contexts.get(document.get("current-context")) or next(iter(contexts.values()), {})
    entries = {entry["name"]: entry.get(kind) or {} for entry in document.get(f"{kind}s") or ()}
    found: Json = entries.get(context.get(kind), {})
    return found
