"""Roles for service accounts: discovery documents, IAM's OIDC provider, a role for each add-on (documentation)."""

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from standin import files, keysets
from standin.aws import tag_list
from standin.say import Field
from standin.store import Store
from standin.world import Task, World, name32

_AUDIENCE = "amazonaws.com"
_THUMBPRINTS = ("9e99a48a9960b14926bb7f3b02e22da2b0ab7280", "a9d53002e97e00e043244f3d170d6f4c414104fd")
_LONGEST = 64  # letters of a role's name


def tasks(world: World) -> Iterator[Task]:
    if not _folder(world):
        return
    url = _url(world)
    document = {"issuer": url, "jwks_uri": f"{url}/openid/v1/jwks"}
    document["authorization_endpoint"] = "urn:kubernetes:programmatic_authorization"
    lists = {"response_types_supported": ["id_token"], "subject_types_supported": ["public"]}
    lists |= {"id_token_signing_alg_values_supported": ["RS256"], "claims_supported": ["sub", "iss"]}
    yield _file(world, "discovery.json", ".well-known/openid-configuration", json.dumps(document | lists, indent=0))
    yield _file(world, "keys.json", "openid/v1/jwks", _jwks(world))
    if world.spec["serviceAccountIssuerDiscovery"].get("enableAWSOIDCProvider"):
        yield _provider(world, url)
    for account in _accounts(world):
        yield from _role(world, account, url)


def remove(world: World) -> None:
    """The discovery documents go with the cluster's record."""
    if folder := _folder(world):
        Store(folder).remove("")


def providers(world: World) -> list[str]:
    """ARNs of the cluster's OIDC providers."""
    listed = world.aws.call("iam", "list_open_id_connect_providers")["OpenIDConnectProviderList"]
    host = _url(world).removeprefix("https://") if _folder(world) else ""
    return [one["Arn"] for one in listed if host and one["Arn"].endswith(f":oidc-provider/{host}")]


def role_names(world: World) -> list[str]:
    return [_role_name(world, account) for account in _accounts(world)] if _folder(world) else []


def _folder(world: World) -> str:
    return str(world.spec.get("serviceAccountIssuerDiscovery", {}).get("discoveryStore", ""))


def _url(world: World) -> str:
    bucket, _, path = _folder(world).removeprefix("s3://").partition("/")
    return f"https://{bucket}.s3.{world.aws.region}.amazonaws.com/{path}"


def _file(world: World, name: str, location: str, text: str) -> Task:
    store = Store(_folder(world))

    def find() -> Any:
        kept = world.aws.look(f"discovery {name}", lambda: store.read(location))
        return None if kept is None else {"Contents": kept.decode()}

    def make() -> None:
        store.write(location, text)

    fields: list[Field] = [("Base", _folder(world)), ("Location", location), ("Public", "true")]
    return Task("ManagedFile", name, fields, find, make, {"Contents": text}, make)


def _jwks(world: World) -> str:
    """The service-account keys that are trusted; none before the first update."""
    keys = []
    pem = keysets.trusted(world.store, world.name, "service-account")
    for certificate in x509.load_pem_x509_certificates(pem.encode()) if pem else ():
        public = certificate.public_key()
        form = serialization.PublicFormat.SubjectPublicKeyInfo
        digest = hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).digest()
        if isinstance(public, rsa.RSAPublicKey):
            number = public.public_numbers()
            keys.append({"use": "sig", "kty": "RSA", "kid": _plain(digest), "alg": "RS256"})
            keys[-1] |= {"n": _plain(number.n.to_bytes(256)), "e": _plain(number.e.to_bytes(3))}
    return json.dumps({"keys": sorted(keys, key=lambda key: key["kid"])}, indent=0)


def _plain(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _provider(world: World, url: str) -> Task:
    name, tags = world.name, world.tags(world.name)

    def make() -> None:
        asked = {"Url": url, "ClientIDList": [_AUDIENCE], "ThumbprintList": list(_THUMBPRINTS)}
        world.aws.call("iam", "create_open_id_connect_provider", **asked, Tags=tag_list(tags))

    fields = [("ClientIDs", f"[{_AUDIENCE}]"), ("Thumbprints", f"[{', '.join(_THUMBPRINTS)}]"), ("URL", url)]
    fields.append(world.shown_tags(name))
    return Task("IAMOIDCProvider", name, fields, lambda: {} if providers(world) else None, make)


def _accounts(world: World) -> list[str]:
    """Add-ons of kOps that get a role of their own."""
    if not world.spec.get("iam", {}).get("useServiceAccountExternalPermissions"):
        return []
    found = ["aws-cloud-controller-manager", "ebs-csi-controller-sa"]
    found += ["dns-controller"] if world.dns != "none" else []
    found += ["aws-node-termination-handler"] if files.handled(world) else []
    return found + (["cluster-autoscaler"] if world.spec.get("clusterAutoscaler", {}).get("enabled") else [])


def _role_name(world: World, account: str) -> str:
    name = f"{account}.kube-system.sa.{world.name}"
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 7]}-{name32(name, 'sa')[-6:]}"


def _role(world: World, account: str, url: str) -> Iterator[Task]:
    name, host = _role_name(world, account), url.removeprefix("https://")
    trust: dict[str, Any] = {"Effect": "Allow", "Action": "sts:AssumeRoleWithWebIdentity"}
    trust["Principal"] = {"Federated": f"arn:aws:iam::{_account(world)}:oidc-provider/{host}"}
    subject = f"system:serviceaccount:kube-system:{account}"
    trust["Condition"] = {"StringEquals": {f"{host}:sub": subject}}
    allow = {"Effect": "Allow", "Action": ["ec2:Describe*"], "Resource": "*"}

    def policy(one: dict[str, Any]) -> str:
        return json.dumps({"Version": "2012-10-17", "Statement": [one]})

    def role() -> None:
        asked = {"RoleName": name, "AssumeRolePolicyDocument": policy(trust)}
        world.aws.call("iam", "create_role", **asked, Tags=tag_list(world.tags(name)))

    def allowed() -> None:
        asked = {"RoleName": name, "PolicyName": name, "PolicyDocument": policy(allow)}
        world.aws.call("iam", "put_role_policy", **asked)

    def found(operation: str, **more: str) -> Any:
        return None if world.asked("iam", operation, RoleName=name, **more) is None else {}

    export = ("ExportWithID", f"{account}.kube-system.sa")
    yield Task("IAMRole", name, [world.shown_tags(name), export], lambda: found("get_role"), role)
    fields = [("Role", f"name:{name}"), ("Managed", "false")]
    yield Task("IAMRolePolicy", name, fields, lambda: found("get_role_policy", PolicyName=name), allowed)


def _account(world: World) -> str:
    return str(world.aws.look("account", lambda: world.aws.call("sts", "get_caller_identity")["Account"]))
