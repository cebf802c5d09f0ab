"""Kubeconfigs as kOps writes them: a context of the cluster's name, TLS verified against api.internal.NAME."""

import base64
import getpass
import os
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from standin import keysets
from standin.say import Odd, log, out
from standin.world import World


def lifetime(text: str) -> timedelta:
    """Go's durations: 1h, 90m, 3600s."""
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", text)
    if not text or parts is None:
        raise Odd(f"the duration {text!r}")
    hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)


def server(world: World) -> str:
    """The load balancer, or the public name in DNS."""
    if world.balanced:
        found = world.balancers().get(world.balancer_name())
        if found:
            return f"https://{found['DNSName']}"
        log("create_kubecfg.go:130", "Did not find API endpoint; may not be able to reach cluster", "W")
    return f"https://{world.spec.get('masterPublicName') or f'api.{world.name}'}"


def has(name: str) -> bool:
    return any(one["name"] == name for one in _read(Path(os.environ["KUBECONFIG"])).get("contexts", ()))


def write(world: World, path: Path, admin: str, where: str = "") -> None:
    name, old = world.name, _read(path)
    authority = base64.b64encode(keysets.trusted(world.store, name, "kubernetes-ca").encode()).decode()
    cluster = {"certificate-authority-data": authority, "server": where or server(world)}
    user: dict[str, Any] = {}
    if admin:
        common = f"kubecfg-{getpass.getuser()}"
        certificate, key = keysets.client(world.store, name, common, lifetime(admin))
        user["client-certificate-data"] = base64.b64encode(certificate.encode()).decode()
        user["client-key-data"] = base64.b64encode(key.encode()).decode()
    document = {"apiVersion": "v1", "kind": "Config", "preferences": {}, "current-context": name}
    document |= _with(old, "clusters", name, {"cluster": {**cluster, "tls-server-name": f"api.internal.{name}"}})
    document |= _with(old, "contexts", name, {"context": {"cluster": name, "user": name}})
    document |= _with(old, "users", name, {"user": user})
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(document))
    out(f"kOps has set your kubectl context to {name}")


def remove(name: str) -> None:
    path = Path(os.environ["KUBECONFIG"])
    document = _read(path)
    if not any(one["name"] == name for one in document.get("contexts", ())):
        return
    for key in ("clusters", "contexts", "users"):
        document[key] = [one for one in document.get(key, ()) if one["name"] != name]
    path.write_text(yaml.safe_dump(document))
    out(f"Deleted kubectl config for {name}")


def _with(document: dict[str, Any], key: str, name: str, value: dict[str, Any]) -> dict[str, Any]:
    others = [one for one in document.get(key) or () if one["name"] != name]
    return {key: [*others, {"name": name, **value}]}


def _read(path: Path) -> dict[str, Any]:
    return (yaml.safe_load(path.read_text()) or {}) if path.is_file() else {}
