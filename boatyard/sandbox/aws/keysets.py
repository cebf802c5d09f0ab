"""kOps' keysets: read from the state store's `keyset.yaml`, and certificates issued from them."""

import base64
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from boatyard.errors import Permanent

_LIFETIME = timedelta(days=365)
_SKEW = timedelta(minutes=5)


@dataclass(frozen=True)
class Keyset:
    """certificate and key: of the primary pair, PEM. trusted: the certificates of all pairs not distrusted, PEM."""

    certificate: bytes
    key: bytes = field(repr=False)
    trusted: tuple[bytes, ...] = ()

    @property
    def bundle(self) -> bytes:
        """All trusted certificates in one file."""
        return b"".join(self.trusted)

    @property
    def public_keys(self) -> bytes:
        """The public keys of all trusted pairs in one file, the primary's first."""
        return b"".join(_public(certificate) for certificate in dict.fromkeys((self.certificate, *self.trusted)))


def parse(text: str | bytes, what: str) -> Keyset:
    """Read a `keyset.yaml`. `Permanent` when it has no usable primary pair."""
    try:
        spec = yaml.safe_load(text)["spec"]
        pairs = {str(entry["id"]): entry for entry in spec["keys"]}
        trusted = {key: entry for key, entry in pairs.items() if not entry.get("distrustTimestamp")}
        primary = pairs[str(spec.get("primaryID") or spec.get("primaryId") or max(trusted, key=int))]
        certificates = tuple(_material(entry, "publicMaterial") for entry in trusted.values())
        return Keyset(_material(primary, "publicMaterial"), _material(primary, "privateMaterial"), certificates)
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise Permanent(f"{what} is not a keyset that kOps would write: {type(error).__name__} {error}.") from None


def issue(authority: Keyset, subject: str, now: datetime, *, names: Iterable[str] = ()) -> tuple[bytes, bytes]:
    """(certificate, key), PEM, signed by the primary pair.

    names: host names and addresses, which make it a server's; without any it is an administrator's (system:masters).
    """
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    authority_key: Any = serialization.load_pem_private_key(authority.key, password=None)
    key = ec.generate_private_key(ec.SECP256R1())
    listed = list(names)
    purpose = ExtendedKeyUsageOID.SERVER_AUTH if listed else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        x509.CertificateBuilder()
        .subject_name(_subject(subject, None if listed else "system:masters"))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LIFETIME)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_issued_by(issuer), critical=False)
    )
    if listed:
        builder = builder.add_extension(x509.SubjectAlternativeName([_name(name) for name in listed]), critical=False)
    certificate = builder.sign(authority_key, hashes.SHA256())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), private


def _issued_by(issuer: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    """As the authority names its own key: Go does not take SHA-1 of it any more, and OpenSSL compares the two."""
    try:
        named = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        key: Any = issuer.public_key()
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(key)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(named)


def _subject(common: str, organization: str | None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common[:64])]
    if organization:
        parts.insert(0, x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _material(entry: dict[str, Any], kind: str) -> bytes:
    return base64.b64decode(entry[kind], validate=True)


def _public(certificate: bytes) -> bytes:
    key = x509.load_pem_x509_certificate(certificate).public_key()
    return key.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
