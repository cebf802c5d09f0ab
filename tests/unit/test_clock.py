"""Deadlines, and what ends an operation before them."""

from datetime import UTC, datetime

import pytest

from boatyard.clock import Deadline, ManualClock, Stop
from boatyard.errors import Fenced

CLOCK = ManualClock(datetime(2026, 5, 4, 3, 2, tzinfo=UTC))


def test_the_first_reason_of_a_stop_counts_and_names_what_was_broken_off() -> None:
    stop = Stop()
    stop.check("the roll")
    stop.set("Ctrl-C")
    stop.set("the operation has ended")
    with pytest.raises(Fenced, match=r"^the roll was broken off: Ctrl-C\. Start it again"):
        stop.check("the roll")


def test_a_stop_calls_whoever_waits_for_something_else_once_and_only_while_they_wait() -> None:
    stop, called = Stop(), []
    with stop.calling(lambda: called.append("before")):
        pass
    with stop.calling(lambda: called.append("while")):
        stop.set("Ctrl-C")
        stop.set("Ctrl-C")
    with stop.calling(lambda: called.append("after")):
        pass
    assert called == ["while", "after"]


@pytest.mark.parametrize("part", [lambda whole: whole.sooner(1, "a part"), lambda whole: whole.named("a part")])
def test_a_part_of_the_work_is_stopped_with_the_whole(part) -> None:
    stop = Stop()
    ours = part(Deadline.after(60, "the whole", CLOCK, stop))
    ours.check()
    stop.set("the lease was lost")
    with pytest.raises(Fenced, match="a part was broken off: the lease was lost"):
        ours.check()
