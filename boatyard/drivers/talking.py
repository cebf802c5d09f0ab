"""How to talk to a driver's cluster for as long as it takes."""

from boatyard.drivers.base import Driver
from boatyard.kube.client import Client


def client_of(driver: Driver) -> Client:
    """A client of its API server; it gets itself new credentials when the old ones have run out."""
    return Client(driver.kubeconfig(), renew=driver.kubeconfig)
