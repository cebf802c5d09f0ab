"""Absent, created, side by side with another, deleted."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from boatyard.drivers.base import Driver
from boatyard.errors import NotFound
from boatyard.kube.client import ApiForbidden, Client
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from boatyard.spec.provider import driver_packages
from tests.conformance.harness import CASES, Bench, Bomb, Cut, cut_everywhere, running


def test_every_driver_takes_part() -> None:
    assert [kind for kind in driver_packages() if not (CASES / kind / "conformance.yaml").is_file()] == []


def test_what_the_driver_says_of_itself(bench: Bench) -> None:
    driver = bench.driver(bench.cluster("said"))
    assert isinstance(driver, Driver)
    assert driver.kind == bench.kind
    assert driver.facts.title
    assert driver.facts.evidence
    assert driver.tools()
    assert [finding for finding in driver.preflight() if finding.blocks] == []


def test_an_absent_cluster(bench: Bench) -> None:
    driver = bench.driver(bench.cluster("absent"))
    assert driver.observe().phase is Phase.ABSENT
    with pytest.raises(NotFound):
        driver.kubeconfig()
    driver.delete()
    assert driver.residue() == []
    assert driver.observe().phase is Phase.ABSENT


def test_looking_leaves_no_trace(bench: Bench) -> None:
    driver = bench.driver(bench.cluster("looked-at"))
    driver.observe()
    driver.residue()
    assert list(bench.home.rglob("*looked-at*")) == []


def test_two_side_by_side_from_creation_to_deletion(bench: Bench) -> None:
    pair = [bench.cluster("left"), bench.cluster("right")]
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(lambda each: bench.driver(each).create(), pair))
    seen = [bench.observe(each) for each in pair]
    assert [each.phase for each in seen] == [Phase.RUNNING] * 2
    assert len({each.endpoint for each in seen}) == 2
    _are_apart(bench, *pair)
    _listen_on_loopback_only(bench, pair[0])
    bench.driver(pair[0]).create()
    assert bench.observe(pair[0]) == seen[0]
    bench.driver(pair[0]).delete()
    assert bench.driver(pair[0]).residue() == []
    assert bench.observe(pair[0]).phase is Phase.ABSENT
    assert bench.observe(pair[1]) == seen[1]
    assert bench.driver(pair[1]).residue() != [], "the scan finds what is there"
    bench.driver(pair[1]).delete()
    assert bench.driver(pair[1]).residue() == []


def test_creation_and_deletion_cut_off_at_every_change(bench: Bench) -> None:
    cluster = bench.cluster("cut")

    cuts = iter(range(1, 100))

    def settle() -> None:
        assert bench.observe(cluster).phase in (Phase.ABSENT, Phase.PARTIAL, Phase.BROKEN, Phase.RUNNING)
        bench.driver(cluster).create()
        assert bench.observe(cluster).phase is Phase.RUNNING
        with bench.client(cluster) as client:
            assert client.get("/api/v1/namespaces/default/serviceaccounts/default")
        with contextlib.suppress(Cut):
            bench.driver(cluster, Bomb(next(cuts))).delete()
        assert bench.observe(cluster).phase is not Phase.HIBERNATED
        bench.driver(cluster).delete()
        assert bench.driver(cluster).residue() == []
        assert bench.observe(cluster).phase is Phase.ABSENT

    assert cut_everywhere(lambda fence: bench.driver(cluster, fence).create(), settle) >= 2


def test_a_half_deleted_cluster_can_be_created_again(bench: Bench) -> None:
    cluster = bench.cluster("phoenix")
    bench.driver(cluster).create()
    with pytest.raises(Cut):
        bench.driver(cluster, Bomb(2)).delete()
    assert bench.observe(cluster).phase in (Phase.PARTIAL, Phase.BROKEN)
    bench.driver(cluster).create()
    assert bench.observe(cluster).phase is Phase.RUNNING


def _are_apart(bench: Bench, one: Cluster, other: Cluster) -> None:
    """The credentials of one open no door of the other."""
    mine, theirs = (dict(bench.driver(each).kubeconfig()) for each in (one, other))
    with Client(mine) as client, Client(theirs) as second:
        client.create("/api/v1/namespaces", {"metadata": {"name": "only-here"}})
        assert "only-here" not in {each["metadata"]["name"] for each in second.list("/api/v1/namespaces")}
    crossed = {**theirs, "users": [{**theirs["users"][0], "user": mine["users"][0]["user"]}]}  # type: ignore[index]
    with Client(crossed) as client, pytest.raises(ApiForbidden):
        client.list("/api/v1/namespaces")


def _listen_on_loopback_only(bench: Bench, cluster: Cluster) -> None:
    if not (program := bench.path("loopback", cluster)):
        return
    addresses = {address for pid in running(program) for address in _listening(pid)}
    assert addresses == {"0100007F"}, "127.0.0.1 as /proc/net/tcp has it"


def _listening(pid: int) -> set[str]:
    inodes = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(str(entry.readlink()).removeprefix("socket:[").rstrip("]"))
        except OSError:
            continue
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                found.add(fields[1].split(":")[0])
    return found


def test_the_kubeconfig_stands_on_its_own(bench: Bench) -> None:
    cluster = bench.cluster("phoenix")  # made above
    document = bench.driver(cluster).kubeconfig()
    user = document["users"][0]["user"]
    assert not [key for key in user if key in ("client-certificate", "client-key", "tokenFile")], "no paths"
    with Client(document) as client:
        assert client.version()["major"] == "1"
