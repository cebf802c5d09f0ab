"""Of every fleet, whatever its rules: a forecast says what the scheduler then does."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from boatyard.plan.forecast import forecast
from tests.unit.plan.fleets import BEGIN, PERIOD, SLOW, fleets
from tests.unit.plan.world import HOUR, World


@given(fleets(), st.sampled_from([timedelta(minutes=30), HOUR, 3 * HOUR]))
@SLOW
def test_a_forecast_says_what_the_scheduler_then_does(world: World, every: timedelta) -> None:
    told = forecast(world.rules, world.state, BEGIN, period=PERIOD, every=every)
    world.every = every
    world.run(BEGIN + PERIOD)
    assert [(move.begins, move.name, move.to) for move in told.moves] == world.log
    assert set(world.state.soaked) <= set(told.soaked)
    assert [(when, ask.ring, ask.target) for when, ask in told.approvals] == [
        (answer.at, answer.ring, answer.target) for answer in world.state.answers
    ]
