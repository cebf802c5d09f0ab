"""The record, the ports, kwok.yaml, and what is observed from files alone."""

import os
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kwok import config, ports, state
from boatyard.drivers.kwok.control_plane import ControlPlane
from boatyard.drivers.kwok.driver import Driver
from boatyard.drivers.kwok.spec import EXAMPLE
from boatyard.drivers.kwok.state import Layout, PoolRecord, Record
from boatyard.errors import Fenced, NotFound, Permanent, Temporary
from boatyard.plan.model import Phase
from boatyard.spec.models import Cluster, Network

RECORD = Record("running", "1.34", dict(zip(ports.NAMES, range(21000, 21006), strict=True)))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "kwok", "demo")


def driver(tmp_path: Path) -> Driver:
    clock = SystemClock()

    def no_tool(name: str) -> Path:
        raise AssertionError(f"{name} must not be run")

    spec = {"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.34"}}
    return Driver(Cluster.model_validate(spec), Env(tmp_path, clock, Deadline.after(5, "test", clock), no_tool))


def test_a_record_reads_back(layout: Layout) -> None:
    pool = PoolRecord("2x8", "1.34", {"a": "b"}, ("c:NoSchedule",), spot=True)
    record = replace(RECORD, pools={"web": pool})
    state.save(layout, record)
    assert state.load(layout) == record
    assert layout.record.stat().st_mode & 0o777 == 0o600
    state.put_pool(layout, "web", None)
    assert state.load(layout) == RECORD


def test_a_pool_of_no_cluster_is_not_remembered(layout: Layout) -> None:
    state.put_pool(layout, "web", PoolRecord("2x8", "1.34"))
    assert state.load(layout) is None


def test_pools_that_are_made_side_by_side_are_all_remembered(layout: Layout) -> None:
    state.save(layout, RECORD)
    names = [f"pool-{number}" for number in range(24)]
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda name: state.put_pool(layout, name, PoolRecord("2x8", "1.34")), names))
    record = state.load(layout)
    assert record is not None
    assert sorted(record.pools) == sorted(names)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"intent": "running"}', '{"intent": "running", "version": "1", "ports": {"a": "x"}}']
)
def test_a_damaged_record_is_named(layout: Layout, tmp_path: Path, text: str) -> None:
    state.save(layout, RECORD)
    layout.record.write_text(text)
    with pytest.raises(Permanent, match=r"demo\.json is damaged"):
        state.load(layout)
    seen = driver(tmp_path).observe()
    assert (seen.phase, "damaged" in seen.detail) == (Phase.BROKEN, True)
    driver(tmp_path).delete()
    assert driver(tmp_path).residue() == []


def test_a_path_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Permanent, match="cannot write"):
        state.write_atomically(tmp_path / "file" / "below", "")


def test_chosen_ports_are_free_and_nobody_elses() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        busy = taken.getsockname()[1]
        assert not ports.is_free(busy)
    chosen = ports.choose({25000, 25002}, start=25000)
    assert set(chosen) == set(ports.NAMES)
    assert len(set(chosen.values())) == len(ports.NAMES)
    assert not {25000, 25002} & set(chosen.values())


def test_no_port_left() -> None:
    with pytest.raises(Temporary, match="no 6 free ports"):
        ports.choose(range(1, 65536))


def test_ports_of_all_clusters_are_reserved(layout: Layout) -> None:
    state.save(layout, RECORD)
    state.save(Layout(layout.workdir, "other"), replace(RECORD, ports={"etcdPort": 22000}))
    assert ports.reserved(layout.workdir) == {**dict.fromkeys(range(21000, 21006), "demo"), 22000: "other"}
    assert ports.reserved(layout.workdir, but="demo") == {22000: "other"}


def test_nothing_is_to_be_downloaded(tmp_path: Path) -> None:
    text = config.document("1.34", RECORD.ports, Network(), lambda name: tmp_path / name)
    assert "http" not in text
    assert '"bindAddress": "127.0.0.1"' in text
    for name in ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok"):
        assert str(tmp_path / name) in text


KWOK_YAML = """\
components:
- args:
  - --v=4
  - --emulated-version=1.34
  name: kube-apiserver
- args:
  - --emulated-version=1.34
  name: kube-controller-manager
- args:
  - --emulated-version=1.34
  name: kube-scheduler
componentsPatches:
- extraArgs:
  - key: emulated-version
    override: false
    value: "1.34"
  - key: service-cluster-ip-range
    value: 10.96.0.0/16
"""


def test_the_minor_is_changed_everywhere_or_nowhere(layout: Layout) -> None:
    state.write_atomically(layout.kwok_yaml, KWOK_YAML)
    assert config.emulated_version(layout) == "1.34"
    config.set_emulated_version(layout, "1.35")
    assert layout.kwok_yaml.read_text() == KWOK_YAML.replace("1.34", "1.35")
    half = KWOK_YAML.replace("  - --emulated-version=1.34\n  name: kube-scheduler", "  name: kube-scheduler")
    state.write_atomically(layout.kwok_yaml, half)
    with pytest.raises(Permanent, match="2 times"):
        config.set_emulated_version(layout, "1.35")
    assert layout.kwok_yaml.read_text() == half


