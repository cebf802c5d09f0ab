"""One holder at a time; the number only grows; a late one is told so."""

import signal
from collections.abc import Callable
from datetime import timedelta
from subprocess import Popen

import pytest
import sqlalchemy as sa

from boatyard.clock import ManualClock
from boatyard.errors import Fenced, Held, Temporary
from boatyard.store import Lease, LeaseHeld, database
from boatyard.store.schema import leases
from boatyard.store.store import Store

Start = Callable[..., "Popen[str]"]

HOLD = """
import sys
from boatyard.clock import SystemClock
from boatyard.store.store import Store
store = Store.open(sys.argv[1], SystemClock())
lease = store.leases.acquire("shop", "ann", "upgrade", ttl=3600, run_id="run-1")
entry = store.journal.begin("shop", operation="upgrade", run_id="run-1", verb="upgrade pool", target="web", reason="r",
                            who="ann", fence=lease.number)
print(lease.number, flush=True)
sys.stdin.read()
"""

RACE = """
import sys
from boatyard.clock import SystemClock
from boatyard.errors import Held
from boatyard.store.store import Store
store = Store.open(sys.argv[1], SystemClock())
print("ready", flush=True)
sys.stdin.readline()
won = []
for turn in range(20):
    try:
        won.append(str(store.leases.acquire(f"shop-{turn}", sys.argv[2], "upgrade", ttl=3600).number))
    except Held:
        won.append("-")
print(" ".join(won), flush=True)
sys.stdin.read()
"""

COUNT = """
import sys
from boatyard.clock import SystemClock
from boatyard.store.store import Store
store = Store.open(sys.argv[1], SystemClock())
for turn in range(5):
    with store.leases.hold("shop", sys.argv[2], "count", wait=300) as lease:
        seen = store.clusters.get("shop").observed["count"]
        store.clusters.set_observed("shop", {"count": seen + 1}, fence=lease.number)
"""


def test_a_held_lease_refuses_and_names_who_has_it(store: Store, clock: ManualClock) -> None:
    first = store.leases.acquire("shop", "ann", "upgrade", run_id="run-1")
    clock.advance(timedelta(seconds=10))

    with pytest.raises(Held) as refusal:
        store.leases.acquire("shop", "bob", "delete")

    assert isinstance(refusal.value, LeaseHeld)
    assert refusal.value.lease == first == store.leases.current("shop")
    for part in ("shop", "upgrade by ann", "run-1", "since 2026-03-01 12:00:00", "until 2026-03-01 12:01:00"):
        assert part in str(refusal.value)


def test_numbers_grow_through_release_and_each_cluster_has_its_own(store: Store) -> None:
    numbers = []
    for holder in ("ann", "bob", "ann"):
        lease = store.leases.acquire("shop", holder, "upgrade")
        numbers.append(lease.number)
        assert store.leases.release(lease)

    assert numbers == [1, 2, 3]
    assert store.leases.acquire("other", "ann", "upgrade").number == 1
    assert store.leases.current("shop") is None
    assert [lease.cluster for lease in store.leases.list()] == ["other"]


def test_a_lease_that_ran_out_is_taken_and_its_former_holder_fenced(store: Store, clock: ManualClock) -> None:
    store.clusters.put({"name": "shop"})
    old = store.leases.acquire("shop", "ann", "upgrade", ttl=60, run_id="run-1")
    clock.advance(timedelta(seconds=59))
    with pytest.raises(Held):
        store.leases.acquire("shop", "bob", "delete")
    clock.advance(timedelta(seconds=1))

    new = store.leases.acquire("shop", "bob", "delete")

    assert new.number == old.number + 1
    for use in (store.leases.check, store.leases.renew, store.leases.check):
        with pytest.raises(Fenced, match="delete by bob"):
            use(old)
    assert not store.leases.release(old)
    assert store.leases.current("shop") == new
    assert [entry.reason for entry in store.journal.list("shop")] == [
        "From upgrade by ann (run run-1), which did not give it back."
    ]


