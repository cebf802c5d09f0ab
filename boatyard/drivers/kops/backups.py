"""etcd's backups, which kOps' etcd-manager writes into the state store every quarter of an hour.

NAME/backups/etcd/main/2026-11-22T16:43:25Z-000042/etcd.backup.gz
                                                   _etcd_backup.meta   written last: without it there is no backup
"""

import re
from datetime import UTC, datetime

from boatyard.drivers.base import Backup
from boatyard.drivers.kops.reach import Reach

_FOLDER = re.compile(r"^backups/etcd/([a-z0-9-]+)/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)-(\d+)/([^/]+)$")
_META = "_etcd_backup.meta"


def backups(reach: Reach) -> list[Backup]:
    """All that are whole, newest first."""
    sizes: dict[tuple[str, str, str], dict[str, int]] = {}
    for each in reach.store.objects("backups/etcd/"):
        if found := _FOLDER.match(str(each["Key"])):
            etcd, at, number, name = found.groups()
            sizes.setdefault((etcd, at, number), {})[name] = int(each.get("Size") or 0)
    place = f"{reach.provider.state_store}/{reach.name}/backups/etcd"
    whole = [
        Backup(etcd, _moment(at), f"{place}/{etcd}/{at}-{number}", sum(files.values()))
        for (etcd, at, number), files in sizes.items()
        if _META in files and len(files) > 1
    ]
    return sorted(whole, key=lambda each: (each.at, each.location), reverse=True)


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
