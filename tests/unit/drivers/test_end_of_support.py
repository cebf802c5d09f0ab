"""A version about to end, from the store to what the scheduler and the forecast say: forced in the last window."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.clock import ManualClock
from boatyard.drivers.fleet_state import fleet_state
from boatyard.drivers.operation import Yard
from boatyard.drivers.survey import survey
from boatyard.plan.fleet import Verdict
from boatyard.plan.forecast import forecast
from boatyard.plan.model import Observed, ObservedPool, Phase
from boatyard.plan.waves import decide
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.spec.waves import Waves
from boatyard.store import Store
from boatyard.tools import Toolbox

NEW_YEAR = datetime(2027, 1, 1, 12, tzinfo=UTC)
SATURDAYS = [datetime(2027, 1, 2, 2, 10, tzinfo=UTC) + timedelta(weeks=at) for at in range(12)]
"""The support of 1.35 ends on Sunday, 2027-02-28."""
RULES = Waves.model_validate(
    {
        "upgrades": {
            "rings": [
                {"name": "canary", "match": {"stage": "test"}, "soak": "9d", "windows": ["Mon 10:00-12:00"]},
                {"name": "production", "approve": True},
            ]
        }
    }
)


def spec(name: str, window: str, **upgrade: object) -> Cluster:
    """`canary` never goes by itself, so that nothing is ever proved for those behind it."""
    return Cluster.model_validate(
        {
            "name": name,
            "labels": {"stage": "test" if name == "canary" else "prod"},
            "provider": {"kind": "kwok"},
            "kubernetes": {"version": "1.35", "channel": "rapid"},
            "pools": [{"name": "web", "min": 2}],
            "policy": {"maintenance": {"window": window}, "upgrade": upgrade},
        }
    )


SATURDAY, SUNDAY = "Sat 02:00-06:00 UTC", "Sun 02:00-06:00 UTC"
FLEET = (
    spec("canary", SATURDAY, approve=True),
    spec("saturdays", SATURDAY, at_end_of_support="upgrade"),
    spec("sundays", SUNDAY, at_end_of_support="upgrade"),
    spec("warned", SATURDAY),
)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NEW_YEAR)


@pytest.fixture
def yard(tmp_path: Path, clock: ManualClock) -> Yard:
    settings = Settings(tmp_path, tmp_path / "cache", f"sqlite:///{tmp_path / 'boatyard.db'}")
    made = Yard(settings, Store.open(settings.store_url, clock), Toolbox(settings.cache), clock)
    for each in FLEET:
        made.store.clusters.put(each.model_dump(mode="json"))
    looked(made)
    return made


def looked(yard: Yard) -> None:
    """The monitor was here: all run 1.35, in health."""
    pool = ObservedPool(name="web", versions={"web-1": "1.35", "web-2": "1.35"})
    seen = Observed(phase=Phase.RUNNING, version="1.35", pools={"web": pool}).model_dump(mode="json")
    for each in FLEET:
        yard.store.clusters.set_observed(each.name, seen, fence=None)
        yard.store.conditions.set(each.name, "Healthy", "True", "AllWell", "", now=yard.clock.now())


def starts(yard: Yard, clock: ManualClock, at: datetime) -> list[Verdict]:
    clock.advance(at - clock.now())
    looked(yard)
    return list(decide(RULES, fleet_state(yard, RULES).state, clock.now()).starts)


def test_the_scheduler_forces_it_in_the_last_window_before_the_day(yard: Yard, clock: ManualClock) -> None:
    """The last Sunday is the very day that support ends: an upgrade is over before it begins."""
    at = sorted([*SATURDAYS, *(each + timedelta(days=1) for each in SATURDAYS)])
    begun = {
        (f"{each:%m-%d}", start.name, start.to, start.forced) for each in at for start in starts(yard, clock, each)
    }
    first = [min(each for each in begun if each[1] == name) for name in ("saturdays", "sundays")]
    assert first == [("02-27", "saturdays", "1.36", True), ("02-21", "sundays", "1.36", True)]
    assert {name for _, name, _, _ in begun} == {"saturdays", "sundays"}, "the others wait for soak and approval"


def test_the_forecast_says_the_same_months_ahead(yard: Yard) -> None:
    period = timedelta(days=80)
    told = forecast(RULES, survey(yard, FLEET, RULES, NEW_YEAR + period), NEW_YEAR, period=period)
    assert [(move.name, move.to, move.forced, f"{move.begins:%m-%d %H:%M}") for move in told.moves] == [
        ("sundays", "1.36", True, "02-21 02:00"),
        ("saturdays", "1.36", True, "02-27 02:00"),
    ]
    (warned,) = [each for each in told.stays if each.name == "warned"]
    assert "canary has not soaked 1.36" in warned.reason
