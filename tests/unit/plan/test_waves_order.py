"""Of every fleet: a decision depends on what is known, not on the order in which it is told; without rules each cluster
goes by its own."""

import random

from hypothesis import given
from hypothesis import strategies as st

from boatyard.plan.fleet import FleetState, Offer
from boatyard.plan.model import Observed
from boatyard.plan.waves import decide
from boatyard.spec.models import Cluster
from tests.unit.plan.fleets import BEGIN, SLOW, fleets
from tests.unit.plan.plain import decide_maintenance
from tests.unit.plan.world import HOUR, World


@given(fleets(), st.randoms(use_true_random=False), st.integers(0, 300))
@SLOW
def test_the_order_of_what_is_known_does_not_matter(world: World, shuffle: random.Random, hours: int) -> None:
    world.run(BEGIN + hours * HOUR)
    state = world.state

    def mixed(values: tuple) -> tuple:  # type: ignore[type-arg]
        return tuple(shuffle.sample(values, len(values)))

    other = FleetState(
        members=mixed(state.members),
        running=mixed(state.running),
        offers={
            kind: Offer(mixed(offer.releases), dict(reversed(offer.support_ends.items())))
            for kind, offer in reversed(state.offers.items())
        },
        answers=mixed(state.answers),
        soaked=mixed(state.soaked),
        lifted=mixed(state.lifted),
    )
    assert decide(world.rules, other, world.now) == decide(world.rules, state, world.now)


@given(fleets(), st.integers(0, 400))
@SLOW
def test_a_fleet_without_upgrades_goes_by_each_clusters_own_window_and_channel_as_ever(
    world: World, hours: int
) -> None:
    now = BEGIN + hours * HOUR
    decision = decide(None, world.state, now)
    for member, verdict in zip(sorted(world.state.members, key=lambda each: each.name), decision.verdicts, strict=True):
        if len(member.windows) > 1 or member.by_hand or member.pools_behind:
            continue
        spec = Cluster.model_validate(
            {
                "name": member.name,
                "provider": {"kind": "kwok"},
                "kubernetes": {"version": "1.34", "channel": member.channel},
                "policy": {"maintenance": {"window": member.windows[0]}} if member.windows else {},
            }
        )
        offered = [each.version for each in world.state.offers[member.kind].releases if each.since <= now]
        observed = Observed(phase=member.phase, version=member.version)
        today = decide_maintenance(spec, observed, offered, now, expected=lambda _, m=member: m.expected)
        assert verdict.to == today.to
        if today.to is not None:
            assert verdict.reason == today.reason
    assert not decision.soaked
    assert not decision.asks
