"""etcd's backups in the state store, as etcd-manager makes them and goes back to one of them.

    backups/etcd/main/2026-11-22T16:43:25Z-000042/etcd.backup.gz       a snapshot
                                                  _etcd_backup.meta    written last
    backups/etcd/main/control/2026-11-22T17:00:00Z-000000/_command.json   a wish: go back to …

control/etcd-cluster-spec is kOps' own and only read by etcd-manager: else each preview of kOps would show it changed.
kOps runs an etcd of its own for events. Here one etcd has both, so that the backup of `events` is that of `main`.
"""

import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from botocore.exceptions import ClientError

from boatyard.errors import Permanent
from boatyard.sandbox.aws.cloud import Aws, own_door
from boatyard.sandbox.aws.etcd import Etcd, keys_of

EVERY = timedelta(minutes=15)
"""etcd-manager's own interval."""

_ETCDS = ("main", "events")
_DATA, _META, _COMMAND = "etcd.backup.gz", "_etcd_backup.meta", "_command.json"


@dataclass(frozen=True)
class Command:
    """A backup that is to be restored. given: when it was asked for, nanoseconds since 1970."""

    key: str
    etcd: str
    backup: str
    given: int


class Backups:
    """Of one cluster. `place`: `BUCKET/PREFIX` of it in its state store. Raises botocore's errors."""

    def __init__(self, region: str, endpoint: str) -> None:
        self._aws: Aws = own_door(region, endpoint)
        self._number = 0

    def make(self, place: str, etcd: Etcd, members: int, now: datetime) -> None:
        """One of each etcd cluster. Nothing when the state store no longer has the cluster."""
        if not self._there(place, "config"):
            return
        self._number += 1
        spec = {"memberCount": members, "etcdVersion": etcd.version()}
        data = gzip.compress(etcd.snapshot(), compresslevel=1, mtime=0)
        meta = {"etcdVersion": spec["etcdVersion"], "timestamp": str(int(now.timestamp())), "clusterSpec": spec}
        for name in _ETCDS:
            base = f"backups/etcd/{name}"
            folder = f"{base}/{now:%Y-%m-%dT%H:%M:%SZ}-{self._number:06d}"
            self._put(place, f"{folder}/{_DATA}", data)
            self._put(place, f"{folder}/{_META}", json.dumps(meta).encode())

    def ordered(self, place: str) -> list[Command]:
        """What was asked for, the oldest first."""
        found = []
        for name in _ETCDS:
            for key in self._keys(place, f"backups/etcd/{name}/control/"):
                if key.endswith(f"/{_COMMAND}"):
                    told: Mapping[str, Any] = json.loads(self._get(place, key))
                    backup = str((told.get("restoreBackup") or {}).get("backup") or "")
                    found.append(Command(key, name, backup, int(told.get("timestamp") or 0)))
        return sorted(found, key=lambda each: each.given)

    def content(self, place: str, command: Command) -> dict[bytes, bytes]:
        """Key and value of all that the backup holds. `Permanent` when there is none of that name."""
        try:
            data = self._get(place, f"backups/etcd/{command.etcd}/{command.backup}/{_DATA}")
        except ClientError:
            raise Permanent(f"s3://{place} has no backup {command.backup} of etcd {command.etcd}.") from None
        return keys_of(gzip.decompress(data))

    def done(self, place: str, commands: Iterable[Command]) -> None:
        """They are not carried out again."""
        for command in commands:
            bucket, key = _at(place, command.key)
            self._aws("s3").delete_object(Bucket=bucket, Key=key)

    def _there(self, place: str, name: str) -> bool:
        return any(key == name for key in self._keys(place, name))

    def _keys(self, place: str, below: str) -> list[str]:
        bucket, prefix = _at(place, "")
        pages = self._aws("s3").get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix + below)
        return [str(each["Key"]).removeprefix(prefix) for page in pages for each in page.get("Contents") or ()]

    def _get(self, place: str, key: str) -> bytes:
        bucket, full = _at(place, key)
        return bytes(self._aws("s3").get_object(Bucket=bucket, Key=full)["Body"].read())

    def _put(self, place: str, key: str, data: bytes) -> None:
        bucket, full = _at(place, key)
        self._aws("s3").put_object(Bucket=bucket, Key=full, Body=data)


def _at(place: str, key: str) -> tuple[str, str]:
    bucket, _, prefix = place.partition("/")
    return bucket, prefix + key
