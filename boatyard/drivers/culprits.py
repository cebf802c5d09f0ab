"""Preflight of an upgrade as a whole: the cluster's objects, what its provider says, its backups, its waivers."""

from boatyard.drivers.base import Driver
from boatyard.drivers.operation import Yard
from boatyard.kube.client import Client
from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit, in_order
from boatyard.kube.preflight.look import look
from boatyard.spec.models import Cluster


def find_culprits(driver: Driver, cluster: Cluster, to: str, *, yard: Yard) -> tuple[Culprit, ...]:
    """Everything that would break or block the upgrade to `to`, what stops it first. Reads only.

    Raises what is `Temporary`, for the caller to try again.
    """
    with Client(driver.kubeconfig()) as client:
        found = look(client, to, yard.machine.now())
    return in_order(found + provider(driver))


def provider(driver: Driver) -> list[Culprit]:
    """The findings of the driver's own preflight: quota, addresses, tools."""
    return [
        Culprit(
            "provider",
            Ref("", driver.kind, "", each.subject),
            "",
            _sentence(each.problem),
            _sentence(each.fix),
            each.blocks,
        )
        for each in driver.preflight()
    ]


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "!", "?")) else ".")
