"""The fleet's memory: clusters, leases, journal, conditions, activity, event claims and the
rollout of upgrades.

`Store` writes (SQLAlchemy; SQLite or PostgreSQL); `reader` only looks, and does it without importing SQLAlchemy where
the store is a SQLite file. The records are plain frozen dataclasses, so importing this package costs next to nothing.
"""

from typing import TYPE_CHECKING, Any

from boatyard.store.quick import Reader, reader
from boatyard.store.records import (
    Activity,
    Claim,
    ClaimResult,
    ClusterRecord,
    Condition,
    Entry,
    Lease,
    LeaseHeld,
    Outcome,
    Rehearsal,
    RingAnswer,
    RingLift,
    RingSoaked,
    State,
    Status,
    Todo,
    Upgrade,
)

if TYPE_CHECKING:
    from boatyard.store.store import Store

__all__ = [
    "Activity",
    "Claim",
    "ClaimResult",
    "ClusterRecord",
    "Condition",
    "Entry",
    "Lease",
    "LeaseHeld",
    "Outcome",
    "Reader",
    "Rehearsal",
    "RingAnswer",
    "RingLift",
    "RingSoaked",
    "State",
    "Status",
    "Store",
    "Todo",
    "Upgrade",
    "reader",
]


def __getattr__(name: str) -> Any:
    if name == "Store":
        from boatyard.store.store import Store  # half a second of import, paid by writers only

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
