"""What the API server asks others before it answers, and what becomes of a request when they do not: admission webhooks
that fail closed, conversion of custom resources, extension API servers."""

import base64
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from cryptography import x509

from boatyard.kube.conditions import EXPIRY_NOTICE
from boatyard.kube.eviction import matches
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import API_SERVICES, Json, Seen

_KINDS = tuple(("admissionregistration.k8s.io", f"{which}WebhookConfiguration") for which in ("Validating", "Mutating"))
_CRD = ("apiextensions.k8s.io", "CustomResourceDefinition")
_SERVICES, _SLICES = ("", "Service"), ("discovery.k8s.io", "EndpointSlice")
_SYSTEM = "kube-system"
_OF_NODES = {"nodes", "*", "*/*", "nodes/*"}
_OF_PODS = {"pods", "*", "*/*", "pods/*", "pods/eviction"}


class Endpoints:
    """Which Services there are, and how many ready endpoints each has."""

    def __init__(self, seen: Seen) -> None:
        self._known = seen.has(_SERVICES, _SLICES)
        self._services = {(one["metadata"]["namespace"], one["metadata"]["name"]): one for one in seen.of(_SERVICES)}
        self._ready: Counter[tuple[str, str]] = Counter()
        for each in seen.of(_SLICES):
            service = (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name")
            ready = sum((end.get("conditions") or {}).get("ready") is not False for end in each.get("endpoints") or ())
            self._ready[each["metadata"]["namespace"], str(service)] += ready

    def problem(self, client_config: Json) -> str:
        """Why nobody answers behind a clientConfig, "" when somebody may; a URL cannot be looked at from here."""
        service = client_config.get("service")
        if not service or not self._known:
            return ""
        key = (str(service.get("namespace")), str(service.get("name")))
        if key not in self._services:
            return f"its Service {key[0]}/{key[1]} does not exist"
        if (self._services[key].get("spec") or {}).get("type") == "ExternalName" or self._ready[key]:
            return ""
        return f"its Service {key[0]}/{key[1]} has no ready endpoint"


def webhooks(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Admission webhooks that fail closed, by what they would refuse."""
    endpoints = Endpoints(seen)
    spaces = {one["metadata"]["name"]: (one["metadata"].get("labels") or {}) for one in seen.of(("", "Namespace"))}
    system = spaces.get(_SYSTEM, {"kubernetes.io/metadata.name": _SYSTEM})
    for configuration in seen.of(*_KINDS):
        ref, whose = Ref.of(configuration), owners.of(configuration)
        for hook in configuration.get("webhooks") or ():
            name = hook["name"]
            yield from _bundle(hook["clientConfig"], ref, whose, f"webhook {name}", seen.now)
            if hook.get("failurePolicy", "Fail") != "Fail" or not hook.get("rules"):
                continue
            if problem := endpoints.problem(hook["clientConfig"]):
                why = f"Webhook {name} refuses what it cannot judge, and {problem}: {_about(hook)} will be refused."
                fix = "Get its pods running, set failurePolicy: Ignore, or delete the configuration."
                yield Culprit("webhook-down", ref, whose, why, fix)
            elif what := _broad(hook, system):
                why = f"Webhook {name} must agree to changes of {what}; while its own pods move, all are refused."
                fix = "Exclude kube-system by its namespaceSelector, narrow its rules, or set failurePolicy: Ignore."
                yield Culprit("webhook-broad", ref, whose, why, fix, blocks=False)


def _about(hook: Json) -> str:
    resources = sorted({str(each) for rule in hook["rules"] for each in rule.get("resources") or ()})
    return f"writes of {', '.join(resources[:4])}" + (" and others" if len(resources) > 4 else "")


def _broad(hook: Json, system: dict[str, str]) -> str:
    """`nodes`, `pods of every namespace`: what a drain or a joining node needs and the webhook may refuse."""
    if hook.get("matchConditions"):  # expressions that narrow it in ways only the server can judge
        return ""
    core = [
        rule
        for rule in hook["rules"]
        if {"", "*"} & set(rule.get("apiGroups") or ()) and set(rule.get("operations") or ()) - {"CONNECT"}
    ]
    resources = {str(each) for rule in core for each in rule.get("resources") or ()}
    found = []
    if resources & _OF_NODES and _all(hook.get("objectSelector")):
        found.append("nodes")
    everywhere = matches(hook.get("namespaceSelector") or {}, system) and _all(hook.get("objectSelector"))
    if resources & _OF_PODS and everywhere:
        found.append(f"pods of every namespace, {_SYSTEM} too")
    return " and ".join(found)


def _all(selector: Any) -> bool:
    return not selector or not (selector.get("matchLabels") or selector.get("matchExpressions"))


def conversions(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """CustomResourceDefinitions whose objects nobody can convert."""
    endpoints = Endpoints(seen)
    for definition in seen.of(_CRD):
        conversion = (definition.get("spec") or {}).get("conversion") or {}
        client_config = (conversion.get("webhook") or {}).get("clientConfig")
        if conversion.get("strategy") != "Webhook" or not client_config:
            continue
        ref, whose = Ref.of(definition), owners.of(definition)
        yield from _bundle(client_config, ref, whose, "its conversion webhook", seen.now)
        if _converts(definition) and (problem := endpoints.problem(client_config)):
            yield Culprit(
                "conversion-down",
                ref,
                whose,
                f"Its conversion webhook does not answer: {problem}; its objects cannot be read in another version,"
                " and the control plane's garbage collection stops on them.",
                "Get the webhook's pods running, or remove versions that nobody stores and set strategy: None.",
            )


def _converts(definition: Json) -> bool:
    """Is there more than one version to convert between?"""
    served = [each["name"] for each in definition["spec"].get("versions") or () if each.get("served")]
    stored = (definition.get("status") or {}).get("storedVersions") or ()
    return len({*served, *stored}) > 1


def api_services(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """APIs of extension servers that do not answer."""
    for service in seen.of(API_SERVICES):
        spec = service.get("spec") or {}
        if not spec.get("service"):
            continue
        ref, whose = Ref.of(service), owners.of(service)
        yield from _bundle(spec, ref, whose, "its server", seen.now)
        conditions = (service.get("status") or {}).get("conditions") or ()
        available: Json = next((each for each in conditions if each["type"] == "Available"), {})
        if available.get("status") != "True":
            said = str(available.get("message") or available.get("reason") or "it has not been asked yet").rstrip(".")
            yield Culprit(
                "apiservice-down",
                ref,
                whose,
                f"Its server does not answer ({said}), so no namespace can be deleted and discovery fails in part.",
                "Get its pods running, or delete the APIService.",
            )


def _bundle(client_config: Json, ref: Ref, whose: str, what: str, now: datetime) -> Iterator[Culprit]:
    """A CA bundle whose last certificate ends soon, or has ended."""
    try:
        certificates = x509.load_pem_x509_certificates(base64.b64decode(client_config.get("caBundle") or ""))
    except ValueError:  # none, or one that only its owner can read: the server would have refused what is not PEM
        return
    end = max(each.not_valid_after_utc for each in certificates)
    if end - now < EXPIRY_NOTICE:
        ended = end <= now
        yield Culprit(
            "webhook-certificate",
            ref,
            whose,
            f"The CA bundle for {what} {'ended' if ended else 'ends'} on {end:%Y-%m-%d %H:%M} UTC.",
            "Renew it; cert-manager's cainjector or the chart's own job normally does.",
            blocks=ended,
        )
