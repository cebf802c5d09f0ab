"""Launch templates after a run that was killed before AWS told of what it had asked for, on the emulated account."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from boatyard.aws.account import Account
from boatyard.clock import Deadline, ManualClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops.changes import arrived
from boatyard.drivers.kops.fleet import Fleet
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.store import Store
from boatyard.drivers.kops.templates import Templates
from tests.unit.drivers.kops.conftest import BUCKET, NAME, Fence

pytestmark = pytest.mark.account

WEB = f"web.{NAME}"
PATIENCE = 60.0


class Yard:
    """One group of two machines. `process`: the cluster as a new process reaches it. `behind`: AWS tells what it told
    then."""

    def __init__(self, account: Account, template: str, env: Env) -> None:
        self.account, self.template, self.env = account, template, env
        self.fence = Fence()
        self.behind: list[Any] | None = None

    def process(self, monkeypatch: pytest.MonkeyPatch) -> Any:
        store = Store(self.account, f"s3://{BUCKET}", NAME, fence=self.fence)
        templates = Templates(self.account, store)
        truly = templates._described
        monkeypatch.setattr(templates, "_described", lambda which: self.behind or truly(which))
        return SimpleNamespace(env=self.env, store=store, fleet=Fleet(self.account, NAME, templates, fence=self.fence))

    def made(self) -> None:
        self.account.client("ec2").create_launch_template_version(
            LaunchTemplateId=self.template, LaunchTemplateData={"InstanceType": "t3.large"}
        )

    def late(self) -> None:
        """From now on AWS tells what is there now."""
        self.behind = self.account.client("ec2").describe_launch_templates()["LaunchTemplates"]


@pytest.fixture
def yard(
    account: Account,
    template: str,
    scaling_group: Callable[..., None],
    put: Callable[[str, str], None],
    yard_clock: ManualClock,
    tmp_path: Any,
) -> Yard:
    scaling_group("web")
    env = Env(tmp_path, yard_clock, Deadline.after(600, "the step", yard_clock), tool=lambda name: tmp_path / name)
    return Yard(account, template, env)


def outdated(process: Any) -> list[bool]:
    return [machine.outdated for machine in process.fleet.read()["web"].machines]


def test_a_group_does_not_pass_as_up_to_date_by_an_answer_from_before_the_kill(
    yard: Yard, monkeypatch: pytest.MonkeyPatch
) -> None:
    yard.late()
    yard.process(monkeypatch).fleet.templates.ask([WEB])
    yard.made()  # and killed
    after = yard.process(monkeypatch)
    assert outdated(after) == [True, True]
    assert WEB in after.fleet.templates.late()
    yard.behind = None
    assert after.fleet.templates.late() == ""
    assert outdated(after) == [True, True]


def test_what_was_never_made_is_forgotten_once_it_would_have_been_told(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, yard_clock: ManualClock
) -> None:
    """Killed before kOps came to it: no machine may be replaced for a version that is not there, again and again."""
    yard.process(monkeypatch).fleet.templates.ask([WEB])
    after, began = yard.process(monkeypatch), yard_clock.monotonic()
    arrived(cast(Reach, after))
    assert 0 < yard_clock.monotonic() - began <= PATIENCE
    assert outdated(after) == outdated(yard.process(monkeypatch)) == [False, False]


def test_what_was_told_is_not_awaited_again_and_no_older_answer_counts(
    yard: Yard, monkeypatch: pytest.MonkeyPatch, yard_clock: ManualClock
) -> None:
    yard.late()
    old = yard.behind
    first = yard.process(monkeypatch)
    first.fleet.templates.ask([WEB])
    yard.made()
    yard.behind = None
    began, passed = yard_clock.monotonic(), yard.fence.calls
    arrived(cast(Reach, first))
    assert (yard_clock.monotonic(), yard.fence.calls) == (began, passed)
    yard.behind = old
    assert outdated(yard.process(monkeypatch)) == [True, True]


def test_one_that_was_asked_for_twice_is_one(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before the first was made, then made by the next run."""
    yard.process(monkeypatch).fleet.templates.ask([WEB])
    second = yard.process(monkeypatch)
    second.fleet.templates.ask([WEB])
    yard.made()
    assert second.fleet.templates.late() == ""


def test_another_one_of_the_same_name_begins_anew(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pool that was deleted and made again."""
    yard.process(monkeypatch).fleet.templates.ask([WEB])
    ec2 = yard.account.client("ec2")
    ec2.delete_launch_template(LaunchTemplateId=yard.template)
    gone = yard.process(monkeypatch)
    assert gone.fleet.templates.late() == ""
    made = ec2.create_launch_template(LaunchTemplateName=WEB, LaunchTemplateData={"InstanceType": "t3.medium"})
    again = yard.process(monkeypatch).fleet.templates
    assert again.late() == ""
    identity = made["LaunchTemplate"]["LaunchTemplateId"]
    assert again.newest([{"LaunchTemplateName": WEB}])[WEB] == (identity, "1", "1")


def test_nothing_is_asked_for_behind_the_fence(yard: Yard, monkeypatch: pytest.MonkeyPatch) -> None:
    yard.fence.closed = True
    with pytest.raises(RuntimeError, match="fenced off"):
        yard.process(monkeypatch).fleet.templates.ask([WEB])


def test_a_damaged_note_is_none(yard: Yard, monkeypatch: pytest.MonkeyPatch, put: Callable[[str, str], None]) -> None:
    for text in ("", "{", "[1]", '{"web": 3}', '{"web": {"id": "lt-1"}}'):
        put(f"boatyard/{NAME}/launch-templates.json", text)
        process = yard.process(monkeypatch)
        assert process.store.asked() == {}
        assert outdated(process) == [False, False]
