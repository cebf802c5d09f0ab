"""How old a cluster's newest etcd backups are, as a condition."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from boatyard.drivers.base import Backup
from boatyard.kube.conditions import Condition

OLDEST = timedelta(hours=3)
"""etcd-manager makes one every 15 minutes: this many missed are no accident."""


def backup_condition(backups: Sequence[Backup], now: datetime, *, running: bool = True) -> Condition:
    """`BackupRecent`: False when one of the etcd clusters has no backup, or an old one. Asleep it makes none."""
    name = "BackupRecent"
    newest: dict[str, Backup] = {}
    for backup in backups:
        if backup.etcd not in newest or backup.at > newest[backup.etcd].at:
            newest[backup.etcd] = backup
    if not newest:
        return Condition(name, "False" if running else "Unknown", "NoBackup", "there is no etcd backup")
    told = "; ".join(f"{etcd}: {newest[etcd].at:%Y-%m-%d %H:%M} UTC" for etcd in sorted(newest))
    if not running:
        return Condition(name, "Unknown", "NotRunning", f"newest etcd backups: {told}")
    if any(now - backup.at > OLDEST for backup in newest.values()):
        return Condition(name, "False", "TooOld", f"newest etcd backups: {told}")
    return Condition(name, "True", "Recent", f"newest etcd backups: {told}")
