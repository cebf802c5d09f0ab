"""A kubeconfig document → where the API server is, how it is trusted, and how we prove who we are.

Keys never stay on disk: `ssl` reads them from an anonymous memory file, or from a 0600 file that is gone at once.
"""

import base64
import contextlib
import os
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from boatyard.errors import Permanent

if TYPE_CHECKING:
    from boatyard.kube.plugin import Plugin

Headers = Callable[[bool], dict[str, str]]
"""Gives the authorization headers; True after a 401, which asks for others than the last that this thread was given."""
Renew = Callable[[], Mapping[str, Any]]
"""Gives a kubeconfig for the same cluster and user, whose certificate or token holds for a while from now."""


@dataclass(frozen=True)
class Endpoint:
    """One API server as one user. `server` has no trailing slash; `name` is the name in its certificate, if another.

    tls: what new connections trust and show; None for plain http.
    """

    server: str
    tls: Callable[[], ssl.SSLContext] | None = field(repr=False)
    name: str | None
    proxy: str | None
    headers: Headers = field(repr=False)
    renews: bool
    """Whether it can prove anew who we are, when that was refused."""


def endpoint(document: Mapping[str, Any], renew: Renew | None = None) -> Endpoint:
    """Read the current context (or the only one). `Permanent` names the part that is missing.

    renew: asked when a certificate or token that the document holds is refused, as both expire.
    """
    cluster, user = _current(document)
    server = str(cluster.get("server") or "").rstrip("/")
    if not server.startswith(("https://", "http://")):
        raise Permanent(f"The kubeconfig's server is {server!r}, expected an https:// address.")
    tls = _Tls(cluster, user) if server.startswith("https") else None
    name, proxy, renews = cluster.get("tls-server-name"), cluster.get("proxy-url"), True
    if "exec" in user:
        from boatyard.kube.plugin import Plugin

        headers = _plugin_headers(Plugin(user["exec"] or {}, cluster), tls)
    elif "auth-provider" in user:
        headers = _helper_headers(document, user["auth-provider"] or {})
    elif renew is not None:
        headers = _renewed_headers(document, renew, tls)
    else:
        headers, renews = _own_headers(user), "tokenFile" in user
    return Endpoint(server, tls, name, proxy, headers, renews)


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


class _Tls:
    """The context of new connections; `show` exchanges it, as OpenSSL keeps a certificate of each kind of key."""

    def __init__(self, cluster: Mapping[str, Any], user: Mapping[str, Any]) -> None:
        self._cluster = cluster
        self._context = _context(cluster, user)
        self._shown = b""
        self._lock = threading.Lock()

    def __call__(self) -> ssl.SSLContext:
        return self._context

    def show(self, pair: bytes) -> None:
        """From now on new connections show this certificate and key."""
        with self._lock:
            if pair != self._shown:
                context = _context(self._cluster, {})
                _load(context, pair, "The client certificate and key that were given anew")
                self._context, self._shown = context, pair


def _context(cluster: Mapping[str, Any], user: Mapping[str, Any]) -> ssl.SSLContext:
    authority = _material(cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=authority.decode() if authority else None)
    except ssl.SSLError as error:
        raise Permanent(f"The kubeconfig's certificate-authority-data is not a PEM certificate ({error}).") from None
    # Private CAs are often made without the extensions that Python 3.13 and later insist on; Go's clients accept them.
    context.verify_flags &= ~getattr(ssl, "VERIFY_X509_STRICT", 0)
    if cluster.get("insecure-skip-tls-verify"):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if pair := _pair(user):
        _load(context, pair, "The kubeconfig's client certificate and key")
    return context


def _pair(user: Mapping[str, Any]) -> bytes:
    """Client certificate and key as PEM; empty where there are none."""
    certificate, key = _material(user, "client-certificate"), _material(user, "client-key")
    return certificate + b"\n" + key if certificate and key else b""


def _load(context: ssl.SSLContext, pair: bytes, what: str) -> None:
    try:
        with _readable(pair) as path:
            context.load_cert_chain(path, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise Permanent(f"{what} cannot be used ({error}).") from None


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
            try:
                return {"authorization": f"Bearer {Path(path).expanduser().read_text().strip()}"}
            except (OSError, ValueError) as error:
                why = error.strerror if isinstance(error, OSError) else "it is no text"
                raise Permanent(f"The kubeconfig's tokenFile {path} cannot be read: {why}.") from None
        return dict(fixed)

    fixed: dict[str, str] = {}
    if token := user.get("token"):
        fixed = {"authorization": f"Bearer {token}"}
    elif user.get("username"):
        pair = f"{user['username']}:{user.get('password') or ''}".encode()
        fixed = {"authorization": f"Basic {base64.b64encode(pair).decode()}"}
    return headers


def _plugin_headers(plugin: "Plugin", tls: _Tls | None) -> Headers:
    mine = threading.local()

    def headers(fresh: bool) -> dict[str, str]:
        credential = plugin.credential(getattr(mine, "last", None) if fresh else None)
        mine.last = credential
        if tls is not None and credential.certificate:
            tls.show(credential.certificate)
        return {"authorization": f"Bearer {credential.token}"} if credential.token else {}

    return headers


def _renewed_headers(document: Mapping[str, Any], renew: Renew, tls: _Tls | None) -> Headers:
    lock, mine, newest = threading.Lock(), threading.local(), [document]

    def headers(fresh: bool) -> dict[str, str]:
        with lock:
            if fresh and getattr(mine, "last", document) is newest[0]:
                newest[0] = renew()
                if tls is not None and (pair := _pair(_current(newest[0])[1])):
                    tls.show(pair)
            mine.last = newest[0]
            return _own_headers(_current(newest[0])[1])(fresh)

    return headers


def _helper_headers(document: Mapping[str, Any], provider: Mapping[str, Any]) -> Headers:
    """Auth providers (`oidc`, `gcp`), by the official client; kubectl has given them up for plug-ins."""
    name = str(provider.get("name"))
    if name not in ("oidc", "gcp"):
        raise Permanent(f"The kubeconfig's auth provider {name!r} is not supported; an exec plug-in may do the same.")
    lock, current = threading.Lock(), [_helped(document, name)]

    def headers(fresh: bool) -> dict[str, str]:
        with lock:
            if fresh:
                current[0] = _helped(document, name)
            token = current[0].get_api_key_with_prefix("BearerToken", alias="authorization")
        if not token:
            raise Permanent(f"The kubeconfig's auth provider {name} gave no token.")
        return {"authorization": token if " " in token else f"Bearer {token}"}

    return headers


def _helped(document: Mapping[str, Any], name: str) -> Any:
    from kubernetes.client import Configuration
    from kubernetes.config.kube_config import KubeConfigLoader

    configuration = Configuration()
    try:
        KubeConfigLoader(config_dict=dict(document)).load_and_set(configuration)  # type: ignore[no-untyped-call]
    except Exception as error:  # noqa: BLE001 - of whatever the provider's libraries raise; their words may hold a token
        raise Permanent(f"The kubeconfig's auth provider {name} cannot log in ({type(error).__name__}).") from None
    return configuration
