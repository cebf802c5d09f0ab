"""A cluster that needs no change still enters the store: schedules go by the owner and policy that stand there."""

from typing import TYPE_CHECKING

from boatyard.cli.me import who

if TYPE_CHECKING:
    from boatyard.spec.models import Cluster


def remember(cluster: "Cluster", operation: str = "apply") -> None:
    """From now on this is what should be; writes only where the store says otherwise. `Held` names who works on it."""
    from boatyard.clock import SystemClock
    from boatyard.settings import Settings
    from boatyard.store import reader

    settings, name = Settings.load(), cluster.name
    with reader(settings.store_url) as look:
        record = look.clusters.get(name)
    wanted = cluster.model_dump(mode="json")
    if record is None or record.state == "deleted" or record.desired != wanted:
        from boatyard.store import Store

        with Store.open(settings.store_url, SystemClock()) as store, store.leases.hold(name, who(), operation) as lease:
            store.clusters.put(wanted, fence=lease.number)
