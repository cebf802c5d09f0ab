"""A program that has everything imported and forks a process for each deed it is asked for, one JSON line each.

{"home": …, "out": FOLDER, "cluster": SPEC, "deed": …, "arguments": {…}, "limit": seconds, "alone": …} → {"status": …}
(negative: the signal that ended it). OUT/outcome tells how a deed ended that was not killed, OUT/log what was said.
`alone`: the account has no API servers, so nobody waits for one.
"""

import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any

import botocore.session

import boatyard.drivers.kops.create
import boatyard.drivers.kops.driver
import boatyard.drivers.kops.hibernation
from boatyard.aws import account, inventory, prerequisites  # noqa: F401 - imported once for all
from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import groups, preflight, rolling, rotation, upgrade  # noqa: F401
from boatyard.drivers.kops.driver import Driver
from boatyard.errors import BoatyardError
from boatyard.plan.model import Observed, Phase
from boatyard.settings import Settings
from boatyard.spec.models import Cluster
from boatyard.tools.toolbox import Toolbox
from tests.faults.aws import counting

SERVICES = ("ec2", "autoscaling", "s3", "iam", "sts", "elbv2", "elb", "route53", "sqs", "events", "service-quotas")


def repair(driver: Driver) -> None:
    """As its flow: mends what can be mended, and refuses to go on over what blocks."""
    for finding in driver.preflight():
        if finding.repair is not None:
            finding.repair()
        elif finding.blocks:
            raise BoatyardError(finding.problem)


def create(driver: Driver) -> None:
    driver.create()


def create_all(driver: Driver) -> None:
    driver.create()
    create_pools(driver)


def create_pools(driver: Driver) -> None:
    for pool in driver._cluster.pools:
        driver.create_pool(pool, driver._cluster.kubernetes.version)


def scale(driver: Driver, pool: str, count: int) -> None:
    driver.scale_pool(pool, count)


def configure_pool(driver: Driver) -> None:
    driver.configure_pool(driver._cluster.pools[0])


def configure(driver: Driver) -> None:
    seen = driver.observe()
    if seen.phase is Phase.RUNNING:
        driver.configure(seen.differs)
    else:
        refuse(seen)


def upgrade_all(driver: Driver) -> None:
    to = driver._cluster.kubernetes.version
    driver.upgrade_control_plane(to)
    for pool in driver._cluster.pools:
        driver.upgrade_pool(pool, to, surge=1, drain_timeout=30)


def rotate(driver: Driver) -> None:
    """As its flow: what a rotation that was begun still lacks."""
    for phase in driver.rotation():
        driver.rotate(phase)


def delete_pool(driver: Driver, pool: str) -> None:
    driver.delete_pool(pool)


def hibernate(driver: Driver) -> None:
    driver.hibernate()


def wake(driver: Driver) -> None:
    driver.wake()


def delete(driver: Driver) -> None:
    driver.delete()


def refuse(seen: Observed) -> None:
    raise BoatyardError(f"the cluster is {seen.phase}: {seen.detail}")


DEEDS = {
    each.__name__: each
    for each in (
        repair,
        create,
        create_all,
        create_pools,
        scale,
        configure_pool,
        configure,
        upgrade_all,
        rotate,
        delete_pool,
        hibernate,
        wake,
        delete,
    )
}


def without_api_servers() -> None:
    """Nobody can be waited for."""
    boatyard.drivers.kops.create.wait_for_control_plane = lambda reach, record: None
    boatyard.drivers.kops.hibernation.wait_for_control_plane = lambda reach, record: None
    boatyard.drivers.kops.hibernation._joined = lambda reach, names: None


def live(order: dict[str, Any], out: Path) -> None:
    """The forked process's whole life."""
    log = os.open(out / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    (out / "victim").write_text(str(os.getpid()))
    counting.install(out)
    if order["alone"]:
        without_api_servers()
    clock = SystemClock()
    deadline = Deadline.after(order["limit"], order["deed"], clock)
    env = Env(Path(order["home"]), clock, deadline, Toolbox(Settings.load().cache).path, report=_say)
    outcome: dict[str, Any] = {"error": "", "kinds": [], "trace": ""}
    try:
        cluster = Cluster.model_validate(order["cluster"])
        seen = Driver(cluster, env).observe()  # never raises, whatever AWS does
        _say(f"seen: {seen.phase} {seen.detail}")
        DEEDS[order["deed"]](Driver(cluster, env), **order["arguments"])
    except BaseException as error:  # noqa: BLE001 - told to the test
        kinds = [each.__name__ for each in type(error).__mro__]
        outcome = {"error": str(error), "kinds": kinds, "trace": traceback.format_exc()}
    (out / "outcome").write_text(json.dumps(outcome))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def start(order: dict[str, Any]) -> int:
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    try:
        live(order, Path(order["out"]))
    finally:
        sys.stdout.flush()
        os._exit(0)


def main() -> None:
    session = botocore.session.get_session()
    session.register_component("data_loader", account._MODELS)
    for service in SERVICES:
        session.create_client(service, region_name="us-east-1")
    for line in sys.stdin:
        answer = {"status": start(json.loads(line))}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


main()
