"""Credentials for a cluster: an administrator for an hour, by `kops export kubeconfig --admin=1h`.

kOps signs a certificate with the cluster's authority each time, which takes a second and is asked for every minute; so
it is kept, in a private file, for most of its life, and no longer than the authority that signed it.
"""

import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import Record
from boatyard.errors import NotFound, Temporary

LIFETIME = timedelta(hours=1)
_KEPT = timedelta(minutes=40)  # a step that takes one up has at least twenty minutes left


@dataclass(frozen=True)
class Admin:
    """A kubeconfig as a document. `endpoint`: the address kOps gave, whatever way is taken to it."""

    document: dict[str, Any]
    endpoint: str


def admin(reach: Reach, record: Record | None = None) -> Admin:
    """For use inside and outside. `NotFound` when the cluster is absent or has no authority yet."""
    known = record if record is not None else reach.store.read()
    if known.cluster is None or not known.authority:
        raise NotFound(f"there is no cluster {reach.name} in {reach.provider.state_store}.")
    kept = reach.folder / "kubeconfig.json"
    document = _kept(kept, known.authority, reach.env.clock.now())
    if document is None:
        document = reach.kops.kubeconfig(LIFETIME)
        until = reach.env.clock.now() + _KEPT
        _keep(kept, {"authority": known.authority, "until": until.isoformat(), "document": document})
    return _through(document, reach)


def kubeconfig(reach: Reach) -> dict[str, Any]:
    """What a user gets. `Temporary` while the cluster sleeps."""
    record = reach.store.read()
    if record.cluster is not None and record.applied:
        groups = reach.fleet.read()
        asleep = [groups[name] for name in record.control_plane if name in groups]
        if asleep and all(group.remembered is not None and not group.members for group in asleep):
            raise Temporary(f"cluster {reach.name} is hibernated.", delay=30, hint="Wake it first.")
    return admin(reach, record).document


def forget(reach: Reach, *, folder: bool = False) -> None:
    """No credentials of the cluster stay on this machine; with `folder`, nothing of it, whatever a killed run left."""
    (reach.folder / "kubeconfig.json").unlink(missing_ok=True)
    if folder:
        shutil.rmtree(reach.folder, ignore_errors=True)


def _through(document: dict[str, Any], reach: Reach) -> Admin:
    """With `provider.api_server` in the server's place; the certificate is still checked for kOps' own name."""
    clusters = [dict(each) for each in document.get("clusters") or []]
    endpoint = str(((clusters[0].get("cluster") or {}) if clusters else {}).get("server") or "")
    if reach.provider.api_server is not None:
        for each in clusters:
            inner = dict(each.get("cluster") or {})
            inner["server"] = reach.provider.api_server
            inner.setdefault("tls-server-name", f"api.internal.{reach.name}")
            each["cluster"] = inner
    return Admin({**document, "clusters": clusters}, endpoint)


def _kept(path: Path, authority: str, now: datetime) -> dict[str, Any] | None:
    try:
        read = json.loads(path.read_bytes())
        if read["authority"] != authority or datetime.fromisoformat(read["until"]) <= now:
            return None
        document: dict[str, Any] = read["document"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return document


def _keep(path: Path, content: dict[str, Any]) -> None:
    """Replaced in one step, mode 0600 in a folder of mode 0700."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".kubeconfig-")
    with os.fdopen(handle, "w") as file:
        json.dump(content, file)
    Path(temporary).replace(path)
