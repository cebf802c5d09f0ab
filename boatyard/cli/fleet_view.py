"""`status`: the fleet as the store remembers it. No driver, no cluster, no pydantic: it answers in a blink."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from boatyard.cli.output import TIED, Cell, Out, ago, moment
from boatyard.clock import SystemClock
from boatyard.errors import BoatyardError
from boatyard.settings import Settings
from boatyard.store import ClusterRecord, Condition, Entry, Lease, Reader, reader

PHASES = {"running": "green", "absent": "dim", "hibernated": "cyan", "broken": "red", "partial": "yellow"}
OUTCOMES = {"done": "green", "failed": "red", "interrupted": "yellow", "running": "cyan", "skipped": "dim"}
TAIL = 8
"""Journal entries shown with one cluster."""


def show(out: Out, name: str | None) -> None:
    """The whole fleet as a table, or one cluster in detail."""
    now = SystemClock().now()
    with reader(Settings.load().store_url) as store:
        if name is None:
            _fleet(out, store, now)
        else:
            _detail(out, store, _record(store, name), now)


def _record(store: Reader, name: str) -> ClusterRecord:
    record = store.clusters.get(name)
    if record is None:
        from boatyard.cli.looking import unknown

        raise unknown(name, store)
    return record


def _fleet(out: Out, store: Reader, now: datetime) -> None:
    records = store.clusters.list()
    leases = {lease.cluster: lease for lease in store.leases.list()}
    conditions: dict[str, list[Condition]] = {}
    for condition in store.conditions.list():
        conditions.setdefault(condition.cluster, []).append(condition)
    if out.json:
        documents = [document(each, leases.get(each.name), conditions.get(each.name, [])) for each in records]
        out.emit({"clusters": documents})
        return
    if not records:
        out.say(
            "Boatyard keeps no cluster yet. `boatyard init --to demo.yaml` writes an example,"
            " `boatyard apply demo.yaml` makes it."
        )
        return
    rows = [_row(each, leases.get(each.name), conditions.get(each.name, []), now) for each in records]
    out.table(("NAME", "PROVIDER", "PHASE", "VERSION", "POOLS", "ATTENTION"), rows)


def _row(record: ClusterRecord, lease: Lease | None, conditions: list[Condition], now: datetime) -> tuple[Cell, ...]:
    attention = [f"{lease.operation} by {lease.holder} since {ago(lease.since, now)}"] if lease else []
    phase = _phase(record)
    wrong = [c for c in conditions if not fine(c, phase)]
    attention += _wrong(wrong, now)
    pools = ", ".join(f"{name}{TIED}{ready}/{wanted}" for name, ready, wanted, _ in pool_sizes(record)) or "-"
    return (
        record.name,
        str(record.desired.get("provider", {}).get("kind", "?")),
        (phase, PHASES.get(phase, "yellow")),
        _version(record),
        pools,
        ("; ".join(attention) or "-", "yellow" if wrong else ""),
    )


def _wrong(conditions: list[Condition], now: datetime) -> list[str]:
    """What is not well, in few words: more than two of a kind are counted, `boatyard status NAME` has each."""
    said = []
    for status in sorted({c.status for c in conditions}):
        same = [c for c in conditions if c.status == status]
        if len(same) > 2:
            first = min(c.transition_at for c in same)
            said.append(f"{len(same)} conditions are {status} since {ago(first, now)}")
        else:
            said += [f"{c.type} is {status} since {ago(c.transition_at, now)}" for c in same]
    return said


def fine(condition: Condition, phase: str = "running") -> bool:
    """Whether a condition is as it should be. Types are worded so that True is good; of who sleeps nothing is known."""
    return condition.status == "True" or (condition.status == "Unknown" and phase == "hibernated")


def _phase(record: ClusterRecord) -> str:
    if record.state != "managed":
        return record.state
    return str((record.observed or {}).get("phase", "unknown"))


def _version(record: ClusterRecord) -> str:
    """What runs, and what is wanted where that is newer."""
    seen = (record.observed or {}).get("version")
    wanted = str(record.desired.get("kubernetes", {}).get("version", "?"))
    if seen is None:
        return f"({wanted})"
    ahead = _numbers(wanted) > _numbers(str(seen))[: len(_numbers(wanted))]
    return f"{seen} → {wanted}" if ahead else str(seen)


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(map(int, re.findall(r"[0-9]+", version)))


def pool_sizes(record: ClusterRecord) -> list[tuple[str, int, int, str]]:
    """Each pool's name, ready nodes, nodes wanted, and the bounds that the spec gives."""
    seen: Mapping[str, Any] = (record.observed or {}).get("pools") or {}
    found = []
    for pool in record.desired.get("pools") or []:
        least = int(pool.get("min", 1))
        most = least if pool.get("max") is None else int(pool["max"])
        there = seen.get(pool["name"]) or {}
        count = len(there.get("versions") or {})
        bounds = str(least) if least == most else f"{least}-{most}"
        found.append((str(pool["name"]), int(there.get("ready", 0)), min(max(count, least), most), bounds))
    named = {name for name, *_ in found}
    found += [
        (name, int(there.get("ready", 0)), 0, "not in the spec") for name, there in seen.items() if name not in named
    ]
    return found


