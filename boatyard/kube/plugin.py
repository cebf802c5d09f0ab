"""A kubeconfig user's `exec` plug-in: a program that prints an ExecCredential (client.authentication.k8s.io).

The official client's reader of these lets a failure pass as an anonymous user, logs what the program printed, and waits
for it without a limit.
"""

import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson

from boatyard.clock import Clock, SystemClock
from boatyard.errors import DeadlineExceeded, MissingTool, Permanent, Temporary
from boatyard.redact import Redactor

_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_CONFIG = "client.authentication.k8s.io/exec"  # a cluster's extension of this name is meant for the plug-in
_CLUSTER = (
    "server",
    "tls-server-name",
    "insecure-skip-tls-verify",
    "certificate-authority-data",
    "proxy-url",
    "disable-compression",
)
_LIMIT = 60.0  # seconds for one run
_EARLY = timedelta(
    seconds=10
)  # before its end a credential is no longer used: the request takes time, and clocks differ


@dataclass(frozen=True)
class Credential:
    """A token, or a client certificate with its key as PEM, or both; expires: None for never."""

    token: str = field(repr=False, default="")
    certificate: bytes = field(repr=False, default=b"")
    expires: datetime | None = None


class Plugin:
    """One user's plug-in. What it gave is kept until it expires or is refused. Safe to use from many threads."""

    def __init__(
        self,
        config: Mapping[str, Any],
        cluster: Mapping[str, Any],
        *,
        clock: Clock | None = None,
        limit: float = _LIMIT,
    ) -> None:
        """config: the user's `exec`; cluster: what the kubeconfig says of the cluster. limit: seconds for a run."""
        self._command, self._version = str(config.get("command") or ""), str(config.get("apiVersion") or "")
        if not self._command:
            raise Permanent("The kubeconfig's user has an exec plug-in without a command.")
        if self._version not in _VERSIONS:
            raise Permanent(
                f"The kubeconfig's plug-in {self._name} asks for {self._version!r}, expected {' or '.join(_VERSIONS)}."
            )
        if config.get("interactiveMode") == "Always":
            raise Permanent(
                f"The kubeconfig's plug-in {self._name} asks questions at a terminal, which nobody answers."
            )
        self._config, self._cluster = config, cluster
        self._clock, self._limit = clock or SystemClock(), limit
        self._lock = threading.Lock()
        self._current: Credential | None = None

    @property
    def _name(self) -> str:
        return Path(self._command).name

    def credential(self, refused: Credential | None = None) -> Credential:
        """A credential that is worth trying; runs the program when there is none, or the last one was `refused`.

        `MissingTool` when there is no such program, `Temporary` when it fails, `Permanent` when it prints nonsense.
        """
        with self._lock:
            current = self._current
            if current is None or current is refused or self._over(current):
                current = self._current = self._run()
            return current

    def _over(self, credential: Credential) -> bool:
        return credential.expires is not None and self._clock.now() >= credential.expires - _EARLY

    def _run(self) -> Credential:
        from boatyard.run import run

        given = {str(entry["name"]): str(entry["value"]) for entry in self._config.get("env") or []}
        arguments = [str(argument) for argument in self._config.get("args") or []]
        env = {**os.environ, **given, "KUBERNETES_EXEC_INFO": self._info()}
        try:
            result = run([self._command, *arguments], timeout=self._limit, env=env, check=False)
        except MissingTool:
            hint = str(self._config.get("installHint") or "").strip() or None
            message = f"The kubeconfig's user logs in by the program {self._command}, which is not installed."
            raise MissingTool(message, hint=hint) from None
        except DeadlineExceeded:
            raise Temporary(f"The kubeconfig's plug-in {self._name} did not end in {self._limit:g} s.") from None
        if result.code != 0:
            said = Redactor(tuple(given.values())).text(result.stderr).strip().splitlines()[-1:]
            why = f": {said[0].strip().rstrip('.')[:300]}" if said else ""
            raise Temporary(f"The kubeconfig's plug-in {self._name} ended with exit code {result.code}{why}.")
        return self._read(result.stdout)

    def _info(self) -> str:
        spec: dict[str, Any] = {"interactive": False}
        if self._config.get("provideClusterInfo"):
            spec["cluster"] = {key: self._cluster[key] for key in _CLUSTER if self._cluster.get(key)}
            for extension in self._cluster.get("extensions") or []:
                if extension.get("name") == _CONFIG:
                    spec["cluster"]["config"] = extension.get("extension")
        return orjson.dumps({"apiVersion": self._version, "kind": "ExecCredential", "spec": spec}).decode()

    def _read(self, text: str) -> Credential:
        """None of what it printed goes into an error: it is a secret."""
        try:
            document = orjson.loads(text)
            status = document["status"]
            if (document["apiVersion"], document["kind"]) != (self._version, "ExecCredential"):
                raise ValueError
            token, end = status.get("token") or "", status.get("expirationTimestamp")
            pair = [str(status.get(f"client{part}Data") or "") for part in ("Certificate", "Key")]
            expires = datetime.fromisoformat(end).astimezone(UTC) if end else None
            if not (token or all(pair)):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise Permanent(
                f"The kubeconfig's plug-in {self._name} printed no ExecCredential of {self._version} with a token or"
                " a client certificate."
            ) from None
        return Credential(str(token), "\n".join(pair).encode() if all(pair) else b"", expires)
