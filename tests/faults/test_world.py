"""The world fails under a flow: a dead API server, a stuck etcd, a taken port, a full disk, a second apply."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from boatyard.drivers.kwok import state
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster
from tests.faults.harness import House, Nursery, until

pytestmark = [pytest.mark.twin, pytest.mark.server]

APPLY = "flows.apply:apply_cluster"
ONE_SENTENCE = ("Temporary", "Permanent", "DeadlineExceeded")


@pytest.fixture(scope="module")
def cluster(house: House) -> Cluster:
    """A running cluster at 1.33, which the tests here upgrade and break one after another."""
    made = house.spec("hit", version="1.33")
    house.set_up(made)
    return made


def pid_of(house: House, cluster: Cluster, component: str) -> int:
    return int((house.home / "kwok/clusters" / cluster.name / "pids" / f"{component}.pid").read_text())


def port_of(house: House, cluster: Cluster) -> int:
    record = state.load(state.Layout(house.home / "kwok", cluster.name))
    assert record is not None
    return record.ports["kubeApiserverPort"]


@contextlib.contextmanager
def taken(port: int) -> Iterator[None]:
    """Another program listens there."""
    with socket.create_server(("127.0.0.1", port), reuse_port=False):
        yield


@contextlib.contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_the_api_server_is_killed_while_the_control_plane_is_upgraded(house: House, cluster: Cluster) -> None:
    begin = "before step upgrade control plane hit"
    flow = house.begin("flows.upgrade:upgrade_cluster", name=cluster.name, to="1.34", stop_at=begin)
    flow.stop(begin)
    os.kill(pid_of(house, cluster, "kube-apiserver"), signal.SIGKILL)
    flow.go_on().well()
    house.is_whole(cluster, version="1.34")


def test_the_api_server_is_killed_while_a_pool_is_upgraded(house: House, cluster: Cluster) -> None:
    flow = house.begin(
        "flows.upgrade:upgrade_cluster",
        name=cluster.name,
        to="1.35",
        limit=60,
        stop_at="before step upgrade pool web",
    )
    flow.stop("before step upgrade pool web")
    os.kill(pid_of(house, cluster, "kube-apiserver"), signal.SIGKILL)
    flow.go_on().well()
    house.is_whole(cluster, version="1.35")
    entries = house.yard.store.journal.list(cluster.name, limit=500)
    deeds = [(entry.verb, entry.outcome) for entry in entries if entry.verb in ("upgrade pool", "repair")]
    assert deeds[-3:] == [("upgrade pool", "failed"), ("repair", "done"), ("upgrade pool", "done")]


def test_a_stuck_etcd_ends_in_a_deadline_that_says_what_was_awaited(house: House, cluster: Cluster) -> None:
    wanted = house.spec(cluster.name, version="1.35", nodes=3)
    with stopped(pid_of(house, cluster, "etcd")):
        message = house.run(APPLY, cluster=wanted, limit=15).failed("DeadlineExceeded", "Temporary")
    assert cluster.name in message
    assert "kube-apiserver" in message
    house.is_free(cluster.name)
    house.run(APPLY, cluster=wanted).well()
    house.is_whole(wanted)


def test_the_port_of_a_sleeping_cluster_is_taken(house: House, cluster: Cluster) -> None:
    house.driver(cluster).hibernate()
    port = port_of(house, cluster)
    with taken(port):
        message = house.run("flows.hibernate:wake_cluster", name=cluster.name).failed("Permanent")
        assert f"port {port}" in message
        assert house.driver(cluster).observe().phase is not Phase.RUNNING
    house.run("flows.hibernate:wake_cluster", name=cluster.name).well()
    house.is_whole(house.spec(cluster.name, version="1.35", nodes=3))


def test_the_port_of_a_half_made_cluster_is_taken(house: House) -> None:
    cluster = house.spec("half", apps=False, nodes=1)
    flow = house.begin("flows.create:create_cluster", cluster=cluster)
    until(lambda: (house.home / "kwok/records/half.json").exists(), "the order of its ports")
    flow.kill()
    house.driver(cluster)._control_plane().stop()
    port = port_of(house, cluster)
    with taken(port):
        again = house.run("flows.create:create_cluster", cluster=cluster)
        if again.outcome["kinds"]:  # its layout was finished, so the port is part of it
            assert f"port {port}" in again.failed("Permanent")
        else:
            assert port_of(house, cluster) != port
    house.run("flows.create:create_cluster", cluster=cluster).well()
    house.is_whole(cluster)
    house.delete(cluster)


def test_two_applies_at_once(house: House) -> None:
    cluster = house.spec("wanted-twice", apps=False, nodes=1)
    first = house.begin(APPLY, cluster=cluster, stop_at="before step create wanted-twice")
    first.stop("before step create wanted-twice")
    message = house.run(APPLY, cluster=cluster).failed("LeaseHeld")
    assert "apply by flow run apply wanted-twice" in message
    waiting = house.begin(APPLY, cluster=cluster, wait=120)
    first.go_on().well()
    waiting.well()
    house.is_whole(cluster)
    steps = [entry for entry in house.yard.store.journal.list(cluster.name) if entry.verb != "take over lease"]
    assert {entry.run_id for entry in steps} == {steps[0].run_id}
    assert {entry.outcome for entry in steps} == {"done"}
    house.delete(cluster)


@pytest.fixture
def small_disk(homes: Path) -> Iterator[Path]:
    """A disk of its own that a cluster fits on."""
    folder = homes / "small-disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("only root can mount a small disk")
    made = subprocess.run([mount, "-t", "tmpfs", "-o", "size=1500m", "boatyard-test", folder], check=False)
    if made.returncode:
        pytest.skip("this machine does not let its root mount a disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


def fill(disk: Path) -> Path:
    """Take every byte that is left."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (1 << 20, 4096, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
    return filler


def is_about_space(message: str) -> bool:
    return any(word in message for word in ("MB left", "is full", "No space", "space"))


def test_the_disk_is_full(small_disk: Path, nursery: Nursery, tmp_path: Path) -> None:
    house = House(small_disk / "home", nursery, runs=tmp_path)
    cluster = house.spec("full")
    try:
        filler = fill(small_disk)
        message = house.run(APPLY, cluster=cluster, limit=30).failed(*ONE_SENTENCE)
        assert is_about_space(message), message
        filler.unlink()
        house.run(APPLY, cluster=cluster).well()

        wanted = house.spec("full", nodes=3)
        flow = house.begin(APPLY, cluster=wanted, limit=30, stop_at="before step scale pool web")
        flow.stop("before step scale pool web")
        filler = fill(small_disk)
        message = flow.go_on().failed(*ONE_SENTENCE)
        assert is_about_space(message), message
        filler.unlink()
        house.run(APPLY, cluster=wanted).well()
        house.is_whole(wanted)
    finally:
        house.close()
        house.yard.store.close()