def document(record: ClusterRecord, lease: Lease | None, conditions: list[Condition]) -> dict[str, Any]:
    """One cluster for programs."""
    return {
        "name": record.name,
        "provider": record.desired.get("provider", {}).get("kind"),
        "owner": record.desired.get("owner") or None,
        "state": record.state,
        "phase": (record.observed or {}).get("phase"),
        "version": (record.observed or {}).get("version"),
        "wanted_version": record.desired.get("kubernetes", {}).get("version"),
        "pools": [
            {"name": name, "ready": ready, "wanted": wanted, "bounds": bounds}
            for name, ready, wanted, bounds in pool_sizes(record)
        ],
        "conditions": [
            {
                "type": c.type,
                "status": c.status,
                "reason": c.reason,
                "message": c.message,
                "transition_at": c.transition_at,
                "checked_at": c.checked_at,
            }
            for c in conditions
        ],
        "lease": None if lease is None else _lease_document(lease),
        "created_at": record.created_at,
        "observed_at": record.observed_at,
    }


def _lease_document(lease: Lease) -> dict[str, Any]:
    names = ("holder", "operation", "run_id", "number", "since", "expires_at", "host", "pid")
    return {name: getattr(lease, name) for name in names}


def entry_document(entry: Entry) -> dict[str, Any]:
    """One line of the journal for programs."""
    names = ("id", "cluster", "operation", "run_id", "verb", "target", "reason", "who", "begun_at", "ended_at")
    return {name: getattr(entry, name) for name in (*names, "outcome", "message")}