def test_renewal_moves_the_end_and_nothing_else(store: Store, clock: ManualClock) -> None:
    lease = store.leases.acquire("shop", "ann", "upgrade", ttl=60)
    clock.advance(timedelta(seconds=50))

    renewed = store.leases.renew(lease)

    assert renewed.expires_at == clock.now() + timedelta(seconds=60)
    assert (renewed.number, renewed.since) == (lease.number, lease.since)
    assert store.leases.current("shop") == renewed


def test_a_sleeper_whose_lease_nobody_took_goes_on(store: Store, clock: ManualClock) -> None:
    store.clusters.put({"name": "shop"})
    lease = store.leases.acquire("shop", "ann", "upgrade", ttl=60)
    clock.advance(timedelta(hours=8))
    assert store.leases.current("shop") is None

    store.leases.check(lease)

    store.clusters.set_observed("shop", {}, fence=lease.number)
    with pytest.raises(Held):
        store.leases.acquire("shop", "bob", "delete")


def test_a_released_lease_guards_no_writes(store: Store) -> None:
    store.clusters.put({"name": "shop"})
    lease = store.leases.acquire("shop", "ann", "upgrade")
    store.leases.release(lease)

    with pytest.raises(Fenced, match="given back"):
        store.clusters.set_observed("shop", {}, fence=lease.number)
    with pytest.raises(Fenced):
        store.leases.check(lease)


@pytest.mark.parametrize(
    ("holder", "operation", "key", "resumes"),
    [
        ("ann", "upgrade", "k", True),
        ("bob", "upgrade", "k", False),
        ("ann", "delete", "k", False),
        ("ann", "upgrade", "other", False),
        ("ann", "upgrade", "", False),
    ],
)
def test_only_the_same_run_resumes(store: Store, holder: str, operation: str, key: str, resumes: bool) -> None:
    old = store.leases.acquire("shop", "ann", "upgrade", resume_key="k")

    if not resumes:
        with pytest.raises(Held):
            store.leases.acquire("shop", holder, operation, resume_key=key)
        store.leases.check(old)
        return
    new = store.leases.acquire("shop", holder, operation, resume_key=key)
    assert new.number == old.number + 1
    with pytest.raises(Fenced):
        store.leases.check(old)


def test_without_a_key_the_same_holder_does_not_resume(store: Store) -> None:
    store.leases.acquire("shop", "ann", "upgrade")
    with pytest.raises(Held):
        store.leases.acquire("shop", "ann", "upgrade")


def test_waiting_gets_the_lease_when_it_runs_out(store: Store, clock: ManualClock) -> None:
    first = store.leases.acquire("shop", "ann", "upgrade", ttl=60)

    second = store.leases.acquire("shop", "bob", "delete", wait=61)

    assert second.number == first.number + 1
    assert first.expires_at <= second.since <= first.expires_at + timedelta(seconds=1)


def test_waiting_has_an_end(store: Store, clock: ManualClock) -> None:
    first = store.leases.acquire("shop", "ann", "upgrade", ttl=60)

    with pytest.raises(Held, match="upgrade by ann"):
        store.leases.acquire("shop", "bob", "delete", wait=30)

    assert clock.now() == first.since + timedelta(seconds=30)


def test_hold_gives_back_at_the_end_and_after_an_error(store: Store) -> None:
    with store.leases.hold("shop", "ann", "upgrade") as lease:
        assert store.leases.current("shop") == lease
    assert store.leases.current("shop") is None

    with pytest.raises(KeyError), store.leases.hold("shop", "ann", "upgrade"):
        raise KeyError
    assert store.leases.current("shop") is None


def test_the_end_of_a_block_tells_that_the_lease_was_lost(store: Store, clock: ManualClock) -> None:
    block = store.leases.hold("shop", "ann", "upgrade", ttl=60)
    lease = block.__enter__()
    stolen = _steal(store, clock)
    for use in (store.leases.renew, store.leases.check):
        with pytest.raises(Fenced):
            use(lease)

    with pytest.raises(Fenced, match="delete by bob"):
        block.__exit__(None, None, None)

    assert store.leases.current("shop") == stolen


