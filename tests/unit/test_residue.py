"""The end of a deletion, by a run that was overtaken."""

from contextlib import suppress
from pathlib import Path

import pytest

from boatyard.clock import SystemClock
from boatyard.drivers.operation import Yard, operating
from boatyard.errors import Fenced
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox
from tasks import yard as running
from tasks.residue import prove_deleted

CLUSTER = Cluster.model_validate({"name": "dev", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.36"}})


def test_a_run_that_lost_its_lease_forgets_no_cluster(tmp_path: Path) -> None:
    """Nothing is left of the old one; by now somebody else has the lease, and makes it anew."""
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path}/store.db")
    with Store.open(settings.store_url) as store:
        store.clusters.put(CLUSTER.model_dump(mode="json"))
        yard = Yard(settings, store, Toolbox(settings.cache), SystemClock())
        with (
            suppress(Fenced),
            operating(yard, CLUSTER, "delete", who="me", run_id="1") as op,
            running._running(op),
        ):
            store.leases.release(op.lease)
            store.leases.acquire("dev", "somebody else", "create")
            with pytest.raises(Fenced, match="create by somebody else holds it"):
                prove_deleted.fn()
        assert store.clusters.get("dev") is not None
