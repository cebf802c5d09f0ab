"""A lease is kept while its process lives, through hiccups of the store, and until it is lost."""

import threading

from boatyard.clock import Stop, SystemClock
from boatyard.errors import Fenced, Temporary
from boatyard.store.heartbeat import Heartbeat
from boatyard.store.store import Store


def test_a_held_lease_is_renewed_again_and_again(url: str) -> None:
    with Store.open(url, SystemClock()) as store, store.leases.hold("shop", "ann", "upgrade", ttl=0.3) as lease:
        end = lease.expires_at
        for _ in range(3):
            while (found := store.leases.current("shop", expired=True)).expires_at == end:
                threading.Event().wait(0.02)
            assert (found.number, found.since) == (lease.number, lease.since)
            assert found.expires_at > end
            end = found.expires_at


def test_a_hiccup_is_tried_again_and_a_loss_ends_it() -> None:
    answers: list[Exception | None] = [
        None,
        Temporary("busy"),
        RuntimeError("odd"),
        None,
        Fenced("The lease is lost."),
        None,
    ]
    asked: list[Exception | None] = []
    lost = Stop()

    def renew() -> None:
        answer = answers[len(asked)]
        asked.append(answer)
        if answer is not None:
            raise answer

    beat = Heartbeat(renew, 0.001, "lease of shop", lost.set)
    beat.start()
    assert lost.wait(60)
    beat.stop()

    assert asked == answers[:5]
    assert lost.why == "The lease is lost"
