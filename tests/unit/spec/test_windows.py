"""Windows and sleep schedules, also over clock changes."""

from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from boatyard.spec.windows import DAYS, SleepSchedule, Window, instant, known_zone

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "Africa/Casablanca")
TIMES = st.times().map(lambda t: t.strftime("%H:%M"))
DAY = st.sampled_from((*DAYS, "daily"))
WINDOWS = st.builds("{} {}-{} {}".format, DAY, TIMES, TIMES, st.sampled_from(ZONES))
CHANGES = (date(2026, 3, 29), date(2026, 10, 25), date(2026, 3, 8), date(2026, 11, 1), date(2011, 12, 30))
MOMENTS = st.one_of(
    st.integers(946684800, 3786912000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.builds(
        lambda day, minutes: datetime.combine(day, time(), UTC) + timedelta(minutes=minutes),
        st.sampled_from(CHANGES),
        st.integers(-2880, 2880),
    ),
)


def at(text: str, zone: str = "UTC") -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).astimezone(UTC)


@pytest.mark.parametrize(
    ("window", "moment", "is_open"),
    [
        ("Sat 02:00-06:00 Europe/Berlin", at("2026-06-06 02:00", "Europe/Berlin"), True),
        ("Sat 02:00-06:00 Europe/Berlin", at("2026-06-06 06:00", "Europe/Berlin"), False),
        ("Sat 02:00-06:00 Europe/Berlin", at("2026-06-07 03:00", "Europe/Berlin"), False),
        ("Sat 22:00-02:00", at("2026-06-07 01:59"), True),
        ("Sat 22:00-02:00", at("2026-06-06 01:59"), False),
        ("daily 00:00-00:00", at("2026-06-07 13:00"), True),
        ("daily 22:00-04:00 America/New_York", at("2026-06-07 03:59", "America/New_York"), True),
    ],
)
def test_open_or_closed(window: str, moment: datetime, is_open: bool) -> None:
    assert Window.parse(window).is_open(moment) is is_open


@pytest.mark.parametrize(
    ("window", "around", "opens", "closes"),
    [
        # Spring: 02:00 → 03:00 at 01:00 UTC. Autumn: 03:00 → 02:00 at 01:00 UTC.
        ("Sun 01:00-04:00 Europe/Berlin", "2026-03-28 12:00", "2026-03-29 00:00", "2026-03-29 02:00"),
        ("Sun 02:30-04:00 Europe/Berlin", "2026-03-28 12:00", "2026-03-29 01:00", "2026-03-29 02:00"),
        ("Sun 01:00-02:30 Europe/Berlin", "2026-03-28 12:00", "2026-03-29 00:00", "2026-03-29 01:00"),
        ("Sun 02:10-02:50 Europe/Berlin", "2026-03-28 12:00", "2026-04-05 00:10", "2026-04-05 00:50"),
        ("Sun 01:00-04:00 Europe/Berlin", "2026-10-24 12:00", "2026-10-24 23:00", "2026-10-25 03:00"),
        ("Sun 02:30-04:00 Europe/Berlin", "2026-10-24 12:00", "2026-10-25 00:30", "2026-10-25 03:00"),
        ("Sun 01:00-02:30 Europe/Berlin", "2026-10-24 12:00", "2026-10-24 23:00", "2026-10-25 00:30"),
        ("Sat 23:00-03:00 Europe/Berlin", "2026-10-24 12:00", "2026-10-24 21:00", "2026-10-25 02:00"),
        # Samoa left out Friday 30 December 2011 as a whole.
        ("Fri 10:00-12:00 Pacific/Apia", "2011-12-27 00:00", "2012-01-05 20:00", "2012-01-05 22:00"),
    ],
)
def test_clock_changes(window: str, around: str, opens: str, closes: str) -> None:
    parsed = Window.parse(window)
    assert parsed.next_open(at(around)) == at(opens)
    assert parsed.closes_at(at(opens)) == at(closes)


