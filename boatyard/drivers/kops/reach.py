"""What one kOps cluster is reached by: account, state store, Auto Scaling groups, kOps itself, the API server."""

import os
import tempfile
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from pathlib import Path
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.lending import lent
from boatyard.drivers.base import Env
from boatyard.drivers.kops.command import Kops
from boatyard.drivers.kops.fleet import Fleet
from boatyard.drivers.kops.render import settings
from boatyard.drivers.kops.store import Store
from boatyard.drivers.kops.templates import Templates
from boatyard.kube.client import Client
from boatyard.spec.models import Cluster


class Reach:
    """One cluster, and each of its sides, made when it is first needed; making one does no I/O."""

    def __init__(self, cluster: Cluster, env: Env) -> None:
        self.cluster, self.env = cluster, env
        self.provider = settings(cluster)

    @property
    def name(self) -> str:
        return self.cluster.name

    @property
    def folder(self) -> Path:
        """Ours, on this machine: short-lived credentials and scratch, all private."""
        return self.env.home / "kops" / self.name

    @cached_property
    def account(self) -> Account:
        return Account(
            self.provider.region,
            home=self.env.home,
            deadline=self.env.deadline,
            profile=self.provider.profile,
            role=self.provider.role,
        )

    @cached_property
    def store(self) -> Store:
        """The state store's part that belongs to this cluster."""
        return Store(self.account, self.provider.state_store, self.name, fence=self.env.fence)

    @cached_property
    def fleet(self) -> Fleet:
        """Its machines, as AWS has them."""
        return Fleet(self.account, self.name, Templates(self.account, self.store), fence=self.env.fence)

    @cached_property
    def kops(self) -> Kops:
        """`MissingTool` where there is none."""
        return Kops(
            self.env.tool("kops"),
            name=self.name,
            state_store=self.provider.state_store,
            region=self.provider.region,
            deadline=self.env.deadline,
            folder=Path(self._scratch.name),
            report=self.env.report,
            environment=self._endpoints,
            lend=self._lend,
            fence=self.env.fence,
        )

    def client(self, *, timeout: float = 30, retries: int = 3) -> Client:
        """The API server as an administrator, of an hour's certificate at a time. `NotFound` for an absent cluster."""
        from boatyard.drivers.kops.access import admin

        def again() -> dict[str, Any]:
            return admin(self).document

        return Client(again(), timeout=timeout, retries=retries, renew=again)

    @cached_property
    def _scratch(self) -> "tempfile.TemporaryDirectory[str]":
        """Of this run alone: two that look at the same cluster do not get in each other's way."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return tempfile.TemporaryDirectory(prefix="scratch-", dir=self.folder, ignore_cleanup_errors=True)

    def _lend(self) -> AbstractContextManager[Mapping[str, str]]:
        """The profile's or role's credentials, renewed while kOps runs; nothing where it finds its own as we do."""
        if self.provider.profile is None and self.provider.role is None:
            return nullcontext({})
        return lent(self.account.credentials)

    def _endpoints(self) -> dict[str, str]:
        """kOps reads the address, region and keys of an S3 that is not AWS' own from variables of its own, all of them.

        Those that are set already are left as they are.
        """
        endpoint = os.environ.get("S3_ENDPOINT") or os.environ.get("AWS_ENDPOINT_URL")
        if not endpoint:
            return {}
        ours = self.account.credentials() if "S3_ACCESS_KEY_ID" not in os.environ else {}
        keys = {f"S3_{key}": ours.get(f"AWS_{key}", "") for key in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")}
        wanted = {"S3_ENDPOINT": endpoint, "S3_REGION": self.provider.region} | keys
        return {name: value for name, value in wanted.items() if value and name not in os.environ}
