"""An emulated AWS account (moto, in this process) without anybody's own credentials, and a clock that needs no time."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from moto.core.responses import EmptyResult
from moto.iam.responses import IamResponse

from boatyard.aws.account import Account
from boatyard.clock import Deadline, ManualClock
from tests.unit.aws.serial import emulated

REGION = "eu-central-1"


@pytest.fixture(autouse=True)
def _no_credentials_of_ours(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL", "AWS_DEFAULT_REGION", "AWS_REGION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "no-config"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "no-credentials"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(datetime(2026, 11, 22, tzinfo=UTC))


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Everything AWS is moto's until the test ends. What its IAM lacks is answered by `broken.simulator`."""
    monkeypatch.setattr(IamResponse, "simulate_principal_policy", lambda self: EmptyResult(), raising=False)
    with emulated():
        yield


@pytest.fixture
def account_of(aws: None, clock: ManualClock, tmp_path: Path) -> Callable[..., Account]:
    """Makes accounts that share one budget folder; `seconds` until their deadline."""

    def make(
        region: str = REGION, *, seconds: float = 600, profile: str | None = None, role: str | None = None
    ) -> Account:
        deadline = Deadline.after(seconds, "The check", clock)
        return Account(region, home=tmp_path / "home", deadline=deadline, profile=profile, role=role)

    return make


@pytest.fixture
def account(account_of: Callable[..., Account]) -> Account:
    return account_of()
