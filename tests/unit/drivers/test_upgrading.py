"""Steps of an upgrade without a driver's method: rests end early, hooks run as declared, nothing private leaks."""

import json
import stat
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from boatyard.clock import Deadline, ManualClock, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.execute import time_limit
from boatyard.drivers.upgrading import Halted, attempt_hook, pause, roll_back, run_hook
from boatyard.errors import Fenced, Permanent, Unsupported
from boatyard.plan.model import Step, Verb
from boatyard.spec.models import Cluster

CLUSTER = Cluster.model_validate({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})
SECRET = "dGhlLXByaXZhdGUta2V5"


class Driver:
    """Gives out a kubeconfig and nothing else."""

    def kubeconfig(self) -> dict[str, object]:
        return {"users": [{"user": {"client-key-data": SECRET}}]}


@pytest.fixture
def lines() -> list[str]:
    return []


@pytest.fixture
def env(tmp_path: Path, lines: list[str]) -> Env:
    clock = SystemClock()
    deadline = Deadline.after(30, "the hook", clock)
    return Env(tmp_path, clock, deadline, lambda name: Path(name), report=lines.append)


def hook(*command: str, **more: Any) -> Step:
    words = {"cluster": "shop", "from": "1.34", "to": "1.35"}
    params = {"command": list(command), "timeout": 10.0, "retries": 0, "on_failure": "stop", "environment": words}
    return Step(id="hook", verb=Verb.RUN_HOOK, target="announce", reason="for the test", params=params | more)


def python(text: str, *arguments: str, **more: Any) -> Step:
    return hook(sys.executable, "-c", text, *arguments, **more)


def carry_out(step: Step, env: Env) -> None:
    run_hook(step, Driver(), CLUSTER, env)  # type: ignore[arg-type]


def test_a_command_knows_the_cluster_and_both_versions(env: Env, lines: list[str]) -> None:
    carry_out(
        python("import os; print(*[os.environ[f'BOATYARD_{w}'] for w in ('CLUSTER', 'FROM', 'TO')], os.getcwd())"), env
    )
    assert lines == [f"shop 1.34 1.35 {env.home}"]


def test_its_kubeconfig_is_private_complete_and_gone_afterwards(env: Env, lines: list[str]) -> None:
    look = "import os; f = os.environ['KUBECONFIG']; print(f); print(oct(os.stat(f).st_mode));"
    carry_out(python(f"{look} open('seen', 'w').write(open(f).read())"), env)
    path, mode = lines
    assert stat.S_IMODE(int(mode, 8)) == 0o600
    assert json.loads((env.home / "seen").read_text())["users"][0]["user"]["client-key-data"] == SECRET
    assert not Path(path).exists()
    assert SECRET not in "".join(lines)


def test_what_a_killed_run_left_is_no_hindrance(env: Env, lines: list[str]) -> None:
    left = env.home / "hooks" / "shop" / "kubeconfig"
    left.parent.mkdir(parents=True)
    left.write_text("of a killed run")
    carry_out(python("import os; print('of' in open(os.environ['KUBECONFIG']).read())"), env)
    assert lines == ["False"]
    assert not left.parent.exists()


def test_a_failure_says_which_hook_and_what_it_said(env: Env) -> None:
    with pytest.raises(Permanent, match=r"hook announce failed: .* ended with exit code 3\. It said: no such room"):
        carry_out(python("import sys; print('no such room'); sys.exit(3)"), env)


def test_the_evidence_of_a_failure_is_the_end_of_what_it_said_the_last_time(env: Env) -> None:
    with pytest.raises(Halted) as halt:
        carry_out(python("for n in range(40): print(n)\nraise SystemExit(3)", retries=1), env)
    assert halt.value.evidence == tuple(f"it said: {number}" for number in range(20, 40))


def test_a_lease_that_is_lost_meanwhile_is_no_failure_of_the_hook(env: Env) -> None:
    def lost(seconds: float, evidence: list[str]) -> None:
        raise Fenced("the lease is lost.")

    with pytest.raises(Fenced):
        attempt_hook(hook("true", retries=3), env, lost)


def test_a_program_that_is_not_there_is_named(env: Env) -> None:
    with pytest.raises(Permanent, match="hook announce failed: The program `/no/such/program` is not installed"):
        carry_out(hook("/no/such/program"), env)


