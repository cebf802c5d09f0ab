"""Certificate authorities and the service-account key, as kOps keeps them: real RSA keys (layout: kOps' own)."""

import base64
import hashlib
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from standin.say import Fail, log, out
from standin.store import Store, parsed

ALL = [
    "etcd-manager-ca-events",
    "apiserver-aggregator-ca",
    "etcd-peers-ca-events",
    "etcd-peers-ca-main",
    "etcd-manager-ca-main",
    "etcd-clients-ca",
    "kubernetes-ca",
    "service-account",
]
Item = dict[str, Any]


def rotatable(name: str) -> bool:
    return name == "service-account" or "-ca" in name


def load(store: Store, cluster: str, name: str) -> dict[str, Any] | None:
    text = store.read(f"{cluster}/pki/private/{name}/keyset.yaml")
    return None if text is None else parsed(text)["spec"]


def names(store: Store, cluster: str) -> list[str]:
    return sorted(one.split("/")[0] for one in store.names(f"{cluster}/pki/private") if one.endswith("/keyset.yaml"))


def save(store: Store, cluster: str, name: str, spec: dict[str, Any]) -> None:
    spec["keys"].sort(key=lambda item: int(item["id"]))
    document = {
        "apiVersion": "kops.k8s.io/v1alpha2",
        "kind": "Keyset",
        "metadata": {"creationTimestamp": None, "name": name},
        "spec": {"keys": spec["keys"], "primaryId": spec["primaryId"], "type": "Keypair"},
    }
    store.write(f"{cluster}/pki/private/{name}/keyset.yaml", yaml.safe_dump(document))


def issue(store: Store, cluster: str, name: str) -> None:
    """Make a keyset that is not there (recorded: kOps says which)."""
    if load(store, cluster, name) is None:
        log("keypair.go:296", f'Issuing new certificate: "{name}"')
        item = _new(name)
        save(store, cluster, name, {"keys": [item], "primaryId": item["id"]})


def create(store: Store, cluster: str, name: str) -> None:
    spec = load(store, cluster, name)
    if spec is None:
        raise Fail("the first keypair added to a keyset must be primary")
    item = _new(name)
    spec["keys"].append(item)
    save(store, cluster, name, spec)
    out(f"Created {name} {item['id']}")


def promote(store: Store, cluster: str, name: str, chosen: str = "") -> None:
    spec = load(store, cluster, name)
    if spec is None:
        raise Fail("keyset not found")
    if not chosen:
        chosen = max((key["id"] for key in spec["keys"] if not key.get("distrustTimestamp")), key=int)
        if chosen == spec["primaryId"]:
            out(f"No {name} keypair newer than current primary {chosen}")
            return
    item = _item(spec, chosen)
    if item.get("distrustTimestamp"):
        raise Fail("keypair is distrusted")
    spec["primaryId"] = chosen
    save(store, cluster, name, spec)
    out(f"Promoted {name} {chosen}")


def distrust(store: Store, cluster: str, name: str, *chosen: str) -> None:
    spec = load(store, cluster, name)
    if spec is None:
        raise Fail("keyset not found")
    older = [key["id"] for key in spec["keys"] if int(key["id"]) < int(spec["primaryId"])]
    ids = chosen or [one for one in older if not _item(spec, one).get("distrustTimestamp")]
    if not ids:
        log("distrust_keypair.go:180", f"No {name} keypairs older than the primary.")
    for one in ids:
        if one == spec["primaryId"]:
            raise Fail("cannot distrust the primary keypair")
        item = _item(spec, one)
        if not item.get("distrustTimestamp"):
            item["distrustTimestamp"] = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
            save(store, cluster, name, spec)
            out(f"Distrusted {name} {one}")


def described(store: Store, cluster: str, distrusted: bool) -> list[dict[str, Any]]:
    """As `kops get keypairs -o json`."""
    found = []
    for name in names(store, cluster):
        spec = load(store, cluster, name)
        for key in spec["keys"] if spec else ():
            if key.get("distrustTimestamp") and not distrusted:
                continue
            certificate = x509.load_pem_x509_certificate(base64.b64decode(key["publicMaterial"]))
            one: dict[str, Any] = {"name": name, "id": key["id"]}
            if key.get("distrustTimestamp"):
                one["distrustTimestamp"] = key["distrustTimestamp"]
            one |= {"isPrimary": True} if key["id"] == spec["primaryId"] else {}
            one |= {"subject": f"CN={name}", "issuer": f"CN={name}", "isCA": True}
            one["notBefore"] = f"{certificate.not_valid_before_utc:%Y-%m-%dT%H:%M:%SZ}"
            one["notAfter"] = f"{certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
            found.append(one | {"keyLength": 2048, "hasPrivateKey": True})
    return found


def trusted(store: Store, cluster: str, name: str) -> str:
    """PEM of all certificates that are trusted."""
    spec = load(store, cluster, name)
    keys = [key for key in (spec or {"keys": ()})["keys"] if not key.get("distrustTimestamp")]
    return "".join(base64.b64decode(key["publicMaterial"]).decode() for key in keys)


def client(store: Store, cluster: str, common: str, lifetime: timedelta) -> tuple[str, str]:
    """PEM of a certificate and key of an administrator, signed by the primary of kubernetes-ca."""
    spec = load(store, cluster, "kubernetes-ca")
    if spec is None:
        raise Fail("cannot find CA certificate")
    authority = _item(spec, spec["primaryId"])
    signer = serialization.load_pem_private_key(base64.b64decode(authority["privateMaterial"]), None)
    issuer = x509.load_pem_x509_certificate(base64.b64decode(authority["publicMaterial"])).subject
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    subject = [(NameOID.ORGANIZATION_NAME, "system:masters"), (NameOID.COMMON_NAME, common)]
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=5))
        .not_valid_after(now + lifetime)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(signer, hashes.SHA256())  # type: ignore[arg-type]
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode(), _pem(key)


def _new(name: str) -> Item:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    serial = time.time_ns() << 32
    who = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    usage = x509.KeyUsage(*(at in (5, 6) for at in range(9)))
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - timedelta(days=2))
        .not_valid_after(now + timedelta(days=3650 - 2))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(key_identifier(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    public = certificate.public_bytes(serialization.Encoding.PEM)
    material = {"privateMaterial": _encode(_pem(key).encode()), "publicMaterial": _encode(public)}
    return {"id": str(serial), **material}


def key_identifier(key: rsa.RSAPublicKey) -> x509.SubjectKeyIdentifier:
    """As Go makes it (since 1.25, RFC 7093): not the SHA-1 that others take it to be."""
    bits = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    return x509.SubjectKeyIdentifier(hashlib.sha256(bits).digest()[:20])


def _pem(key: rsa.RSAPrivateKey) -> str:
    form = serialization.PrivateFormat.TraditionalOpenSSL
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption()).decode()


def _encode(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _item(spec: dict[str, Any], chosen: str) -> Item:
    found: Item | None = next((key for key in spec["keys"] if key["id"] == chosen), None)
    if found is None:
        raise Fail("keypair not found")
    return found
