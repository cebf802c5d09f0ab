"""Clusters that others made with kOps, taken over as they are."""

import os

from boatyard.aws.account import Account
from boatyard.drivers.base import Env
from boatyard.drivers.kops import reverse
from boatyard.drivers.kops.store import PLACEHOLDER, Store, registered
from boatyard.errors import NotFound
from boatyard.spec.models import Cluster

_ANYWHERE = "us-east-1"  # S3 tells from there in which region a bucket is


def found(source: str, env: Env) -> list[Cluster]:
    """A spec for each cluster of a state store (`s3://bucket[/prefix]`). Reads only."""
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or _ANYWHERE
    account = Account(region, home=env.home, deadline=env.deadline)
    state_store = source.rstrip("/")
    names = registered(account, state_store)
    if not names:
        raise NotFound(f"{state_store} holds no cluster of kOps.")
    return [_spec(Store(account, state_store, name), state_store) for name in names]


def _spec(store: Store, state_store: str) -> Cluster:
    record = store.read()
    if record.cluster is None:
        raise NotFound(f"{state_store} does not hold {store.name} any more.")
    groups = [each for name, each in record.groups.items() if name != PLACEHOLDER]
    return reverse.spec_of(record.cluster, groups, state_store)
