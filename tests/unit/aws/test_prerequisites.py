"""Prerequisites of a cluster in an AWS account: an empty one, a finished one, and every broken one that has a case."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from boatyard.aws.checks import Check
from boatyard.aws.errors import AwsBusy, AwsRefused
from boatyard.aws.prerequisites import examine
from boatyard.errors import Temporary
from tests.unit.aws.broken import Case, Maker, World, cases

pytestmark = pytest.mark.account

CASES = cases()


@pytest.fixture(autouse=True)
def _no_images(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of images that no check looks at, and that moto would make anew for every test."""
    monkeypatch.setenv("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")


def problems(checks: Sequence[Check]) -> dict[str, Check]:
    found = [check for check in checks if check.problem]
    assert len({check.subject for check in found}) == len(found), "two findings have the same subject"
    return {check.subject: check for check in found}


def made_good(world: World, account_of: Maker) -> None:
    """Everything the checks ask for, by their own repairs; then the case breaks some of it."""
    account = account_of()
    good = World(Case("good", {}))
    good.answer(account)
    for check in examine(account, good.needs(), lookup=good.lookup):
        if check.repair:
            check.repair()


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_a_broken_account_is_named_and_mended(case: Case, account_of: Maker, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(case)
    if case.get("from", "good") == "good":
        made_good(world, account_of)
    world.setup()
    for name, value in case.get("environment", {}).items():
        monkeypatch.setenv(name, value) if value is not None else monkeypatch.delenv(name, raising=False)
    needs = world.needs()
    account = account_of(needs.region, role=case.get("role", None), profile=case.get("profile", None))
    world.answer(account)

    found = problems(examine(account, needs, lookup=world.lookup))
    expected = {world.filled(finding["subject"]): finding for finding in case.get("expect", [])}
    assert sorted(found) == sorted(expected)
    for subject, finding in expected.items():
        agree(found[subject], finding, world)

    for subject, check in found.items():
        mend(check, expected[subject])
    left = problems(examine(account, needs, lookup=world.lookup))
    stay = {subject for subject, finding in expected.items() if not finding.get("repaired")}
    assert sorted(left) == sorted(stay | set(world.filled(case.get("then", []))))


def agree(check: Check, finding: Mapping[str, Any], world: World) -> None:
    for text in world.filled(finding["says"]):
        assert text in f"{check.problem} {check.fix}"
    assert check.fix, "every finding says what to do"
    assert check.blocks is finding.get("blocks", True)
    assert check.state in ("missing", "wrong")
    assert (check.repair is not None) is (finding.get("repaired", False) or "refuses" in finding)


def mend(check: Check, finding: Mapping[str, Any]) -> None:
    """Twice: what is mended already stays as it is."""
    for _ in range(2):
        if "refuses" in finding:
            with pytest.raises(AwsRefused, match=finding["refuses"]):
                check.repair()  # type: ignore[misc]
        elif check.repair:
            check.repair()


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 25


def test_all_is_made_in_an_empty_account_and_the_second_run_has_nothing_to_do(account_of: Maker) -> None:
    account, world = account_of(), World(Case("empty", {"needs": {"discovery_store": "example-oidc"}}))
    world.answer(account)
    first = problems(examine(account, world.needs(), lookup=world.lookup))
    assert set(first) == {
        "state store s3://example-kops",
        "discovery store s3://example-oidc",
        "hosted zone k8s.example.com",
    }
    for check in first.values():
        assert check.repair is not None
        check.repair()
    second = examine(account, world.needs(), lookup=world.lookup)
    assert problems(second) == {}
    assert all(check.state == "ok" and check.repair is None for check in second)


def test_examining_changes_nothing(account: Any) -> None:
    world, written = World(Case("empty", {})), []
    world.answer(account)
    for service in ("s3", "ec2", "route53", "iam", "sts", "elbv2", "service-quotas"):
        events = account.client(service).meta.events
        events.register("before-call.*", lambda model, **_: written.append(model.name))
    examine(account, world.needs(), lookup=world.lookup)
    assert written
    reading = ("Get", "List", "Describe", "Head", "Simulate")
    assert [name for name in written if not name.startswith(reading)] == []


def test_a_busy_aws_is_no_finding_but_tried_again(account: Any) -> None:
    world = World(Case("busy", {"answers": [{"service": "s3", "operation": "HeadBucket", "status": 500}]}))
    world.answer(account)
    with pytest.raises(Temporary) as caught:
        examine(account, world.needs(), lookup=world.lookup)
    assert isinstance(caught.value, AwsBusy)


def test_the_order_is_always_the_same(account_of: Maker) -> None:
    world = World(Case("order", {}))
    orders = []
    for _ in range(3):
        account = account_of()
        world.answer(account)
        orders.append([check.subject for check in examine(account, world.needs(), lookup=world.lookup)])
    assert orders[0] == orders[1] == orders[2]
