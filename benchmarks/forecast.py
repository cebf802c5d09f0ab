"""The forecast of a large fleet: 10,000 clusters, a year, in a process of its own; time and memory against a budget."""

import json
import random
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.base import Row

CLUSTERS = 10_000
SECONDS, MEGABYTES = 5.0, 500.0
NOW = datetime(2026, 11, 25, 10, tzinfo=UTC)
RINGS = [
    {"name": "canary", "match": {"stage": "test"}, "soak": "2d"},
    {"name": "staging", "match": {"stage": "staging"}, "soak": "5d"},
    {"name": "production", "match": {"stage": "prod"}, "approve": True, "max_parallel": 300},
]
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Tokyo", "UTC")


def run() -> list[Row]:
    """`ours`: seconds and megabytes of a child; `theirs`: the budget."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.forecast"],
        cwd=Path(__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    )
    told = json.loads(done.stdout)
    notes = f"{CLUSTERS:,} clusters, a year, {told['moves']:,} upgrades in 3 rings and {told['windows']} windows; "
    notes += f"{told['cpu']:.1f} s of CPU"
    return [
        Row("forecast/seconds", told["seconds"], SECONDS, "s", 1.0, "a budget of 5 s", notes),
        Row("forecast/memory", told["megabytes"], MEGABYTES, "MB", 1.0, "a budget of 500 MB"),
    ]


def child() -> None:
    """Make the fleet, look a year ahead, print what it cost."""
    from boatyard.plan.fleet import FleetState, Member, Offer, Release
    from boatyard.plan.forecast import forecast
    from boatyard.spec.waves import Upgrades, Waves

    dice = random.Random(1)  # noqa: S311 - the same fleet each time
    windows = [
        (f"{day} {hour:02}:00-{hour + 4:02}:00 {zone}",)
        for day in ("Tue", "Wed", "Thu", "Sat")
        for hour in (1, 9)
        for zone in ZONES
    ]
    members = tuple(
        Member(
            name=f"c{at:05}",
            version=dice.choice(["1.34.9", "1.35.6", "1.35.8"]),
            windows=dice.choice(windows),
            reached=NOW - timedelta(days=60),
            health_since=NOW - timedelta(days=60),
            ring=dice.choices([str(ring["name"]) for ring in RINGS], [1, 3, 16])[0],
            kind=dice.choice(["kops", "eks"]),
            account=f"account-{dice.randrange(100)}",
            channel=dice.choice(["stable", "stable", "regular"]),
            expected=timedelta(minutes=dice.choice([25, 40, 55, 70, 90])),
        )
        for at in range(CLUSTERS)
    )
    minors = {minor: datetime(2026, 1, 10, tzinfo=UTC) + timedelta(days=122 * (minor - 36)) for minor in range(33, 42)}
    releases = [
        Release(f"1.{minor}.{patch}", since + timedelta(days=30 * patch))
        for minor, since in minors.items()
        for patch in range(14)
    ]
    ends = {f"1.{minor}": since + timedelta(days=430) for minor, since in minors.items()}
    later = tuple(Release(each.version, each.since + timedelta(days=20)) for each in releases)
    rules = Upgrades.model_validate(
        {
            "rings": RINGS,
            "max_parallel": 500,
            "max_parallel_per_account": 10,
            "freezes": [{"from": "2026-12-20", "to": "2027-01-06", "timezone": "Europe/Berlin"}],
        }
    )
    state = FleetState(members=members, offers={"kops": Offer(tuple(releases), ends), "eks": Offer(later, ends)})
    begun, used = time.perf_counter(), time.process_time()
    told = forecast(Waves(upgrades=rules), state, NOW)
    seconds, cpu = time.perf_counter() - begun, time.process_time() - used
    peak = _peak()
    result = {
        "seconds": seconds,
        "megabytes": peak,
        "moves": len(told.moves),
        "cpu": cpu,
        "windows": len(windows),
    }
    print(json.dumps(result))


def _peak() -> float:
    """Megabytes of memory that this program held at most; ru_maxrss would count what the one that started it held."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    child()
