"""The steps of an upgrade that no driver has a method for: validations, rests, and commands of the user's own."""

import json
import os
import shutil
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from boatyard.clock import Deadline
from boatyard.drivers.base import Driver, Env
from boatyard.errors import BoatyardError, Fenced, Permanent, Unsupported
from boatyard.plan.model import Step, Verb
from boatyard.run import minimal_env, run
from boatyard.spec.models import Cluster

if TYPE_CHECKING:
    from boatyard.kube.checks import ValidationResult

MANY = 5000
"""As many nodes as a pool may have: while an upgrade is under way there may be more than the spec says."""
_HEARTBEAT = 5.0  # seconds between two looks at the lease while nothing else happens
_LAST_LINES = 20
"""Of what a command said that failed."""


class Halted(Permanent):
    """A validation did not pass, or a hook failed, so an upgrade stops. evidence: a line each, for people."""

    def __init__(self, message: str, evidence: Sequence[str]) -> None:
        super().__init__(message, hint="Nothing after it was begun; mend that, and the same command goes on from here.")
        self.evidence = tuple(evidence)


def validate(step: Step, driver: Driver, cluster: Cluster, env: Env, known: Collection[str] = ()) -> None:
    """Every check well, so many rounds in a row; `Halted` with the evidence when not.

    known: PodDisruptionBudgets whose apps were not whole when the upgrade began, and so may stay as they are.
    """
    from boatyard.drivers.talking import client_of
    from boatyard.kube import checks
    from boatyard.kube.evidence import budgets_whole, gather
    from boatyard.kube.health import pool_by

    there = step.params["pools"]
    pools = tuple(
        pool.model_copy(update={"min": there[pool.name], "max": MANY}) for pool in cluster.pools if pool.name in there
    )
    with client_of(driver) as client:
        result = checks.validate(
            client,
            cluster.model_copy(update={"pools": pools}),
            deadline=env.deadline,
            clock=env.clock,
            expected_version=step.params["version"],
            rounds=step.params["rounds"],
            report=env.report,
            fence=env.fence,
            pool_of=pool_by(driver.pool_label),
            also=lambda: budgets_whole(client, known),
        )
        if not result.ok:
            raise Halted(_sentence(cluster.name, result), gather(client, result))
    times = f"{result.rounds} times in a row" if result.rounds > 1 else "once"
    env.report(f"{cluster.name} is well: {len(result.checks)} checks, {times}")


def _sentence(name: str, result: "ValidationResult") -> str:
    """In the words of a validation that was asked for by itself."""
    try:
        result.require()
    except BoatyardError as error:
        return f"the upgrade of {name} stops: {error}"
    return f"the upgrade of {name} stops: it was not stable."


def not_whole(driver: Driver) -> list[str]:
    """PodDisruptionBudgets whose apps are not whole now, as `namespace/name`."""
    from boatyard.drivers.talking import client_of
    from boatyard.kube import evidence

    with client_of(driver) as client:
        return [f"{each.namespace}/{each.name}" for each in evidence.not_whole(client)]


def cordoned_nodes(driver: Driver) -> list[str]:
    """Names of the nodes that take no new pods now."""
    from boatyard.drivers.talking import client_of
    from boatyard.kube.nodes import cordoned, name_of

    with client_of(driver) as client:
        return sorted(name_of(node) for node in client.list("/api/v1/nodes") if cordoned(node))


def pause(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    """Nothing, for so long; ends early when the operation does, or has lost its lease."""
    rest = Deadline.after(step.params["seconds"], "the rest", env.clock)
    env.report("resting before the next step")
    while not rest.passed:
        env.fence()
        if env.clock.wait(env.stopped, min(rest.left, _HEARTBEAT)):
            env.stopped.check(f"the rest between two steps of {cluster.name}'s upgrade")


def run_hook(step: Step, driver: Driver, cluster: Cluster, env: Env) -> None:
    """The user's own command, tried as often as was declared. `Halted` when it fails the last time."""
    if "command" not in step.params:
        raise Unsupported(f"hook {step.target} is a Prefect deployment, which only a flow can start.")
    with _kubeconfig(driver, cluster, env) as kubeconfig:
        words = step.params["environment"]
        told = {f"BOATYARD_{name.upper()}": text for name, text in words.items()}
        attempt_hook(step, env, partial(_command, step, env, minimal_env(KUBECONFIG=str(kubeconfig), **told)))


def attempt_hook(step: Step, env: Env, attempt: Callable[[float, list[str]], None]) -> None:
    """Call `attempt` with the seconds it may take, again after a failure as often as was declared.

    attempt: also gets a list for what it saw, a line each. `Halted` with those of the last attempt when that fails.
    """
    tries = 1 + int(step.params["retries"])
    for number in range(1, tries + 1):
        env.fence()
        evidence: list[str] = []
        try:
            attempt(min(float(step.params["timeout"]), env.deadline.left), evidence)
        except Fenced:
            raise
        except BoatyardError as error:
            if number == tries:
                raise Halted(f"hook {step.target} failed: {error}", evidence) from error
            env.report(f"attempt {number} of {tries} failed: {error}")
        else:
            return


def _command(step: Step, env: Env, variables: dict[str, str], seconds: float, evidence: list[str]) -> None:
    said: deque[str] = deque(maxlen=_LAST_LINES)

    def hear(line: str) -> None:
        said.append(line)
        env.report(line)

    try:
        command = step.params["command"]
        run(command, timeout=seconds, env=variables, cwd=env.home, on_line=hear, stopped=env.stopped)
    finally:
        evidence += [f"it said: {line}" for line in said]


@contextmanager
def _kubeconfig(driver: Driver, cluster: Cluster, env: Env) -> Iterator[Path]:
    """A file that only its owner reads, gone afterwards; what a killed run left of it goes first."""
    folder = env.home / "hooks" / cluster.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    file = folder / "kubeconfig"
    try:
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as out:
            json.dump(driver.kubeconfig(), out)
        yield file
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def roll_back(validation: Step) -> Step | None:
    """The step that a failed validation calls for; its plan has said so."""
    pool = validation.params.get("roll_back")
    if pool is None:
        return None
    return Step(
        id=f"roll-back-pool-{pool}",
        verb=Verb.ROLL_BACK_POOL,
        target=pool,
        reason="the validation of its new nodes failed",
        params={"nodes": validation.params["nodes"]},
        expected=validation.expected,
    )
