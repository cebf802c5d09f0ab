"""One AWS account, seen from one region: the only maker of boto3 clients.

Every request of every client waits for its place in the budget that all flows of this machine share, has a time limit,
and is repeated as often as AWS asks to slow down, until the deadline. So nobody above ever sees a throttle.
"""

import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import jmespath
from botocore.config import Config
from botocore.credentials import DeferredRefreshableCredentials
from botocore.loaders import create_loader
from botocore.session import get_session

from boatyard.aws.budget import GLOBAL, Bucket, rate_of
from boatyard.aws.errors import THROTTLED, told
from boatyard.clock import Deadline

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 30.0
"""Seconds; the longest that one attempt may go on once the deadline has passed."""
_ATTEMPTS = 4
_MODELS = create_loader()  # AWS's service models; they are read once a process instead of once an account


class Account:
    """One AWS account seen from one region; boto3 clients that share a budget and a time limit. Thread-safe.

    home: Boatyard's state folder; the budget lives in its `aws-budget`. profile: of ~/.aws/config. role: ARN to take
    on.
    Making one does no I/O; missing credentials are told by the first request (`NoCredentials`).
    """

    def __init__(
        self, region: str, *, home: Path, deadline: Deadline, profile: str | None = None, role: str | None = None
    ) -> None:
        self.region, self.profile, self.role, self.deadline = region, profile, role, deadline
        self._folder = home / "aws-budget"
        self._lock = threading.RLock()
        self._clients: dict[tuple[str, str], Any] = {}
        self._sessions: dict[bool, boto3.session.Session] = {}
        self._identity: Mapping[str, str] | None = None

    @property
    def id(self) -> str:
        """The account's 12 digits, asked of STS once."""
        return self._caller()["Account"]

    @property
    def arn(self) -> str:
        """Who we are: the ARN of the user or of the role's session."""
        return self._caller()["Arn"]

    @property
    def partition(self) -> str:
        """`aws`, `aws-cn`, `aws-us-gov`."""
        return self.arn.split(":")[1]

    def client(self, service: str, *, region: str | None = None) -> Any:
        """A boto3 client; the same one for each service and region."""
        return self._client(service, region or self.region, assumed=True)

    def pages(
        self, service: str, operation: str, key: str, region: str | None = None, /, **parameters: Any
    ) -> Iterator[dict[str, Any]]:
        """Every element of a list, page by page: `pages("ec2", "describe_subnets", "Subnets")`.

        key: JMESPath to the list (`Reservations[].Instances[]`). region: the account's own when left out. Works for
        operations without pages too.
        """
        client = self.client(service, region=region)
        with told(f"listing {operation.removeprefix('describe_').removeprefix('list_').replace('_', ' ')}"):
            if client.can_paginate(operation):
                found = client.get_paginator(operation).paginate(**parameters).search(key)
            else:
                answer = jmespath.search(key, getattr(client, operation)(**parameters)) or []
                found = iter(answer if isinstance(answer, list) else [answer])
            yield from (element for element in found if element is not None)

    def credentials(self) -> dict[str, str]:
        """Those in use now, as environment variables, for a program that is run in our name."""
        with self._lock, told("reading our credentials"):
            found = self._session(assumed=True).get_credentials()
            frozen = found.get_frozen_credentials() if found is not None else None
        if frozen is None:
            return {}
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        values = (frozen.access_key, frozen.secret_key, frozen.token)
        return {name: value for name, value in zip(names, values, strict=True) if value}

    def _caller(self) -> Mapping[str, str]:
        with self._lock:
            if self._identity is None:
                with told("asking who we are"):
                    self._identity = self.client("sts").get_caller_identity()
            return self._identity

    def _client(self, service: str, region: str, *, assumed: bool) -> Any:
        with self._lock:
            key = (service if assumed else f"{service} without role", region)
            if key not in self._clients:
                with told(f"preparing requests to {service} in {region}"):
                    client = self._session(assumed=assumed).client(service, region_name=region, config=_config())
                self._meter(client, service, region)
                self._clients[key] = client
            return self._clients[key]

    def _session(self, *, assumed: bool) -> boto3.session.Session:
        assumed = assumed and self.role is not None
        if assumed not in self._sessions:
            base = get_session()
            base.register_component("data_loader", _MODELS)
            if self.profile is not None:
                base.set_config_variable("profile", self.profile)
            if assumed:
                # botocore has no public way to give a session credentials that renew themselves.
                base._credentials = DeferredRefreshableCredentials(self._assume, "sts-assume-role")
            self._sessions[assumed] = boto3.session.Session(botocore_session=base, region_name=self.region)
        return self._sessions[assumed]

    def _assume(self) -> dict[str, str]:
        """Short-lived credentials of the role, as botocore's refreshing credentials want them."""
        sts = self._client("sts", self.region, assumed=False)
        with told(f"taking on the role {self.role}"):
            given = sts.assume_role(RoleArn=self.role, RoleSessionName="boatyard")["Credentials"]
        return {
            "access_key": given["AccessKeyId"],
            "secret_key": given["SecretAccessKey"],
            "token": given["SessionToken"],
            "expiry_time": given["Expiration"].isoformat(),
        }

    def _meter(self, client: Any, service: str, region: str) -> None:
        """Every attempt takes a place; a throttle makes everyone slower and is tried again."""
        bucket = _once(lambda: self._bucket(service, region))

        def before(operation_name: str, **_: Any) -> None:
            self.deadline.check(f"{service}:{operation_name}")
            bucket().take(self.deadline, f"{service}:{operation_name}")

        def after(response: Any, attempts: int, **_: Any) -> float | None:
            if response is None or not _throttled(response[1]):
                return None
            bucket().slow_down(self.deadline, attempts)
            return 0.0  # the wait is the bucket's, before the next attempt

        name = client.meta.service_model.service_id.hyphenize()
        client.meta.events.register_first(f"request-created.{name}", before)  # before it is signed: signatures age
        client.meta.events.register_first(f"needs-retry.{name}", after)

    def _bucket(self, service: str, region: str) -> Bucket:
        # STS tells the account's id, so its own requests cannot wait for that.
        owner = "any" if service == "sts" else self.id
        where = "global" if service in GLOBAL else region
        return Bucket(self._folder / f"{_plain(owner)}.{_plain(where)}.{_plain(service)}", rate_of(service))


def _config() -> Config:
    emulated = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    return Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "adaptive", "total_max_attempts": _ATTEMPTS},
        max_pool_connections=20,
        user_agent_extra="boatyard",
        s3={"addressing_style": "path"} if emulated else None,
    )


def _throttled(answer: Mapping[str, Any]) -> bool:
    code = (answer.get("Error") or {}).get("Code")
    return code in THROTTLED or (answer.get("ResponseMetadata") or {}).get("HTTPStatusCode") == 429


def _plain(text: str) -> str:
    return re.sub(r"[^a-z0-9-]", "_", text.lower())


def _once(make: Callable[[], Bucket]) -> Callable[[], Bucket]:
    """`make`, called when it is first needed and not again."""
    made: list[Bucket] = []

    def get() -> Bucket:
        if not made:
            made.append(make())
        return made[0]

    return get
