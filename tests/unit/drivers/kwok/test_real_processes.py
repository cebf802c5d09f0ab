"""What only real processes show: they outlive their maker, are found without pid files, and are never mistaken."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from boatyard.drivers.kwok import processes, state
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.kwok.state import Layout
from boatyard.errors import Fenced, Permanent
from boatyard.plan.model import Phase
from tests.conformance.harness import Bench, eventually, kill, load_case, running

pytestmark = pytest.mark.twin

CREATE = """
import sys
from pathlib import Path
from tests.conformance.harness import Bench, load_case
bench = Bench("kwok", load_case("kwok"), Path(sys.argv[1]))
bench.driver(bench.cluster("demo")).create()
"""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    made = Bench("kwok", load_case("kwok"), tmp_path_factory.mktemp("real"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def layout(bench: Bench) -> Layout:
    return Layout(bench.home / "kwok", "demo")


def creator(bench: Bench) -> "subprocess.Popen[bytes]":
    root = Path(__file__).parents[4]
    env = os.environ | {"PYTHONPATH": str(root)}
    return subprocess.Popen([sys.executable, "-c", CREATE, str(bench.home)], cwd=root, env=env, start_new_session=True)


def test_a_creator_killed_while_it_works(bench: Bench, layout: Layout) -> None:
    process = creator(bench)
    eventually(lambda: layout.folder.exists(), "the first file of the cluster")
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert bench.observe(bench.cluster("demo")).phase is Phase.PARTIAL
    bench.driver(bench.cluster("demo")).delete()
    assert bench.driver(bench.cluster("demo")).residue() == []


def test_the_cluster_outlives_the_process_that_made_it(bench: Bench, layout: Layout) -> None:
    process = creator(bench)
    assert process.wait() == 0
    assert set(processes.components(layout)) == set(processes.COMPONENTS)
    assert bench.observe(bench.cluster("demo")).phase is Phase.RUNNING


def test_a_component_without_a_pid_file_is_adopted(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    server = processes.components(layout)["kube-apiserver"][0].pid
    layout.pid_file("kube-apiserver").unlink()
    kill(str(layout.binary("kube-scheduler")))
    bench.driver(cluster).create()
    assert [proc.pid for proc in processes.components(layout)["kube-apiserver"]] == [server]
    assert layout.pid_file("kube-apiserver").read_text() == str(server)
    assert bench.observe(cluster).phase is Phase.RUNNING


def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    kill(str(layout.binary("etcd")))
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as stranger:
        layout.pid_file("etcd").write_text(str(stranger.pid))
        assert "etcd" in bench.observe(cluster).detail
        bench.driver(cluster).create()
        assert bench.observe(cluster).phase is Phase.RUNNING
        bench.driver(cluster).hibernate()
        assert stranger.poll() is None
        stranger.kill()


def test_a_start_that_is_stopped_leaves_what_the_next_one_goes_on_from(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    bench.driver(cluster).hibernate()
    stopped = bench.driver(cluster)
    env = replace(stopped._env, report=lambda line: stopped._env.stopped.set("Ctrl-C"))
    with pytest.raises(Fenced):
        Driver(cluster, env).wake()
    assert "kwokctl" not in [proc.command for proc in processes.at_work(layout)]
    bench.driver(cluster).wake()
    assert bench.observe(cluster).phase is Phase.RUNNING
    bench.driver(cluster).hibernate()


def test_a_port_taken_meanwhile_is_named(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    record = state.load(layout)
    assert record is not None
    port = record.ports["kubeApiserverPort"]
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", port))
        taker.listen()
        with pytest.raises(Permanent, match=f"port {port} .* is taken"):
            bench.driver(cluster).wake()
        assert not running(str(layout.folder))
    bench.driver(cluster).wake()
    assert bench.observe(cluster).phase is Phase.RUNNING


def test_a_component_that_cannot_start_says_why(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    bench.driver(cluster).hibernate()
    text = layout.kwok_yaml.read_text()
    layout.kwok_yaml.write_text(text.replace("- --allow-privileged=true", "- --no-such-flag"))
    with pytest.raises(Permanent, match="no-such-flag"):
        bench.driver(cluster).wake()
    assert bench.observe(cluster).phase is Phase.BROKEN
    layout.kwok_yaml.write_text(text)
    bench.driver(cluster).create()
    assert bench.observe(cluster).phase is Phase.RUNNING


def test_pods_are_played_again_right_after_a_restart(bench: Bench) -> None:
    from tests.conformance.harness import deploy

    cluster = bench.cluster("demo")
    bench.driver(cluster).create_pool(bench.pool(), "1.34")
    bench.driver(cluster).hibernate()
    bench.driver(cluster).wake()
    with bench.client(cluster) as client:
        deploy(client, "after", 4)


def test_a_cluster_that_lost_its_files_is_deleted_all_the_same(bench: Bench, layout: Layout) -> None:
    cluster = bench.cluster("demo")
    for file in (layout.kwok_yaml, layout.record, *(layout.folder / "pids").iterdir()):
        file.unlink()
    assert bench.observe(cluster).phase is Phase.PARTIAL
    bench.driver(cluster).delete()
    assert running(f"{layout.folder}/") == []
    assert bench.driver(cluster).residue() == []
