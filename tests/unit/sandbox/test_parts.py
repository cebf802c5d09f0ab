"""The sandbox's parts on their own: what is a change, who is asked for, what a keyset says."""

import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509

from boatyard.errors import Permanent
from boatyard.sandbox.aws import keysets
from boatyard.sandbox.aws.gate import writes
from boatyard.sandbox.aws.router import server_name
from tests.unit.sandbox.kops import keyset, pair


@pytest.mark.parametrize(
    ("method", "target", "body", "expected"),
    [
        ("GET", "", b"", False),
        ("PUT", "", b"object", True),
        ("DELETE", "", b"", True),
        ("POST", "", b"Action=DescribeInstances&Version=2016-11-15", False),
        ("POST", "", b"Action=TerminateInstances&InstanceId.1=i-1", True),
        ("POST", "AmazonSQS.GetQueueUrl", b"{}", False),
        ("POST", "AmazonSQS.CreateQueue", b"{}", True),
        ("POST", "", b"", True),
    ],
)
def test_what_may_change_something(method: str, target: str, body: bytes, expected: bool) -> None:
    assert writes(method, target, body) is expected


def hello(name: str | None) -> bytes:
    """What Python's own TLS sends first."""
    coming, going = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    wrapped = context.wrap_bio(coming, going, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        wrapped.do_handshake()
    return going.read()


def test_the_server_name_is_read_from_a_real_hello() -> None:
    assert server_name(hello("api.internal.k8s.example.com")) == "api.internal.k8s.example.com"
    assert server_name(hello(None)) == ""


@pytest.mark.parametrize("cut", range(0, 120, 7))
def test_half_a_hello_names_nobody_or_somebody_but_never_fails(cut: int) -> None:
    whole = hello("api.k8s.example.com")
    assert server_name(whole[:cut]) in ("", *("api.k8s.example.com"[:n] for n in range(20)))


@pytest.mark.parametrize("noise", [b"", b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\x05\x02aaaa", b"\x16" * 80])
def test_noise_names_nobody(noise: bytes) -> None:
    assert server_name(noise) == ""


def test_a_keyset_gives_its_primary_pair_and_all_that_is_trusted() -> None:
    entries = [pair("kubernetes-ca", number) for number in (1, 2, 3)]
    entries[0]["distrustTimestamp"] = "2026-11-22T00:00:00Z"
    found = keysets.parse(keyset("kubernetes-ca", "2", entries), "a keyset")
    assert x509.load_pem_x509_certificate(found.certificate).serial_number == 2
    assert {x509.load_pem_x509_certificate(each).serial_number for each in found.trusted} == {2, 3}
    assert found.bundle.count(b"BEGIN CERTIFICATE") == 2
    assert found.public_keys.count(b"BEGIN PUBLIC KEY") == 2


def test_certificates_are_issued_by_the_primary_pair() -> None:
    authority = keysets.parse(keyset("kubernetes-ca", "1", [pair("kubernetes-ca", 1)]), "a keyset")
    names = ["api.internal.k8s.example.com", "127.0.0.1"]
    certificate, key = keysets.issue(authority, "kubernetes-master", datetime.now(UTC), names=names)
    issued = x509.load_pem_x509_certificate(certificate)
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issued.verify_directly_issued_by(issuer)
    named = issued.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    assert named == issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    listed = issued.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert listed.get_values_for_type(x509.DNSName) == names[:1]
    assert key.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert b"PRIVATE" not in repr(authority).encode()


@pytest.mark.parametrize("text", ["", "spec: {}", "spec: {keys: []}", "{", "spec: {keys: [{id: '1'}], primaryID: '1'}"])
def test_what_is_no_keyset_is_refused(text: str) -> None:
    with pytest.raises(Permanent, match="a keyset is not a keyset"):
        keysets.parse(text, "a keyset")
