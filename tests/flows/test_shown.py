"""The table of a fleet's upgrades in the UI: a halt that stands for a week is told once."""

from dataclasses import replace

import pytest
from prefect import flow
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, ArtifactFilterKey

from boatyard.plan.fleet import Halted, Schedule, Verdict
from tasks.waves import show

pytestmark = pytest.mark.server


@flow(name="show-fleet")
def showing(schedule: Schedule) -> None:
    show(schedule)


def tables() -> int:
    those = ArtifactFilter(key=ArtifactFilterKey(any_=["fleet-upgrades"]))
    with get_client(sync_client=True) as client:
        return len(client.read_artifacts(artifact_filter=those))


def test_the_table_is_written_only_when_it_says_something_else() -> None:
    known = tables()
    waits = Verdict("shop", "ring canary is halted", target="1.36")
    halted = Schedule((waits,), halted=(Halted("canary", "1.36", ("early",), "1 of the 1 clusters failed"),))
    for schedule, written in (
        (halted, 1),
        (halted, 1),
        (replace(halted, verdicts=(replace(waits, reason="ring canary soaks 1.36"),)), 2),
        (halted, 3),
        (Schedule((waits,)), 3),
    ):
        showing(schedule)
        assert tables() == known + written
