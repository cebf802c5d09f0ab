"""Nodes, certificates, add-ons and webhooks: the rules' edges."""

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from boatyard.kube.objects import Ref
from boatyard.kube.preflight.addons import addons, coredns
from boatyard.kube.preflight.certificates import judge
from boatyard.kube.preflight.nodes import nodes, requests
from boatyard.kube.preflight.webhooks import api_services, conversions, webhooks
from boatyard.versions import Minor
from tests.unit.kube.preflight.scene import NOW, ago, node, pod, scene, thing

FORGOTTEN = {
    "managedFields": [{"manager": "kubectl", "time": ago(days=9), "fieldsV1": {"f:spec": {"f:unschedulable": {}}}}]
}
TAINTED = [{"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule", "timeAdded": ago(hours=2)}]


@pytest.mark.parametrize(
    ("one", "expected"),
    [
        (node("n"), None),
        (node("n", ready="Unknown"), ("node-unhealthy", True, "not Ready: as it says")),
        (node("n", conditions=[{"type": "DiskPressure", "status": "True"}]), ("node-unhealthy", False, "DiskPressure")),
        (node("n", spec={"unschedulable": True}, meta=FORGOTTEN), ("node-cordoned", False, "1w2d")),
        (node("n", spec={"unschedulable": True, "taints": TAINTED}, meta=FORGOTTEN), None),
        (node("n", spec={"unschedulable": True}), None),
        (node("n", kubelet="v1.32.9-eks-1"), None),
        (node("n", kubelet="v1.31.0"), ("node-skew", True, "4 minors behind")),
        (node("n", kubelet="v1.36.0"), ("node-skew", True, "ahead")),
        (node("n", kubelet="kwok-v0.8.0"), ("node-skew", False, "no version")),
    ],
)
def test_nodes(one: Any, expected: Any) -> None:
    found = list(nodes(*scene(one)))
    assert [(each.check, each.blocks) for each in found] == ([expected[:2]] if expected else [])
    assert all(expected[2] in each.why for each in found)


def test_kubelets_are_judged_by_the_next_minor_since_they_follow_step_by_step() -> None:
    assert list(nodes(*scene(node("n", kubelet="v1.32.0"), current="1.34", target="1.37"))) == []


@pytest.mark.parametrize(
    ("signer", "status", "age", "expected"),
    [
        ("kubernetes.io/kube-apiserver-client-kubelet", {}, {"hours": 1}, True),
        ("kubernetes.io/kubelet-serving", {}, {"hours": 1}, False),
        ("kubernetes.io/kubelet-serving", {}, {"minutes": 1}, None),
        ("kubernetes.io/kubelet-serving", {"conditions": [{"type": "Denied"}]}, {"hours": 1}, None),
        ("example.com/own", {}, {"hours": 1}, None),
    ],
)
def test_requests_for_certificates(signer: str, status: Any, age: Any, expected: bool | None) -> None:
    spec = {"signerName": signer, "username": "system:node:n1"}
    made = {"creationTimestamp": ago(**age)}
    one = thing("certificates.k8s.io/v1", "CertificateSigningRequest", "csr-1", "", spec=spec, status=status, meta=made)
    found = list(requests(*scene(one)))
    assert [(each.blocks, each.owner) for each in found] == ([] if expected is None else [(expected, "system:node:n1")])


@pytest.mark.parametrize(
    ("left", "expected"),
    [(timedelta(days=31), []), (timedelta(days=20), [False]), (timedelta(hours=5), [True]), (-timedelta(1), [True])],
)
def test_a_certificate_that_ends_soon_warns_and_one_that_ends_now_blocks(left: timedelta, expected: list[bool]) -> None:
    assert [each.blocks for each in judge(Ref("", "Certificate", "", "x"), NOW + left, NOW)] == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("registry.k8s.io/kube-proxy:v1.34.1", ""),
        ("registry.k8s.io/kube-proxy-amd64:v1.31.0", "4 minors behind"),
        ("602.dkr.ecr.amazonaws.com/eks/kube-proxy:v1.36.0-eksbuild.2", "ahead"),
        ("registry.k8s.io/kube-proxy:custom", ""),
        ("registry.k8s.io/coredns/coredns:v1.8.6", "CoreDNS is 1.8.6"),
        ("registry.k8s.io/coredns/coredns:v1.13.1@sha256:abc", ""),
        ("example.com/coredns-exporter:1.0", ""),
    ],
)
def test_add_ons_by_their_images(image: str, expected: str) -> None:
    found = list(addons(*scene(pod("a", namespace="kube-system", image=image))))
    assert [each.blocks for each in found] == ([False] if expected else [])
    assert all(expected in each.why for each in found)


def test_the_add_ons_table_goes_up() -> None:
    table = coredns()
    versions = [tuple(map(int, table[minor].split("."))) for minor in sorted(table)]
    assert versions == sorted(versions)
    assert Minor(1, 37) in table