@settings(max_examples=300, deadline=None)
@given(WINDOWS, MOMENTS)
def test_a_window_opens_later_and_closes_later_than_now(text: str, now: datetime) -> None:
    window = Window.parse(text)
    following = window.next_open(now)
    assert following > now
    assert window.is_open(following)
    closing = window.closes_at(now)
    assert (closing is not None) == window.is_open(now)
    if closing is not None:
        assert closing > now
        assert window.is_open(closing - timedelta(seconds=1))
        assert closing - now <= timedelta(hours=48)
    else:
        assert not window.is_open(following - timedelta(seconds=1))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 1), date(2090, 1, 1)) | st.sampled_from(CHANGES), TIMES, TIMES)
def test_later_on_the_clock_is_never_earlier_in_time(zone: str, day: date, one: str, other: str) -> None:
    first, second = sorted((time.fromisoformat(one), time.fromisoformat(other)))
    assert instant(day, first, ZoneInfo(zone)) <= instant(day, second, ZoneInfo(zone))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ZONES), st.dates(date(2000, 1, 1), date(2090, 1, 1)) | st.sampled_from(CHANGES), TIMES)
def test_an_instant_shows_the_time_asked_for_or_a_clock_change(zone: str, day: date, text: str) -> None:
    there = ZoneInfo(zone)
    moment = instant(day, time.fromisoformat(text), there)
    shown = moment.astimezone(there).replace(tzinfo=None)
    if shown != datetime.combine(day, time.fromisoformat(text)):
        before = (moment - timedelta(seconds=1)).astimezone(there)
        assert before.utcoffset() != moment.astimezone(there).utcoffset()


@pytest.mark.parametrize(
    ("moment", "asleep", "change"),
    [
        ("2026-06-05 19:59", False, ("2026-06-05 20:00", "asleep")),
        ("2026-06-05 20:00", True, ("2026-06-08 06:30", "awake")),
        ("2026-06-07 12:00", True, ("2026-06-08 06:30", "awake")),
        ("2026-06-08 06:30", False, ("2026-06-12 20:00", "asleep")),
    ],
)
def test_weekend_sleep(moment: str, asleep: bool, change: tuple[str, str]) -> None:
    schedule = SleepSchedule.parse("Fri 20:00", "Mon 06:30", "Europe/Berlin")
    now = at(moment, "Europe/Berlin")
    assert schedule.should_sleep(now) is asleep
    assert schedule.next_change(now) == (at(change[0], "Europe/Berlin"), change[1])


def test_sleep_that_falls_together_with_waking_never_happens() -> None:
    schedule = SleepSchedule.parse("daily 06:00", "daily 06:00")
    assert not schedule.should_sleep(at("2026-06-05 06:00"))
    assert schedule.next_change(at("2026-06-05 06:00")) is None


@settings(max_examples=200, deadline=None)
@given(st.builds("{} {}".format, DAY, TIMES), st.builds("{} {}".format, DAY, TIMES), st.sampled_from(ZONES), MOMENTS)
def test_the_wanted_state_holds_until_the_next_change(sleep: str, wake: str, zone: str, now: datetime) -> None:
    schedule = SleepSchedule.parse(sleep, wake, zone)
    change = schedule.next_change(now)
    if change is None:
        assert schedule.should_sleep(now + timedelta(days=3)) == schedule.should_sleep(now)
        return
    moment, state = change
    assert moment > now
    assert schedule.should_sleep(now) is (state == "awake")
    assert schedule.should_sleep(moment - timedelta(seconds=1)) == schedule.should_sleep(now)
    assert schedule.should_sleep(moment) is (state == "asleep")


def test_a_moment_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        Window.parse("daily 01:00-02:00").is_open(datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize(
    "name", ["Europe/Berlim", "Europe", "../../etc/passwd", "", "/etc/localtime", "x" * 500, "a\0b"]
)
def test_unknown_zones(name: str) -> None:
    assert not known_zone(name)