def _detail(out: Out, store: Reader, record: ClusterRecord, now: datetime) -> None:
    lease = store.leases.current(record.name)
    conditions = store.conditions.list(record.name)
    entries = store.journal.list(record.name, limit=TAIL)
    claims = store.claims.of(record.name)
    activity = store.activity.get(record.name)
    window, sleep = _next_window(record, now), _next_sleep(record, now)
    if out.json:
        more = {
            "journal": [entry_document(entry) for entry in entries],
            "claims": [
                {"key": c.key, "open": c.open, "opened_at": c.opened_at, "closed_at": c.closed_at} for c in claims
            ],
            "next_window": window,
            "next_sleep_change": sleep,
            "last_active_at": activity.last_active_at if activity else None,
        }
        out.emit(document(record, lease, conditions) | more)
        return
    phase = _phase(record)
    facts: list[tuple[Cell, Cell]] = [
        ("name", (record.name, "bold")),
        ("provider", str(record.desired.get("provider", {}).get("kind", "?"))),
        ("owner", str(record.desired.get("owner") or "-")),
        ("phase", (f"{phase}{_seen(record, now)}", PHASES.get(phase, "yellow"))),
        ("version", _version(record)),
    ]
    if detail := (record.observed or {}).get("detail"):
        facts.append(("detail", str(detail)))
    facts.append(("created", moment(record.created_at)))
    facts.append(("held", (lease.describe(), "cyan") if lease else "by nobody"))
    if window is not None:
        facts.append(("window", f"{record.desired['policy']['maintenance']['window']}, next {moment(window)}"))
    if sleep is not None:
        facts.append(("schedule", f"{sleep['state']} from {moment(sleep['at'])}"))
    if activity is not None and activity.last_active_at is not None:
        facts.append(("in use", f"{ago(activity.last_active_at, now)} ago: {activity.evidence}"))
    facts += [("claim", f"{claim.key} ({'open' if claim.open else 'closed'})") for claim in claims]
    out.table(("", ""), facts)
    _sections(out, record, conditions, entries, now)


def _seen(record: ClusterRecord, now: datetime) -> str:
    return f", seen {ago(record.observed_at, now)} ago" if record.observed_at else ""


def _sections(
    out: Out, record: ClusterRecord, conditions: list[Condition], entries: list[Entry], now: datetime
) -> None:
    if pools := pool_sizes(record):
        out.line()
        out.table(("POOL", "READY", "WANTED", "SPEC"), [(n, str(r), str(w), b) for n, r, w, b in pools])
    if conditions:
        out.line()
        rows: list[tuple[Cell, ...]] = [
            (
                c.type,
                (c.status, "green" if fine(c) else "yellow"),
                ago(c.transition_at, now),
                " ".join(filter(None, (c.reason, c.message))),
            )
            for c in conditions
        ]
        out.table(("CONDITION", "STATUS", "SINCE", "WHY"), rows)
    if entries:
        out.line()
        journal(out, entries)


def journal(out: Out, entries: list[Entry], *, head: bool = True) -> None:
    """Entries as a table: when, what, how it ended, how long it took, who."""
    rows: list[tuple[Cell, ...]] = []
    for entry in entries:
        took = f"{(entry.ended_at - entry.begun_at).total_seconds():.1f}s" if entry.ended_at else ""
        what = f"{entry.verb} {entry.target}" + (f": {entry.message}" if entry.message else "")
        ended = (entry.outcome, OUTCOMES.get(entry.outcome, ""))
        rows.append((f"{entry.begun_at:%m-%d %H:%M:%S}", ended, took, what, entry.who))
    out.table(("BEGUN (UTC)", "OUTCOME", "TOOK", "STEP", "BY") if head else ("", "", "", "", ""), rows)


def _next_window(record: ClusterRecord, now: datetime) -> datetime | None:
    text = ((record.desired.get("policy") or {}).get("maintenance") or {}).get("window")
    if not text:
        return None
    from boatyard.spec.windows import Window

    window = Window.parse(text)
    return now if window.is_open(now) else window.next_open(now)


def _next_sleep(record: ClusterRecord, now: datetime) -> dict[str, Any] | None:
    policy = (record.desired.get("policy") or {}).get("hibernate")
    if not policy:
        return None
    from boatyard.spec.windows import SleepSchedule

    schedule = SleepSchedule.parse(policy["sleep"], policy["wake"], policy.get("timezone", "UTC"))
    change = schedule.next_change(now)
    return None if change is None else {"at": change[0], "state": change[1]}


def watched(name: str | None) -> object:
    """Something that changes whenever `show` would say something new, for `--watch`."""
    try:
        with reader(Settings.load().store_url) as store:
            entries = store.journal.list(name, limit=TAIL)
            return (store.clusters.list(), store.leases.list(), store.conditions.list(name), entries)
    except BoatyardError as error:
        return str(error)