SERVICE = thing("v1", "Service", "judge", "court", spec={})


def ready(*states: bool | None) -> dict[str, Any]:
    ends = [{"addresses": ["192.0.2.1"], "conditions": {"ready": state}} for state in states]
    labels = {"kubernetes.io/service-name": "judge"}
    return thing("discovery.k8s.io/v1", "EndpointSlice", "judge-1", "court", meta={"labels": labels}, endpoints=ends)


def hook(resources: str = "pods", group: str = "", operation: str = "CREATE", **rest: Any) -> dict[str, Any]:
    rule = {"apiGroups": [group], "resources": [resources], "operations": [operation]}
    client = rest.pop("client", {"service": {"namespace": "court", "name": "judge"}})
    body = {"name": "judge.example.com", "clientConfig": client, "rules": [rule], **rest}
    kind = "ValidatingWebhookConfiguration"
    return thing("admissionregistration.k8s.io/v1", kind, "court", "", webhooks=[body])


APART = {"matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system"]}]}


@pytest.mark.parametrize(
    ("one", "others", "expected"),
    [
        (hook(), [], ["webhook-down"]),
        (hook(), [SERVICE], ["webhook-down"]),
        (hook(), [SERVICE, ready(False)], ["webhook-down"]),
        (hook(), [SERVICE, ready(None)], ["webhook-broad"]),
        (hook("nodes"), [SERVICE, ready(True)], ["webhook-broad"]),
        (hook("*", "*", "*"), [SERVICE, ready(True)], ["webhook-broad"]),
        (hook(failurePolicy="Ignore"), [], []),
        (hook(namespaceSelector=APART), [SERVICE, ready(True)], []),
        (hook(objectSelector={"matchLabels": {"a": "b"}}), [SERVICE, ready(True)], []),
        (hook(matchConditions=[{"name": "x", "expression": "true"}]), [SERVICE, ready(True)], []),
        (hook("deployments", "apps"), [SERVICE, ready(True)], []),
        (hook(operation="DELETE"), [SERVICE, ready(True)], ["webhook-broad"]),
        (hook(operation="CONNECT"), [SERVICE, ready(True)], []),
        (hook(client={"url": "https://judge.example.com"}, namespaceSelector=APART), [], []),
        (hook(), [thing("v1", "Service", "judge", "court", spec={"type": "ExternalName"})], ["webhook-broad"]),
    ],
)
def test_webhooks_that_fail_closed(one: Any, others: list[Any], expected: list[str]) -> None:
    assert [each.check for each in webhooks(*scene(one, *others))] == expected


def test_nothing_is_concluded_from_endpoints_that_were_not_read() -> None:
    assert list(webhooks(*scene(hook(namespaceSelector=APART), read=()))) == []


def bundle(end: datetime) -> str:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    begin = datetime(2020, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    signed = built.serial_number(1).not_valid_before(begin).not_valid_after(end).sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.PEM)).decode()


@pytest.mark.parametrize(
    ("left", "expected"),
    [(timedelta(days=60), []), (timedelta(days=9), [False]), (-timedelta(days=1), [True])],
)
def test_the_ca_bundle_of_a_webhook_that_ends(left: timedelta, expected: list[bool]) -> None:
    client = {"url": "https://judge.example.com", "caBundle": bundle(NOW + left)}
    one = hook(client=client, failurePolicy="Ignore")
    assert [each.blocks for each in webhooks(*scene(one))] == expected


def test_a_ca_bundle_that_is_none_is_passed_over() -> None:
    for text in ("", "bm90aGluZw==", "Cg=="):
        assert list(webhooks(*scene(hook(client={"url": "https://x", "caBundle": text}, failurePolicy="Ignore")))) == []


def test_a_definition_without_a_webhook_needs_none() -> None:
    spec = {"conversion": {"strategy": "None"}}
    assert (
        list(conversions(*scene(thing("apiextensions.k8s.io/v1", "CustomResourceDefinition", "x", "", spec=spec))))
        == []
    )


@pytest.mark.parametrize(("stored", "expected"), [(["v1"], []), (["v1", "v1beta1"], ["conversion-down"])])
def test_a_definition_of_one_version_converts_nothing(stored: list[str], expected: list[str]) -> None:
    webhook = {"clientConfig": {"service": {"namespace": "court", "name": "judge"}}}
    spec = {"conversion": {"strategy": "Webhook", "webhook": webhook}, "versions": [{"name": "v1", "served": True}]}
    kind = "CustomResourceDefinition"
    one = thing("apiextensions.k8s.io/v1", kind, "x", "", spec=spec, status={"storedVersions": stored})
    assert [each.check for each in conversions(*scene(one))] == expected


def test_apis_of_the_server_itself_are_no_extension() -> None:
    own = thing("apiregistration.k8s.io/v1", "APIService", "v1.apps", "", spec={"group": "apps", "version": "v1"})
    assert list(api_services(*scene(own))) == []
