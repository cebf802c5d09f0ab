"""Machines that take their time to boot join their cluster when they have, and no sooner."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from boatyard.clock import ManualClock
from boatyard.sandbox.aws import Sandbox
from boatyard.sandbox.aws.boots import Boots
from boatyard.sandbox.aws.model import Machine, Wanted
from boatyard.settings import Settings
from boatyard.tools import Toolbox
from tests.unit.sandbox.kops import KopsCluster

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)


def _wanted(*identities: str) -> Wanted:
    machines = [
        Machine(identity, "nodes", "node", "us-east-1a", "us-east-1", "t3.medium", "10.0.0.1", "1.35.5", 2, 4096)
        for identity in identities
    ]
    return Wanted("k8s.example.com", "1", "us-east-1", tuple(machines), None, kept=True)


def _up(boots: Boots, *identities: str) -> list[str]:
    return [machine.identity for machine in boots.up(_wanted(*identities)).machines]


def test_each_machine_boots_from_when_it_was_first_there() -> None:
    clock = ManualClock(NOON)
    boots = Boots(60, clock)
    assert boots.left is None
    assert _up(boots, "a") == []
    assert boots.left == 60
    clock.advance(timedelta(seconds=40))
    assert _up(boots, "a", "b") == []
    assert boots.left == 20
    clock.advance(timedelta(seconds=20))
    assert _up(boots, "a", "b") == ["a"]
    assert boots.left == 40
    clock.advance(timedelta(seconds=40))
    assert _up(boots, "a", "b") == ["a", "b"]
    assert boots.left is None


def test_a_machine_that_is_gone_is_not_waited_for_and_boots_anew_when_it_comes_again() -> None:
    clock = ManualClock(NOON)
    boots = Boots(60, clock)
    assert _up(boots, "a") == []
    assert _up(boots) == []
    assert boots.left is None
    clock.advance(timedelta(seconds=60))
    assert _up(boots, "a") == []


def test_one_that_came_up_since_the_last_look_is_due_at_once() -> None:
    clock = ManualClock(NOON)
    boots = Boots(60, clock)
    assert _up(boots, "a") == []
    clock.advance(timedelta(seconds=70))
    assert boots.left == 0


def test_without_a_time_all_are_up_at_once() -> None:
    assert _up(Boots(0, ManualClock(NOON)), "a", "b") == ["a", "b"]


@pytest.mark.twin
def test_a_live_cluster_comes_when_its_machines_have_booted(tmp_path: Path) -> None:
    takes = 3
    with Sandbox.start(tmp_path, Toolbox(Settings.load().cache), boot=takes) as sandbox:
        cluster = KopsCluster(sandbox, "slow.example.com", nodes=1)
        launched = {
            one["InstanceId"]: one["LaunchTime"]
            for reservation in cluster.ec2.describe_instances()["Reservations"]
            for one in reservation["Instances"]
        }
        assert len(launched) == 2
        cluster.until("the cluster", cluster.follows)
        with cluster.client() as client:
            for node in client.list("/api/v1/nodes"):
                born = datetime.fromisoformat(node["metadata"]["creationTimestamp"])
                began = launched[node["metadata"]["name"]].replace(microsecond=0)
                assert born - began >= timedelta(seconds=takes)  # both are told in whole seconds
