"""What a cluster itself makes in its account: load balancers for Services and volumes for claims.

As AWS' cloud controller and EBS CSI driver do it, by the same names and tags, through the account's own door.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

from boatyard.kube.client import Client
from boatyard.sandbox.aws.balancers import Balancers
from boatyard.sandbox.aws.follow import Follower
from boatyard.sandbox.aws.gate import OWN
from boatyard.sandbox.aws.volumes import Volumes

Aws = Callable[[str], Any]


def own_door(region: str, endpoint: str) -> Aws:
    """Clients of the account by service, made once each; no fault befalls them."""
    session = boto3.Session(region_name=region)
    config = Config(proxies={}, retries={"max_attempts": 2}, connect_timeout=5, read_timeout=30, user_agent_extra=OWN)
    return cache(lambda service: session.client(service, endpoint_url=endpoint, config=config))


@dataclass
class Cloud:
    """Follows one cluster's Services, claims and volumes. `connect` gives a client of its API server."""

    name: str
    region: str
    endpoint: str
    connect: Callable[[], Client]
    _followers: list[Follower] = field(default_factory=list)

    def start(self) -> None:
        """Begin, or go on with other credentials after `stop`."""
        aws = own_door(self.region, self.endpoint)
        balancers, volumes = Balancers(self.name, aws), Volumes(self.name, aws)
        self._followers = [
            Follower(self.connect, "/api/v1/services", balancers.take),
            Follower(self.connect, "/api/v1/persistentvolumeclaims", volumes.claim),
            Follower(self.connect, "/api/v1/persistentvolumes", volumes.release),
        ]
        for follower in self._followers:
            follower.start()

    def stop(self) -> None:
        """Nobody follows any more; what was made in the account stays, as it does when a control plane is gone."""
        for follower in self._followers:
            follower.stop()
        self._followers = []

    @property
    def running(self) -> bool:
        return bool(self._followers)
