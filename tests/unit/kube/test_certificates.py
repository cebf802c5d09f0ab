"""A client certificate that is made anew each time is no reason to warn of its end."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from boatyard.kube.conditions import client_expiry

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


def kubeconfig(lifetime: timedelta) -> dict[str, object]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "admin")])
    made = x509.CertificateBuilder(name, name, key.public_key(), 7, BEGAN, BEGAN + lifetime).sign(key, hashes.SHA256())
    user = {"client-certificate-data": base64.b64encode(made.public_bytes(Encoding.PEM)).decode()}
    return {"users": [{"name": "admin", "user": user}], "contexts": [{"name": "x", "context": {"user": "admin"}}]}


@pytest.mark.parametrize(
    ("lifetime", "end"),
    [
        (timedelta(hours=1), None),
        (timedelta(days=29), None),
        (timedelta(days=365), BEGAN + timedelta(days=365)),
    ],
)
def test_only_certificates_that_are_kept_have_an_end_to_tell(lifetime: timedelta, end: datetime | None) -> None:
    assert client_expiry(kubeconfig(lifetime)) == end


def test_users_without_a_certificate_have_none() -> None:
    assert client_expiry({"users": [{"name": "x", "user": {"token": "t"}}], "contexts": []}) is None