def test_an_error_of_the_block_is_not_hidden_by_the_loss(store: Store, clock: ManualClock) -> None:
    block = store.leases.hold("shop", "ann", "upgrade", ttl=60)
    block.__enter__()
    stolen = _steal(store, clock)

    assert not block.__exit__(KeyError, KeyError("theirs"), None)

    assert store.leases.current("shop") == stolen


def _steal(store: Store, clock: ManualClock) -> Lease:
    clock.advance(timedelta(seconds=61))
    return store.leases.acquire("shop", "bob", "delete")


def test_many_processes_race_and_each_lease_has_one_winner(url: str, python: Start) -> None:
    racers = [python(RACE, url, f"racer-{number}") for number in range(5)]
    for racer in racers:
        assert racer.stdout.readline() == "ready\n", racer.stderr.read()
    for racer in racers:
        racer.stdin.write("go\n")
        racer.stdin.flush()

    results = [racer.stdout.readline().split() for racer in racers]

    assert [len(result) for result in results] == [20] * len(racers)
    for turn in zip(*results, strict=True):
        assert sorted(turn) == ["-"] * (len(racers) - 1) + ["1"]


def test_waiting_processes_take_turns_and_lose_no_write(url: str, python: Start, clock: ManualClock) -> None:
    with Store.open(url, clock) as store:
        store.clusters.put({"name": "shop"})
        store.clusters.set_observed("shop", {"count": 0}, fence=None)
        for counter in [python(COUNT, url, f"counter-{number}") for number in range(3)]:
            _, errors = counter.communicate()
            assert counter.returncode == 0, errors

        assert store.clusters.get("shop").observed == {"count": 15}
        assert store.leases.acquire("shop", "ann", "check").number == 16


def test_after_kill_9_the_next_takes_over_at_once(url: str, python: Start, clock: ManualClock) -> None:
    holder = python(HOLD, url)
    number = int(holder.stdout.readline())
    with Store.open(url) as store:
        with pytest.raises(Held):
            store.leases.acquire("shop", "bob", "delete")
        assert [entry.outcome for entry in store.journal.list("shop")] == ["running"]

        holder.send_signal(signal.SIGKILL)
        holder.wait()
        lease = store.leases.acquire("shop", "bob", "delete")

        assert lease.number == number + 1
        killed, takeover = store.journal.list("shop")
        assert (killed.verb, killed.outcome) == ("upgrade pool", "interrupted")
        assert takeover.reason == "From upgrade by ann (run run-1), whose process is gone."
        assert (takeover.who, takeover.fence, takeover.outcome) == ("bob", lease.number, "done")
        assert store.journal.interrupted("shop") == [killed]


def test_a_holder_of_another_machine_is_waited_for(url: str, python: Start) -> None:
    """Nothing can be known about a process elsewhere, so only expiry frees its lease."""
    import sqlalchemy as sa

    from boatyard.store.database import Database
    from boatyard.store.schema import leases

    holder = python(HOLD, url)
    holder.stdout.readline()
    holder.kill()
    holder.wait()
    database = Database(url)
    with database.write() as connection:
        connection.execute(sa.update(leases).values(machine="another boot/pid:[1]"))
    database.close()

    with Store.open(url) as store, pytest.raises(Held):
        store.leases.acquire("shop", "bob", "delete")


def test_a_writer_that_hangs_is_waited_for_and_then_told(
    url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process or a sleeping machine in the middle of its transaction must not hold a step for ever."""
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)
    with Store.open(url, clock) as mine, Store.open(url, clock) as hanging:
        lease = mine.leases.acquire("shop", "ann", "upgrade")
        with hanging._database.write() as connection:
            connection.execute(sa.update(leases).values(operation="hangs"))
            with pytest.raises(Temporary, match="store"):
                mine.leases.renew(lease)
        mine.leases.check(lease)
