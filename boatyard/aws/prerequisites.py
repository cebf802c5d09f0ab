"""All that an AWS account has to have before a cluster can be made there, looked at in one go."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from boatyard.aws import dns, identity, network, permissions, quotas, state_store
from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Kind, Needs, Subnet, wrong
from boatyard.aws.dns import Lookup
from boatyard.aws.errors import AwsDenied, AwsRefused, NoCredentials

__all__ = ["Check", "Kind", "Needs", "Subnet", "examine"]

Look = Callable[[Account, Needs], list[Check]]


def examine(account: Account, needs: Needs, *, lookup: Lookup | None = None) -> list[Check]:
    """Every point, fine or not, always in the same order; independent ones side by side. Reads only.

    lookup: asks DNS for a zone's delegation; the real one when left out. Without credentials, or in a region that is
    not there, nothing else can be looked at, so only that is told. Temporary errors are raised.
    """
    checks = identity.credentials(account)
    if any(check.blocks and check.problem for check in checks):
        return checks
    checks += _guarded(identity.region, account, needs)
    if any(check.blocks and check.problem for check in checks):
        return checks
    looks: Sequence[Look] = (
        identity.zones,
        *((permissions.examine,) if needs.installer else ()),
        state_store.examine,
        network.examine,
        quotas.examine,
        lambda account, needs: dns.examine(account, needs, lookup),
    )
    with ThreadPoolExecutor(len(looks), thread_name_prefix="prerequisites") as pool:
        results = pool.map(lambda look: _guarded(look, account, needs), looks)
        return checks + [check for found in results for check in found]


def _guarded(look: Look, account: Account, needs: Needs) -> list[Check]:
    """What may not be looked at is a finding too, and hides none of the others."""
    try:
        return look(account, needs)
    except NoCredentials:
        raise
    except AwsDenied as error:
        return [wrong("permissions to look", error.message, error.hint or "")]
    except AwsRefused as error:
        return [wrong("AWS", error.message, error.hint or "Mend what AWS names, then look again.")]
