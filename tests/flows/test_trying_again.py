"""What is said before a further try: why, and when, in words of ours alone."""

import logging

import pytest
from prefect import flow, task

from boatyard.errors import Permanent, Temporary
from tasks.logs import plain_errors
from tasks.options import DELAYS, RETRIED

pytestmark = pytest.mark.server

_answers: list[Exception] = []


@task(task_run_name="ask the cloud", **RETRIED | {"retry_delay_seconds": [0.0] * len(DELAYS)})
def ask() -> None:
    raise _answers.pop(0)


@flow(name="asking")
def asking() -> None:
    plain_errors()
    ask()


def test_a_temporary_error_is_told_before_the_next_try_and_a_lasting_one_ends_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    _answers[:] = [Temporary("AWS is busy."), Temporary("AWS is still busy."), Permanent("AWS says no.")]
    with caplog.at_level(logging.INFO, "prefect"), pytest.raises(Permanent):
        asking()
    told = [each for each in caplog.messages if "ask the cloud: " in each]
    assert told == [
        f"ask the cloud: AWS is busy. Trying again in {DELAYS[0]:g} s.",
        f"ask the cloud: AWS is still busy. Trying again in {DELAYS[1]:g} s.",
    ]
    assert not [each for each in caplog.messages if "failed with exception" in each]
    assert not _answers
