"""AWS, as kOps talks to it: clients, its way of telling errors, and what one run has looked up already."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import botocore.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from standin.say import Fail

_NAMES = {
    "elbv2": "Elastic Load Balancing v2",
    "autoscaling": "Auto Scaling",
    "route53": "Route 53",
    "events": "EventBridge",
}


@cache
def session() -> Any:
    """One for all clients, without what boto3 adds: each command is a program of its own, and loads what it uses."""
    return botocore.session.get_session()


class Aws:
    """Clients of one region. `look` remembers answers until `forget`."""

    def __init__(self, region: str) -> None:
        self.region = region
        self._clients: dict[str, Any] = {}
        self._seen: dict[str, Any] = {}

    def client(self, service: str) -> Any:
        if service not in self._clients:
            config = Config(connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 4})
            self._clients[service] = session().create_client(service, region_name=self.region, config=config)
        return self._clients[service]

    def call(self, service: str, operation: str, **parameters: Any) -> Any:
        with told(service):
            return getattr(self.client(service), operation)(**parameters)

    def pages(self, service: str, operation: str, key: str, **parameters: Any) -> list[Any]:
        client = self.client(service)
        with told(service):
            if not client.can_paginate(operation):
                return list(getattr(client, operation)(**parameters)[key])
            return [one for page in client.get_paginator(operation).paginate(**parameters) for one in page[key]]

    def look(self, what: str, ask: Callable[[], Any]) -> Any:
        if what not in self._seen:
            self._seen[what] = ask()
        return self._seen[what]

    def forget(self) -> None:
        self._seen.clear()


class AwsFail(Fail):
    """An error that AWS answered with; `code` is AWS' own."""

    def __init__(self, text: str, code: str) -> None:
        super().__init__(text)
        self.code = code


@contextmanager
def told(service: str) -> Iterator[None]:
    """Errors as kOps tells them (recorded)."""
    try:
        yield
    except ClientError as error:
        raise AwsFail(text_of(error, service), error.response["Error"]["Code"]) from None
    except BotoCoreError as error:
        raise Fail(f"dial tcp: {error}") from None


def text_of(error: ClientError, service: str) -> str:
    meta, said = error.response.get("ResponseMetadata", {}), error.response["Error"]
    host = f" HostID: {meta['HostId']}," if meta.get("HostId") else ""
    what = f"{_NAMES.get(service, service.upper())}: {error.operation_name}"
    head = f"operation error {what}, https response error StatusCode: "
    ids = f"{meta.get('HTTPStatusCode', 0)}, RequestID: {meta.get('RequestId', '')},{host} "
    return f"{head}{ids}api error {said.get('Code', '')}: {said.get('Message', '')}"


def gone(error: AwsFail) -> bool:
    return any(word in error.code for word in ("NotFound", "NoSuchEntity", "NonExistentQueue", "ResourceNotFound"))


def tag_list(tags: dict[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in tags.items()]


def tag_map(tags: Any) -> dict[str, str]:
    return {one["Key"]: one["Value"] for one in tags or ()}


def region_of(zones: list[str]) -> str:
    return zones[0][:-1] if zones else os.environ.get("AWS_REGION", "")