def test_it_is_ended_when_its_time_is_over(env: Env) -> None:
    with pytest.raises(Permanent, match=r"hook announce failed: .*did not end in 0\.5 s and was stopped"):
        carry_out(python("import time; time.sleep(60)", timeout=0.5), env)


@pytest.mark.parametrize(("retries", "tries"), [(0, 1), (2, 3)])
def test_it_is_tried_again_only_as_declared(env: Env, retries: int, tries: int) -> None:
    count = "open('tries', 'a').write('x'); raise SystemExit(1)"
    with pytest.raises(Permanent):
        carry_out(python(count, retries=retries), env)
    assert (env.home / "tries").read_text() == "x" * tries


def test_a_later_attempt_may_succeed(env: Env, lines: list[str]) -> None:
    carry_out(python("import os; os.path.exists('once') or (open('once', 'w'), exit(1))", retries=1), env)
    assert lines[0].startswith("attempt 1 of 2 failed: ")


def test_a_lost_lease_starts_nothing(env: Env) -> None:
    def fence() -> None:
        raise Fenced("the lease is lost.")

    tried: list[float] = []
    lost = Env(env.home, env.clock, env.deadline, env.tool, fence=fence)
    with pytest.raises(Fenced):
        attempt_hook(hook("true"), lost, lambda seconds, evidence: tried.append(seconds))
    assert not tried


def test_a_deployment_is_not_for_a_driver(env: Env) -> None:
    step = hook()
    step = step.model_copy(update={"params": {"deployment": "smoke/all"}})
    with pytest.raises(Unsupported, match="only a flow can start"):
        carry_out(step, env)


def test_a_hook_has_its_time_for_each_attempt() -> None:
    assert time_limit(hook("true", timeout=600.0, retries=2), CLUSTER) >= timedelta(minutes=30)


def rest(seconds: float) -> Step:
    step = hook("true")
    return step.model_copy(
        update={"verb": Verb.PAUSE, "params": {"seconds": seconds}, "expected": timedelta(seconds=seconds)}
    )


def resting(tmp_path: Path, fence: Callable[[], None] = lambda: None) -> tuple[Env, ManualClock]:
    clock = ManualClock(datetime(2026, 1, 1, tzinfo=UTC))
    return Env(tmp_path, clock, Deadline.after(7200, "the rest", clock), lambda name: Path(name), fence=fence), clock


def test_a_rest_lasts_as_long_as_it_should_and_has_time_for_it(tmp_path: Path) -> None:
    env, clock = resting(tmp_path)
    before = clock.now()
    pause(rest(3600), Driver(), CLUSTER, env)  # type: ignore[arg-type]
    assert clock.now() - before == timedelta(hours=1)
    assert time_limit(rest(3600), CLUSTER) > timedelta(hours=1)


def test_a_rest_ends_when_its_operation_does(tmp_path: Path) -> None:
    env, clock = resting(tmp_path)
    before = clock.now()
    env.stopped.set()
    with pytest.raises(Permanent, match="broken off"):
        pause(rest(3600), Driver(), CLUSTER, env)  # type: ignore[arg-type]
    assert clock.now() == before


def test_a_rest_ends_soon_after_the_lease_is_lost(tmp_path: Path) -> None:
    lost = threading.Event()

    def fence() -> None:
        if lost.is_set():
            raise Fenced("the lease is lost.")
        lost.set()

    env, clock = resting(tmp_path, fence)
    before = clock.now()
    with pytest.raises(Fenced):
        pause(rest(3600), Driver(), CLUSTER, env)  # type: ignore[arg-type]
    assert clock.now() - before <= timedelta(seconds=10)


def test_only_a_validation_that_says_so_rolls_back() -> None:
    look = Step(id="validate", verb=Verb.VALIDATE, target="shop", reason="", params={"rounds": 1})
    assert roll_back(look) is None
    undo = roll_back(look.model_copy(update={"params": {"roll_back": "web", "nodes": 4}}))
    assert undo is not None
    assert (undo.verb, undo.target, undo.params["nodes"]) == (Verb.ROLL_BACK_POOL, "web", 4)
