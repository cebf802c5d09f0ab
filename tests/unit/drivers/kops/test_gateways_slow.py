"""NAT gateways that take their time, as AWS' do and the emulated ones do not: minutes to be up, one to be gone."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from botocore.exceptions import ClientError

from boatyard.clock import Deadline, SystemClock
from boatyard.drivers.base import Env
from boatyard.drivers.kops import gateways
from boatyard.drivers.kops.reach import Reach
from boatyard.errors import DeadlineExceeded

NAT, ADDRESS = "nat-1", "eipalloc-1"
CLOCK = SystemClock()


class Aws:
    """A gateway without a route, which passes through these states, look by look, and its address, which is free once
    the gateway is gone. `refusals`: what AWS still answers to its release then."""

    def __init__(self, states: str, refusals: str = "") -> None:
        self.states, self.refusals = states.split(), refusals.split()
        self.done = list[str]()
        self.released = False

    def pages(self, service: str, operation: str, key: str, **asked: Any) -> Iterator[dict[str, Any]]:
        if operation == "describe_nat_gateways":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            self.done.append(state)
            its = [{"AllocationId": ADDRESS}]
            yield {"NatGatewayId": NAT, "State": state, "NatGatewayAddresses": its}
        if operation == "describe_addresses" and not self.released:
            held = {} if self.done[-1] == "deleted" else {"AssociationId": "eipassoc-1"}
            yield {"AllocationId": ADDRESS, "PublicIp": "192.0.2.1", **held}

    def client(self, service: str) -> "Aws":
        return self

    def delete_nat_gateway(self, **asked: Any) -> None:
        self.done.append("delete")

    def release_address(self, **asked: Any) -> None:
        self.done.append("release")
        if self.refusals:
            error = {"Error": {"Code": self.refusals.pop(0), "Message": "not yet"}}
            raise ClientError(cast(Any, error), "ReleaseAddress")
        self.released = True


class Place:
    """As much of a `Reach` as is needed."""

    name = "k8s.example.com"

    def __init__(self, account: Aws, home: Path, limit: float = 60) -> None:
        self.account = account
        self.env = Env(home, CLOCK, Deadline.after(limit, "the test", CLOCK), lambda name: home / name)


def recovered(account: Aws, home: Path) -> str:
    gateways.recover(cast(Reach, Place(account, home)))
    return " ".join(account.done)


def test_one_that_is_not_up_yet_is_let_come_up_and_then_goes_with_its_address(tmp_path: Path) -> None:
    done = recovered(Aws("pending pending available deleting deleted"), tmp_path)
    assert done == "pending pending available delete deleting deleted release"


@pytest.mark.parametrize("code", ["InvalidIPAddress.InUse", "AuthFailure", "InvalidAllocationID.NotFound"])
def test_an_address_that_aws_calls_in_use_a_moment_longer_is_asked_for_again(tmp_path: Path, code: str) -> None:
    aws = Aws("deleted", refusals=code)
    again = "" if code.endswith("NotFound") else " deleted release"
    assert recovered(aws, tmp_path) == "deleted release" + again


def test_one_that_never_goes_is_named(tmp_path: Path) -> None:
    place = Place(Aws("deleting"), tmp_path, limit=0.5)
    with pytest.raises(DeadlineExceeded, match="1 NAT gateways to go that kOps has lost sight of"):
        gateways.recover(cast(Reach, place))
