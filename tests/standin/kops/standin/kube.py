"""The cluster's API server, reached as kOps does: a short-lived certificate, TLS verified by api.internal.NAME."""

import json
import socket
import ssl
import tempfile
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import urllib3

from standin import keysets, kubeconfig
from standin.say import Fail
from standin.world import World


class Unreachable(Exception):
    """As Go says it."""


def client(world: World, where: str) -> "Kube":
    return Kube(world, where or kubeconfig.server(world))


def nodes(world: World, where: str) -> list[dict[str, Any]]:
    return client(world, where).list("/api/v1/nodes")


class Kube:
    """A few requests; `Unreachable` when nobody answers."""

    def __init__(self, world: World, server: str) -> None:
        self.server = server
        self._knock()
        context = ssl.create_default_context(cadata=keysets.trusted(world.store, world.name, "kubernetes-ca") or None)
        certificate, key = keysets.client(world.store, world.name, "kops", timedelta(hours=1))
        with tempfile.TemporaryDirectory(prefix="kops-") as folder:
            path = Path(folder) / "client.pem"
            path.touch(mode=0o600)
            path.write_text(certificate + key)
            context.load_cert_chain(path)
        name = f"api.internal.{world.name}"
        timeout = urllib3.Timeout(connect=5, read=20)
        more: dict[str, Any] = {"ssl_context": context, "server_hostname": name, "assert_hostname": name}
        self._pool = urllib3.PoolManager(timeout=timeout, retries=False, **more)

    def _knock(self) -> None:
        """Does anybody answer? Before a certificate is made for it."""
        parts = urlsplit(self.server)
        try:
            socket.create_connection((parts.hostname or "", parts.port or 443), timeout=5).close()
        except OSError as error:
            raise self._unreachable("/api/v1/nodes", error) from None

    def _unreachable(self, path: str, error: Exception) -> Unreachable:
        host = self.server.removeprefix("https://")
        nowhere = isinstance(error, socket.gaierror) or "resolve" in str(error)
        said = f"lookup {host} on 10.0.0.2:53: no such host" if nowhere else f"{host}: connect: connection refused"
        return Unreachable(f'Get "{self.server}{path}": dial tcp: {said}')

    def ask(self, method: str, path: str, body: Any = None, kind: str = "application/json") -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        try:
            answer = self._pool.request(method, self.server + path, body=data, headers={"Content-Type": kind})
        except urllib3.exceptions.HTTPError as error:
            raise self._unreachable(path, error) from None
        return answer.status, json.loads(answer.data) if answer.data.startswith(b"{") else {}

    def list(self, path: str) -> list[dict[str, Any]]:
        status, answer = self.ask("GET", path)
        if status != 200:
            raise Fail(f"error listing {path}: {answer.get('message', status)}")
        return list(answer["items"])
