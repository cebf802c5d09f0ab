"""The end of a deletion: what proves it, and who may draw the conclusion."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from boatyard.clock import ManualClock, SystemClock
from boatyard.drivers.base import Residue
from boatyard.drivers.operation import Operation, Yard, operating
from boatyard.errors import Fenced, Permanent
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.store import Store
from boatyard.tools import Toolbox
from tasks import residue
from tasks import yard as running
from tasks.residue import prove_deleted

CLUSTER = Cluster.model_validate({"name": "dev", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.36"}})
GONE, LEFT = Residue("network-interface", "eni-1"), Residue("volume", "vol-1", monthly_cost=1.6)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path}/store.db")
    with Store.open(settings.store_url) as store:
        store.clusters.put(CLUSTER.model_dump(mode="json"))
        yield Yard(
            settings, store, Toolbox(settings.cache), SystemClock(), ManualClock(datetime(2026, 6, 1, tzinfo=UTC))
        )


@contextmanager
def deleting(yard: Yard) -> Iterator[Operation]:
    with operating(yard, CLUSTER, "delete", who="me", run_id="1") as op, running._running(op):
        yield op


def test_a_run_that_lost_its_lease_forgets_no_cluster(yard: Yard) -> None:
    """Nothing is left of the old one; by now somebody else has the lease, and makes it anew."""
    with suppress(Fenced), deleting(yard) as op:
        yard.store.leases.release(op.lease)
        yard.store.leases.acquire("dev", "somebody else", "create")
        with pytest.raises(Fenced, match="create by somebody else holds it"):
            prove_deleted.fn()
    assert yard.store.clusters.get("dev") is not None


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch) -> list[list[Residue]]:
    """What each look at the provider finds, one after another."""
    looks: list[list[Residue]] = []

    class Provider:
        def residue(self) -> list[Residue]:
            return looks.pop(0)

    monkeypatch.setattr(Operation, "driver", lambda op: Provider())
    monkeypatch.setattr(residue, "get_run_logger", logging.getLogger)
    monkeypatch.setattr(residue, "create_table_artifact", lambda *_, **__: None)
    return looks


def test_what_is_listed_for_a_while_after_it_has_gone_is_no_residue(yard: Yard, listed: list[list[Residue]]) -> None:
    listed[:] = [[GONE, LEFT], [GONE], []]
    with deleting(yard):
        prove_deleted.fn()
    assert yard.store.clusters.get("dev") is None


def test_what_stays_is_named_and_the_cluster_is_remembered(yard: Yard, listed: list[list[Residue]]) -> None:
    listed[:] = [[GONE, LEFT], [LEFT], [LEFT]]
    with deleting(yard), pytest.raises(Permanent, match=r"^1 things are left of dev: volume vol-1\."):
        prove_deleted.fn()
    assert yard.store.clusters.get("dev") is not None
