"""Credentials for a kwok cluster, made from the authority that kwokctl keeps in the cluster's folder."""

import base64
from datetime import datetime, timedelta
from typing import Any

from boatyard.drivers.kwok.state import Layout
from boatyard.errors import NotFound

LIFETIME = timedelta(hours=8)
_SKEW = timedelta(minutes=5)


def admin(layout: Layout, port: int) -> dict[str, Any]:
    """kwokctl's own, long-lived administrator, for use inside this process only. `NotFound` when there is none yet."""
    return _document(layout, port, _file(layout, "admin.crt"), _file(layout, "admin.key"))


def short_lived(layout: Layout, port: int, now: datetime) -> dict[str, Any]:
    """An administrator for eight hours: a new key, and a client certificate of the cluster's authority."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    # The authority's own certificate has serial number 0, which the library is about to refuse; its name is here, too.
    issued = x509.load_pem_x509_certificate(_file(layout, "admin.crt"))
    authority_key: Any = serialization.load_pem_private_key(_file(layout, "ca.key"), password=None)
    key = ec.generate_private_key(ec.SECP256R1())
    names = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "system:masters"),
        x509.NameAttribute(NameOID.COMMON_NAME, "boatyard"),
    ]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(names))
        .issuer_name(issued.issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(max(now - _SKEW, issued.not_valid_before_utc))
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return _document(layout, port, certificate.public_bytes(pem), private)


def _document(layout: Layout, port: int, certificate: bytes, key: bytes) -> dict[str, Any]:
    name = layout.name
    server = {"server": f"https://127.0.0.1:{port}", "certificate-authority-data": _text(_file(layout, "ca.crt"))}
    user = {"client-certificate-data": _text(certificate), "client-key-data": _text(key)}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": name,
        "clusters": [{"name": name, "cluster": server}],
        "contexts": [{"name": name, "context": {"cluster": name, "user": f"{name}-admin"}}],
        "users": [{"name": f"{name}-admin", "user": user}],
    }


def _file(layout: Layout, name: str) -> bytes:
    try:
        return (layout.pki / name).read_bytes()
    except OSError:
        raise NotFound(f"cluster {layout.name} has no {name}: it is absent or only half made.") from None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
