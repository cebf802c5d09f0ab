"""300 runs with faults of AWS and SIGKILL anywhere: each ends converged or with one clear sentence; nothing is left.

48 lives of five deeds on an account without API servers, where all that is done is done in AWS, and 12 on one whose
clusters live. 12 more are of the deeds that replace machines, with many old answers. BOATYARD_FAULTS=all runs them all,
which takes an hour; the sample is one life of the first two kinds.
"""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import boto3
import pytest

from boatyard.plan.model import Phase
from boatyard.sandbox.aws import Faults, Sandbox
from boatyard.sandbox.aws.faults import UNANSWERED
from boatyard.settings import Settings
from boatyard.tools.toolbox import Toolbox
from tests.faults.aws import raw
from tests.faults.aws.lives import ZONE, Life, Worker

pytestmark = pytest.mark.twin

ALONE, LIVING, REPLACING = range(48), range(48, 60), range(60, 72)
SEED_OF_A_SECOND_VPC = 173
_ALL = os.environ.get("BOATYARD_FAULTS") == "all"


def lives(numbers: range, sample: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(numbers) if _ALL else sample


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("lives")
    with pytest.MonkeyPatch.context() as to:
        (folder / "bin").mkdir()
        to.setenv("PATH", f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}")
        to.delenv("AWS_PROFILE", raising=False)
        to.delenv("AWS_SESSION_TOKEN", raising=False)
        yield folder


@pytest.fixture(scope="module")
def alone(place: Path) -> Iterator[tuple[Sandbox, Worker]]:
    """An account with a private hosted zone."""
    with Sandbox.start(place / "account") as sandbox:
        yield from served(sandbox)


@pytest.fixture(scope="module")
def living(place: Path) -> Iterator[tuple[Sandbox, Worker]]:
    """An account whose clusters live."""
    with Sandbox.start(place / "living", Toolbox(Settings.load().cache)) as sandbox:
        yield from served(sandbox)


def served(sandbox: Sandbox) -> Iterator[tuple[Sandbox, Worker]]:
    with pytest.MonkeyPatch.context() as to:
        for name, value in sandbox.environment.items():
            to.setenv(name, value)
        vpc = boto3.client("ec2").create_vpc(CidrBlock="10.250.0.0/16")["Vpc"]["VpcId"]
        where = {"VPCRegion": "us-east-1", "VPCId": vpc}
        config = {"PrivateZone": True}
        boto3.client("route53").create_hosted_zone(Name=ZONE, CallerReference="x", HostedZoneConfig=config, VPC=where)
        worker = Worker()
        yield sandbox, worker
        worker.close()


@pytest.fixture
def tell() -> Iterator[Callable[[Life], None]]:
    """Write what a life was like where the caller wants it."""
    told: list[Life] = []
    yield told.append
    if file := os.environ.get("BOATYARD_FAULTS_LOG"):
        with Path(file).open("a") as log:
            log.writelines(f"{line}\n" for life in told for line in life.told)


@pytest.mark.parametrize("number", lives(ALONE, (5,)))
def test_in_the_account(number: int, alone: tuple[Sandbox, Worker], place: Path, tell: Callable[[Life], None]) -> None:
    life = Life(number, *alone, place / f"life-{number}", alone=True)
    tell(life)
    life.run("repair", life.prepared)
    before = raw.everything(life.sandbox)
    kind = life.chance.randrange(4)
    if kind == 0:
        life.run("create", life.made)
        life.run("hibernate", life.sleeps)
        life.run("wake", life.awake)
    elif kind == 1:
        life.run("create", life.made, again=False)
        life.run("delete", lambda: life.gone(before))
        life.run("create", life.made, again=False)
    elif kind == 2:
        life.run("create", life.made, again=False)
        life.run("create", life.made)
        life.run("hibernate", life.sleeps, again=False)
    else:
        life.run("create", life.made)
        life.run("hibernate", life.sleeps, again=False)
        life.run("wake", life.awake)
    life.run("delete", lambda: life.gone(before))


def test_what_was_made_twice_goes_twice(alone: tuple[Sandbox, Worker], place: Path) -> None:
    """Half of the answers to creations are lost, so that the client makes another: the worst that retries can do."""
    life = Life(99, *alone, place / "twice", alone=True)
    life.quietly("repair")
    before = raw.everything(life.sandbox)
    lost = Faults(SEED_OF_A_SECOND_VPC, 0.5, (UNANSWERED,), burst=1, only=("ec2:Create*", "ec2:Allocate*"))
    life.attempt("create", lost).is_clear()
    assert raw.doubled(raw.everything(life.sandbox), life.name)
    life.quietly("delete")
    life.gone(before)


@pytest.mark.parametrize("number", lives(LIVING, (48,)))
def test_with_a_living_cluster(
    number: int, living: tuple[Sandbox, Worker], place: Path, tell: Callable[[Life], None]
) -> None:
    life = Life(number, *living, place / f"life-{number}", alone=False)
    tell(life)
    life.quietly("repair")
    before = raw.everything(life.sandbox)
    life.run("create_all", lambda: life.pool_is("web", 1))
    for move in life.chance.sample(MOVES, 3):
        move(life)
    life.run("delete", lambda: life.gone(before))


def scale(life: Life) -> None:
    count = life.chance.choice([2, 3])
    life.run("scale", lambda: life.pool_is("web", count), pool="web", count=count)


def another_pool(life: Life) -> None:
    life.spec["pools"].append({"name": "batch", "size": "t3.medium", "min": 1, "max": 2, "labels": {"tier": "back"}})
    life.run("create_pools", lambda: life.pool_is("batch", 1))


def relabel(life: Life) -> None:
    life.spec["pools"][0]["labels"] = {"tier": "front"}

    def arrived() -> None:
        assert life.seen().pools["web"].labels == {"tier": "front"}

    life.run("configure_pool", arrived)


def reconfigure(life: Life) -> None:
    life.spec["provider"]["ssh_access"] = ["192.0.2.0/24"]

    def arrived() -> None:
        seen = life.seen()
        assert (seen.phase, seen.differs, seen.outdated) == (Phase.RUNNING, (), ()), seen

    life.run("configure", arrived)


def upgrade(life: Life) -> None:
    life.spec["kubernetes"]["version"] = "1.35"
    life.run("upgrade_all", lambda: life.pool_is("web", version="1.35.", renewed=True))


def rotate(life: Life) -> None:
    life.run("rotate", lambda: life.pool_is("web", renewed=True))


def sleep(life: Life) -> None:
    life.run("hibernate", life.sleeps)
    life.quietly("wake")


def wake(life: Life) -> None:
    life.quietly("hibernate")
    life.run("wake", life.awake)


MOVES = [scale, another_pool, relabel, reconfigure, upgrade, rotate, sleep, wake]
REPLACE: list[Callable[[Life], None]] = [reconfigure, upgrade, rotate]


def _replacing(number: int, living: tuple[Sandbox, Worker], place: Path, tell: Callable[[Life], None]) -> None:
    """By a new setting, another version, new keys: what the sample of moves above seldom comes to."""
    life = Life(number, *living, place / f"life-{number}", alone=False, stale=True)
    tell(life)
    life.quietly("repair")
    before = raw.everything(life.sandbox)
    life.quietly("create_all")
    for move in life.chance.sample(REPLACE, 2):
        move(life)
    life.run("delete", lambda: life.gone(before))


if _ALL:  # minutes each, and no sample of them: the moves above come to the same by chance
    test_machines_are_replaced_among_old_answers = pytest.mark.parametrize("number", REPLACING)(_replacing)
