"""What events asked for, kept so that a killed run, a doubled event or a late one changes nothing for the worse."""

import hashlib
import re
from datetime import datetime
from pathlib import Path

from prefect import task

import deployments
from boatyard.errors import NotFound
from boatyard.settings import Settings
from boatyard.spec.base import Model
from boatyard.spec.models import Cluster
from boatyard.spec.template import instantiate, load_template
from boatyard.store import Claim, Todo
from tasks.options import RETRIED
from tasks.yard import yard

__all__ = ["Claim", "PullRequest", "Todo", "cluster_for", "due", "hear_closing", "hear_opening", "settle"]


class PullRequest(Model):
    """Which pull request; `number` as its repository counts."""

    repository: str
    number: int

    @property
    def key(self) -> str:
        return f"pull_request/{self.repository}/{self.number}"

    @property
    def cluster_name(self) -> str:
        """A DNS label: readable, and unlike that of any other repository with a similar name."""
        slug = re.sub(r"[^a-z0-9]+", "-", self.repository.lower().rsplit("/", 1)[-1]).strip("-")[:30]
        mark = hashlib.sha256(self.repository.encode()).hexdigest()[:6]
        return f"pr-{self.number}-{slug or 'repo'}-{mark}"


def template_file(name: str) -> Path:
    """A template by name, from Boatyard's own folder first, then from those that come with it."""
    places = [Settings.load().home / "templates", Path(deployments.__file__).parent / "templates"]
    if re.fullmatch(r"[a-z0-9][a-z0-9-]*", name):
        for place in places:
            if (path := place / f"{name}.yaml").is_file():
                return path
    raise NotFound(
        f"there is no template {name!r} in {' or '.join(map(str, places))}.", hint="A template is a file NAME.yaml."
    )


def cluster_for(request: PullRequest, template: str) -> Cluster:
    """The cluster of a pull request."""
    labels = {"boatyard.dev/pull-request": str(request.number)}
    return instantiate(load_template(template_file(template)), request.cluster_name, labels=labels)


@task(task_run_name="hear: {request.key} opened", **RETRIED)
def hear_opening(request: PullRequest, template: str, occurred: datetime | None) -> None:
    """Write the opening down, as of now when it is not said when it occurred."""
    name = cluster_for(request, template).name
    yard().store.claims.open(request.key, name, occurred or yard().clock.now())


@task(task_run_name="hear: {request.key} closed", **RETRIED)
def hear_closing(request: PullRequest, occurred: datetime | None) -> None:
    """Write the closing down, as of now when it is not said when it occurred; it stays as a tombstone."""
    yard().store.claims.close(request.key, occurred or yard().clock.now())


def due(request: PullRequest) -> Claim:
    """What has been heard so far, and what still has to be done about it."""
    claim = yard().store.claims.get(request.key)
    if claim is None:
        raise NotFound(f"nothing was ever heard of {request.key}.")
    return claim


def settle(claim: Claim) -> None:
    """What the claim asked for is done; newer events ask anew."""
    yard().store.claims.settle(claim)
