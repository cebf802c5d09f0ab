"""A registry as the OCI Distribution Specification 1.1 has it, in memory, and strict: what it does not know it refuses.

Pushing in one go or by session (end-4a, end-4b, end-6, end-7) and pulling (end-2, end-3, end-8a); nothing else.
"""

import base64
import hashlib
import http.server
import json
import re
import ssl
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import parse_qs, urlsplit

_NAME = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*"
_TAG, _DIGEST = r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}", r"sha256:[0-9a-f]{64}"
_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_ROUTES = [
    ("base", re.compile(r"/v2/")),
    ("manifest", re.compile(rf"/v2/({_NAME})/manifests/({_DIGEST}|{_TAG})")),
    ("upload", re.compile(rf"/v2/({_NAME})/blobs/uploads/([0-9a-f-]*)")),
    ("blob", re.compile(rf"/v2/({_NAME})/blobs/({_DIGEST})")),
    ("tags", re.compile(rf"/v2/({_NAME})/tags/list")),
]


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


class Registry(http.server.ThreadingHTTPServer):
    """Blobs and manifests by (repository, digest), tags by (repository, tag). login: `user:password`, asked for."""

    daemon_threads = True

    def __init__(self, tls: ssl.SSLContext | None = None, login: str = "") -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.login = login
        self.blobs: dict[tuple[str, str], bytes] = {}
        self.manifests: dict[tuple[str, str], bytes] = {}
        self.tags: dict[tuple[str, str], str] = {}
        self.sessions: set[str] = set()
        self.seen: list[str] = []
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hung up, as one without trust does."""


@contextmanager
def serving(server: http.server.ThreadingHTTPServer) -> Iterator[None]:
    """Serve until the block ends."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Refused(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Registry

    def log_message(self, *args: object) -> None:
        return

    def _dispatch(self) -> None:
        self.server.seen.append(f"{self.command} {self.path}")
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        try:
            if self.headers.get("transfer-encoding"):
                raise _Refused(411, "SIZE_INVALID", "a length is expected")
            self._log_in()
            parts = urlsplit(self.path)
            for kind, pattern in _ROUTES:
                if found := pattern.fullmatch(parts.path):
                    query = {key: values[0] for key, values in parse_qs(parts.query).items()}
                    getattr(self, f"_{kind}")(*found.groups(), body=body, query=query)
                    return
            raise _Refused(404, "NAME_INVALID", f"{parts.path} is nothing of a registry's")
        except _Refused as error:
            text = json.dumps({"errors": [{"code": error.code, "message": str(error)}]}).encode()
            asks = {"www-authenticate": 'Basic realm="test"'} if error.status == 401 else {}
            self._answer(error.status, text, **{"content-type": "application/json", **asks})

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = _dispatch

    def _log_in(self) -> None:
        pair = base64.b64encode(self.server.login.encode()).decode()
        if self.server.login and self.headers.get("authorization") != f"Basic {pair}":
            raise _Refused(401, "UNAUTHORIZED", "authentication required")

    def _answer(self, status: int, data: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {"content-length": str(len(data)), **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def _only(self, *methods: str) -> None:
        if self.command not in methods:
            raise _Refused(405, "UNSUPPORTED", f"{self.command} is not for this")

    def _base(self, *, body: bytes, query: dict[str, str]) -> None:
        self._only("GET")
        self._answer(200, b"{}", content_type="application/json")

    def _tags(self, name: str, *, body: bytes, query: dict[str, str]) -> None:
        self._only("GET")
        tags = sorted(tag for where, tag in self.server.tags if where == name)
        if not tags:
            raise _Refused(404, "NAME_UNKNOWN", f"{name} is not known")
        document = json.dumps({"name": name, "tags": tags}).encode()
        self._answer(200, document, content_type="application/json")

    def _manifest(self, name: str, reference: str, *, body: bytes, query: dict[str, str]) -> None:
        self._only("GET", "HEAD", "PUT")
        if self.command == "PUT":
            self._put_manifest(name, reference, body)
            return
        digest = self.server.tags.get((name, reference), reference)
        data = self.server.manifests.get((name, digest))
        if data is None:
            raise _Refused(404, "MANIFEST_UNKNOWN", f"{name} has no {reference}")
        if not {_MANIFEST, "*/*"} & {part.strip() for part in self.headers.get("accept", "").split(",")}:
            raise _Refused(406, "UNSUPPORTED", "the manifest's type is not accepted")
        self._answer(200, data, content_type=_MANIFEST, docker_content_digest=digest)

    def _put_manifest(self, name: str, reference: str, body: bytes) -> None:
        digest, manifest = digest_of(body), json.loads(body)
        if self.headers.get("content-type") != _MANIFEST or manifest.get("schemaVersion") != 2:
            raise _Refused(400, "MANIFEST_INVALID", "an image manifest is expected")
        if ":" in reference and reference != digest:
            raise _Refused(400, "DIGEST_INVALID", "the digest is another")
        for part in (manifest["config"], *manifest["layers"]):
            if len(self.server.blobs.get((name, part["digest"]), b"")) != part["size"]:
                raise _Refused(404, "MANIFEST_BLOB_UNKNOWN", f"{part['digest']} was not pushed")
        self.server.manifests[name, digest] = body
        if ":" not in reference:
            self.server.tags[name, reference] = digest
        self._answer(201, location=f"/v2/{name}/manifests/{digest}", docker_content_digest=digest)

    def _blob(self, name: str, digest: str, *, body: bytes, query: dict[str, str]) -> None:
        self._only("GET", "HEAD")
        data = self.server.blobs.get((name, digest))
        if data is None:
            raise _Refused(404, "BLOB_UNKNOWN", f"{name} has no {digest}")
        self._answer(200, data, content_type="application/octet-stream", docker_content_digest=digest)

    def _upload(self, name: str, session: str, *, body: bytes, query: dict[str, str]) -> None:
        self._only(*(["PUT"] if session else ["POST"]))
        if not session:
            session = str(uuid.uuid4())
            self.server.sessions.add(session)
            self._answer(202, location=f"/v2/{name}/blobs/uploads/{session}")
            return
        if session not in self.server.sessions:
            raise _Refused(404, "BLOB_UPLOAD_UNKNOWN", "no such session")
        if query.get("digest") != digest_of(body):
            raise _Refused(400, "DIGEST_INVALID", "the digest is another")
        self.server.sessions.remove(session)
        self.server.blobs[name, query["digest"]] = body
        self._answer(201, location=f"/v2/{name}/blobs/{query['digest']}", docker_content_digest=query["digest"])
