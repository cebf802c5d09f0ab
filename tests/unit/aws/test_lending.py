"""Credentials lent to a program: by the door that SDKs know, to nobody else, and anew each time they are asked for."""

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any

import pytest
from botocore.credentials import ContainerProvider

from boatyard.aws.lending import OWN, TOKEN, lent
from boatyard.errors import BoatyardError, Permanent, Temporary

pytestmark = pytest.mark.account

URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"


def session(number: int) -> dict[str, str]:
    names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    return {name: f"{name.lower()}-{number}" for name in names}


def ask(variables: Mapping[str, str], token: str | None = None) -> dict[str, Any]:
    request = urllib.request.Request(variables[URI], headers={"Authorization": token or variables[TOKEN]})  # noqa: S310
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        return json.load(answer)


def test_an_sdk_finds_them_by_the_environment_alone() -> None:
    with lent(lambda: session(1)) as variables:
        found = ContainerProvider(environ=variables).load().get_frozen_credentials()
    assert (found.access_key, found.secret_key, found.token) == tuple(session(1).values())
    assert not OWN & variables.keys()
    assert not any(secret in text for secret in session(1).values() for text in variables.values())


def test_each_question_gets_those_of_its_own_time() -> None:
    numbers = iter([1, 2])
    with lent(lambda: session(next(numbers))) as variables:
        assert [ask(variables)["Token"][-1] for _ in range(2)] == ["1", "2"]


def test_long_lived_keys_have_no_session() -> None:
    with lent(lambda: {"AWS_ACCESS_KEY_ID": "AKIA", "AWS_SECRET_ACCESS_KEY": "hush"}) as variables:
        assert ask(variables).keys() == {"AccessKeyId", "SecretAccessKey", "Expiration"}


def test_nobody_else_gets_any_and_nobody_afterwards() -> None:
    with lent(lambda: session(1)) as variables, pytest.raises(urllib.error.HTTPError, match="403"):
        ask(variables, token="guessed")
    with pytest.raises(urllib.error.URLError):
        ask(variables)


@pytest.mark.parametrize(("error", "status"), [(Permanent("The session is over."), 400), (Temporary("Busy."), 500)])
def test_why_there_are_none_is_told_and_whether_to_ask_again(error: BoatyardError, status: int) -> None:
    def none() -> dict[str, str]:
        raise error

    with lent(none) as variables, pytest.raises(urllib.error.HTTPError) as refused:
        ask(variables)
    assert refused.value.code == status
    assert json.load(refused.value)["message"] == str(error)


def test_no_file_of_the_users_counts_more() -> None:
    with lent(lambda: session(1)) as variables:
        assert {variables[f"AWS_{name}_FILE"] for name in ("CONFIG", "SHARED_CREDENTIALS")} == {os.devnull}