@pytest.mark.parametrize(
    ("intent", "phase", "word"),
    [
        ("creating", Phase.PARTIAL, "creation"),
        ("deleting", Phase.PARTIAL, "deletion"),
        ("running", Phase.BROKEN, "not running: etcd, kube-apiserver"),
        ("hibernated", Phase.HIBERNATED, ""),
    ],
)
def test_a_cluster_without_processes_is_what_was_intended(
    layout: Layout, tmp_path: Path, intent: state.Intent, phase: Phase, word: str
) -> None:
    state.save(layout, replace(RECORD, intent=intent))
    state.write_atomically(layout.kwok_yaml, KWOK_YAML)
    seen = driver(tmp_path).observe()
    assert seen.phase is phase
    assert word in seen.detail
    if phase is not Phase.PARTIAL:
        assert seen.version == "1.34"


def test_files_without_a_record_are_left_overs(layout: Layout, tmp_path: Path) -> None:
    state.write_atomically(layout.kwok_yaml, KWOK_YAML)
    assert driver(tmp_path).observe().phase is Phase.PARTIAL
    with pytest.raises(Permanent, match="no record"):
        driver(tmp_path).create()
    assert layout.kwok_yaml.exists()
    assert [left.kind for left in driver(tmp_path).residue()] == ["folder"]


def test_asleep_and_absent_have_no_kubeconfig(layout: Layout, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        driver(tmp_path).kubeconfig()
    with pytest.raises(NotFound):
        driver(tmp_path).wake()
    with pytest.raises(NotFound):
        driver(tmp_path).hibernate()


def test_preflight_names_everything_at_once(tmp_path: Path) -> None:
    spec = {
        "name": "demo",
        "provider": {"kind": "kwok"},
        "kubernetes": {"version": "1.99"},
        "control_plane": {"count": 3},
        "pools": [{"name": "a", "size": "huge"}, {"name": "b", "size": "vast"}],
    }
    clock = SystemClock()
    env = Env(tmp_path, clock, Deadline.after(5, "test", clock), lambda name: tmp_path / name)
    found = Driver(Cluster.model_validate(spec), env).preflight()
    assert [each.subject for each in found if each.blocks] == ["kubernetes.version", "pools.a.size", "pools.b.size"]
    assert [each.subject for each in found if not each.blocks and each.subject != "memory"] == ["control_plane.count"]


def test_there_are_no_patch_levels(tmp_path: Path) -> None:
    spec = {"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35.2"}}
    clock = SystemClock()
    env = Env(tmp_path, clock, Deadline.after(5, "test", clock), lambda name: tmp_path / name)
    (found,) = [each for each in Driver(Cluster.model_validate(spec), env).preflight() if each.blocks]
    assert (found.subject, found.fix) == ("kubernetes.version", "choose 1.35")


def test_the_example_is_a_valid_spec() -> None:
    from ruamel.yaml import YAML

    made = Cluster.model_validate(YAML(typ="safe").load(EXAMPLE))
    assert made.provider.kind == "kwok"
    assert driver_accepts(made)


def driver_accepts(cluster: Cluster) -> bool:
    clock = SystemClock()
    env = Env(Path("/"), clock, Deadline.after(5, "test", clock), lambda name: Path(name))
    return not [each for each in Driver(cluster, env).preflight() if each.subject != "disk"]


def test_kwokctl_ends_with_its_operation_and_what_was_wanted_stays_known(tmp_path: Path, layout: Layout) -> None:
    """Whoever has the lease by then must not meet it at work."""
    program = tmp_path / "kwokctl"
    program.write_text(f"#!/bin/sh\necho $$ > {tmp_path}/pid\nexec /bin/sleep 600\n")
    program.chmod(0o755)
    clock = SystemClock()
    deadline = Deadline.after(60, "test", clock)

    def stop() -> None:
        while not (tmp_path / "pid").exists() and not deadline.passed:
            clock.wait(deadline.stopped, 0.02)
        deadline.stopped.set("the lease was lost")

    threading.Thread(target=stop).start()
    env = Env(tmp_path, clock, deadline, lambda name: tmp_path / name)
    spec = {"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.34"}}
    plane = ControlPlane(Cluster.model_validate(spec), env, layout)
    with pytest.raises(Fenced, match=r"kwokctl .*was stopped together with the operation"):
        plane.create()
    record = state.load(layout)
    assert record is not None
    assert record.intent == "creating"
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


def test_a_port_that_stays_taken_is_not_waited_for_by_a_stopped_operation(tmp_path: Path, layout: Layout) -> None:
    clock = SystemClock()
    deadline = Deadline.after(60, "test", clock)
    deadline.stopped.set("the lease was lost")
    env = Env(tmp_path, clock, deadline, Path)
    spec = {"name": "demo", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.34"}}
    with socket.socket() as taker:
        taker.bind(("127.0.0.1", 0))
        taker.listen()
        state.save(layout, replace(RECORD, ports=RECORD.ports | {"etcdPort": taker.getsockname()[1]}))
        with pytest.raises(Fenced, match="waiting for ports was broken off: the lease was lost"):
            ControlPlane(Cluster.model_validate(spec), env, layout)._check_ports(["etcd"])


def test_clusters_ordered_at_once_never_share_a_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ports.random.SystemRandom, "choice", lambda self, among: among[4000])  # all start at one place
    clock = SystemClock()
    env = Env(tmp_path, clock, Deadline.after(30, "test", clock), Path)
    spec = {"provider": {"kind": "kwok"}, "kubernetes": {"version": "1.34"}}
    planes = [
        ControlPlane(Cluster.model_validate({"name": name, **spec}), env, Layout(tmp_path / "kwok", name))
        for name in "abcdefgh"
    ]
    with ThreadPoolExecutor(8) as threads:
        ordered = list(threads.map(lambda plane: plane._order(), planes))
    chosen = [port for record in ordered for port in record.ports.values()]
    assert len(chosen) == len(set(chosen)) == 48
