"""A kubeconfig document → where the API server is, how it is trusted, and how we prove who we are.

Keys never stay on disk: `ssl` reads them from an anonymous memory file, or from a 0600 file that is gone at once.
"""

import base64
import contextlib
import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from boatyard.errors import Permanent

Headers = Callable[[bool], dict[str, str]]
"""Gives the authorization headers; True asks for fresh ones after a 401."""


@dataclass(frozen=True)
class Endpoint:
    """One API server as one user. `server` has no trailing slash; `name` is the name in its certificate, if another."""

    server: str
    tls: ssl.SSLContext | None = field(repr=False)
    name: str | None
    proxy: str | None
    headers: Headers = field(repr=False)


def endpoint(document: Mapping[str, Any]) -> Endpoint:
    """Read the current context (or the only one). `Permanent` names the part that is missing."""
    cluster, user = _current(document)
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise Permanent(f"The kubeconfig's server is {server!r}, expected an https:// address.")
    helper = _helped(document) if "exec" in user or "auth-provider" in user else None
    tls = _tls(cluster, user, helper) if server.startswith("https") else None
    headers = _helper_headers(helper, document) if helper else _own_headers(user)
    return Endpoint(server, tls, cluster.get("tls-server-name"), cluster.get("proxy-url"), headers)


def _current(document: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    contexts = {str(entry.get("name")): entry.get("context") or {} for entry in document.get("contexts") or []}
    current = document.get("current-context") or (next(iter(contexts)) if len(contexts) == 1 else "")
    if current not in contexts:
        raise Permanent(f"The kubeconfig has no context {current!r}; there are: {', '.join(contexts) or 'none'}.")
    context = contexts[current]
    parts = []
    for kind, section in (("cluster", "clusters"), ("user", "users")):
        entries = {entry.get("name"): entry.get(kind) or {} for entry in document.get(section) or []}
        name = context.get(kind)
        if name not in entries and not (kind == "user" and not name):
            raise Permanent(f"The kubeconfig's context {current!r} names the {kind} {name!r}, which it does not have.")
        parts.append(entries.get(name, {}))
    return parts[0], parts[1]


def _tls(cluster: Mapping[str, Any], user: Mapping[str, Any], helper: Any) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except ssl.SSLError as error:
        raise Permanent(f"The kubeconfig's certificate-authority-data is not a PEM certificate ({error}).") from None
    # Private CAs are often made without the extensions that Python 3.13 and later insist on; Go's clients accept them.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    certificate, key = _material(user, "client-certificate"), _material(user, "client-key")
    if helper is not None and helper.cert_file:
        certificate, key = Path(helper.cert_file).read_bytes(), Path(helper.key_file).read_bytes()
    if certificate and key:
        try:
            with _readable(certificate + b"\n" + key) as path:
                context.load_cert_chain(path, password=_no_password)
        except (ssl.SSLError, ValueError) as error:
            raise Permanent(f"The kubeconfig's client certificate and key cannot be used ({error}).") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _material(entry: Mapping[str, Any], key: str) -> bytes | None:
    if inline := entry.get(f"{key}-data"):
        try:
            return base64.b64decode(inline, validate=False)
        except ValueError:
            raise Permanent(f"The kubeconfig's {key}-data is not base64.") from None
    if path := entry.get(key):
        try:
            return Path(path).expanduser().read_bytes()
        except OSError as error:
            raise Permanent(f"The kubeconfig's {key} {path} cannot be read: {error.strerror}.") from None
    return None


@contextlib.contextmanager
def _readable(data: bytes) -> Iterator[str]:
    """A path that `ssl` can open, holding `data`, and nothing left of it afterwards."""
    if hasattr(os, "memfd_create") and Path("/proc/self/fd").is_dir():
        with os.fdopen(os.memfd_create("boatyard-client"), "wb") as file:
            file.write(data)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
        return
    import tempfile

    with tempfile.NamedTemporaryFile() as file:  # mode 0600
        file.write(data)
        file.flush()
        yield file.name


def _own_headers(user: Mapping[str, Any]) -> Headers:
    def headers(fresh: bool) -> dict[str, str]:
        if path := user.get("tokenFile"):  # rotated by whoever wrote it, so read each time
            return {"authorization": f"Bearer {Path(path).expanduser().read_text().strip()}"}
        return dict(fixed)

    fixed: dict[str, str] = {}
    if token := user.get("token"):
        fixed = {"authorization": f"Bearer {token}"}
    elif user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}".encode()
        fixed = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return headers


def _helped(document: Mapping[str, Any]) -> Any:
    """Configuration by the official client, which knows plug-ins (`exec`) and auth providers."""
    from kubernetes.client import Configuration
    from kubernetes.config.config_exception import ConfigException
    from kubernetes.config.kube_config import KubeConfigLoader

    configuration = Configuration()
    try:
        KubeConfigLoader(config_dict=dict(document)).load_and_set(configuration)  # type: ignore[no-untyped-call]
    except (ConfigException, OSError) as error:
        raise Permanent(f"The kubeconfig's user cannot log in: {error}.") from None
    return configuration


def _helper_headers(helper: Any, document: Mapping[str, Any]) -> Headers:
    current = [helper]

    def headers(fresh: bool) -> dict[str, str]:
        if fresh:
            current[0] = _helped(document)
        token = current[0].get_api_key_with_prefix("BearerToken", alias="authorization")
        if not token:
            return {}
        return {"authorization": token if " " in token else f"Bearer {token}"}

    return headers
