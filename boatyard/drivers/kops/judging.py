"""Raw fields are kOps' own to judge. It is asked in a private folder, before anything is recorded or done.

kOps refuses a field of another type, and drops one that it does not know without a word (1.36.2, observed): the spec
would then never be as recorded, and each plan would want the field again.
"""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from boatyard.drivers.kops import render
from boatyard.drivers.kops.changes import digest
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import Document
from boatyard.errors import InvalidSpec, Permanent

_TAKEN = "documents whose raw fields kOps takes"


def judge(reach: Reach, version: str) -> None:
    """`InvalidSpec` names the raw fields that kOps does not take. It is not asked where there are none.

    version: of Kubernetes, in full.
    """
    raw = reach.provider.raw
    if not raw.cluster and not raw.groups:
        return
    documents = render.manifests(reach.cluster, version)
    if reach.env.done.get(_TAKEN) == digest(documents):  # by an earlier step of this operation
        return
    kept = _kept(reach, documents)
    lost = [("cluster", *path) for path in _lost(raw.cluster, kept.get(reach.name))]
    for name, fields in raw.groups.items():
        lost += [("groups", name, *path) for path in _lost(fields, kept.get(name))]
    if lost:
        raise InvalidSpec(
            [f"provider.raw.{'.'.join(path)}: kOps does not know it and would leave it out." for path in lost],
            hint="Its fields: https://kops.sigs.k8s.io/cluster_spec/ and https://kops.sigs.k8s.io/instance_groups/.",
        )
    reach.env.done[_TAKEN] = digest(documents)


def _kept(reach: Reach, documents: Sequence[Document]) -> dict[str, Any]:
    """Name of a cluster or group → its `spec` as kOps would record it."""
    reach.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="judging-", dir=reach.folder, ignore_cleanup_errors=True) as folder:
        try:
            reach.kops.elsewhere(Path(folder)).create(documents)
        except Permanent as error:
            raise InvalidSpec([f"provider.raw: {error.message}"], hint=error.hint) from None
        own = Path(folder) / reach.name
        read = [yaml.safe_load(path.read_text()) for path in (own / "config", *(own / "instancegroup").glob("*"))]
    return {str(each["metadata"]["name"]): each["spec"] for each in read}


def _lost(wanted: Any, kept: Any) -> Iterator[tuple[str, ...]]:
    """Paths of what is not there. What says nothing (`false`, 0, an empty list) may be left out."""
    if not isinstance(wanted, Mapping):
        return
    for key, value in wanted.items():
        there = kept.get(key) if isinstance(kept, Mapping) else None
        if value and there is None:
            yield (str(key),)
        else:
            yield from ((str(key), *path) for path in _lost(value, there))
