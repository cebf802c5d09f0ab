"""A process is called dead only when that is certain."""

import json
import os
from collections.abc import Callable
from subprocess import Popen

from boatyard.store.process import Process, is_dead

Start = Callable[..., "Popen[str]"]
ME = """
import dataclasses, json
from boatyard.store.process import Process
print(json.dumps(dataclasses.asdict(Process.this())), flush=True)
input()
"""


def _other(python: Start) -> "tuple[Popen[str], Process]":
    child = python(ME)
    return child, Process(**json.loads(child.stdout.readline()))


def _dead(process: Process) -> bool:
    return is_dead(process.machine, process.pid, process.started)


def test_this_process_lives() -> None:
    me = Process.this()
    assert me.pid == os.getpid()
    assert not _dead(me)


def test_a_child_lives_until_it_is_killed_even_before_it_is_reaped(python: Start) -> None:
    child, process = _other(python)
    assert process.machine == Process.this().machine != ""
    assert not _dead(process)

    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert _dead(process), "a zombie does nothing any more"
    child.wait()
    assert _dead(process)


def test_a_reused_process_id_is_not_the_holder() -> None:
    me = Process.this()
    assert is_dead(me.machine, me.pid, str(int(me.started) - 1))


def test_elsewhere_nothing_is_certain(python: Start) -> None:
    child, process = _other(python)
    child.kill()
    child.wait()
    for machine in ("", "another boot/pid:[1]"):
        assert not is_dead(machine, process.pid, process.started)
