"""A deletion that was cut off after the account was empty: kOps knows no such cluster any more, its keys are there."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.aws.account import Account
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.deletion import delete
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import Store
from tests.unit.drivers.kops.conftest import BUCKET, NAME, Fence

LEFT = ("instancegroup/web", "pki/private/kubernetes-ca/keyset.yaml", "secrets/admin")


@pytest.fixture
def reach(account: Account, put: Callable[[str, str], None], fence: Fence, tmp_path: Path) -> Any:
    """A cluster of which kOps and AWS know nothing, with a neighbour."""
    for key in LEFT:
        put(f"{NAME}/{key}", "{metadata: {name: web}, spec: {role: Node}}")
    put(f"boatyard/{NAME}/snapshots/2026-11-22T16-43-25Z.tar.gz", "keys")
    put(f"{NAME}.au/config", "of another cluster")
    store = Store(account, f"s3://{BUCKET}", NAME, fence=fence)
    clock = SystemClock()
    env = Env(tmp_path, clock, Deadline.after(60, "the deletion", clock), tool=Path, fence=fence)
    fleet = SimpleNamespace(read=dict)
    return SimpleNamespace(name=NAME, account=account, env=env, store=store, fleet=fleet, folder=tmp_path / NAME)


def left(reach: Any) -> list[str]:
    return list(reach.store._keys(""))


def test_what_kops_left_of_the_record_goes_where_it_was_cut_off(reach: Any) -> None:
    reach.store.mark_deleting()
    delete(cast(Reach, reach))
    assert left(reach) == [f"{NAME}.au/config"]


def test_a_cut_off_here_is_known_as_well(reach: Any, fence: Fence) -> None:
    reach.store.mark_deleting()
    fence.closed = True
    with pytest.raises(RuntimeError):
        delete(cast(Reach, reach))
    assert reach.store.read().deleting


def test_where_no_deletion_was_begun_what_is_not_ours_stays(reach: Any) -> None:
    """It is told as residue; somebody put it there, or deleted with kOps alone."""
    delete(cast(Reach, reach))
    assert left(reach) == [f"{NAME}.au/config", *(f"{NAME}/{key}" for key in LEFT)]
