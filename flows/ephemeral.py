"""Clusters that events ask for: a pull request opens and one appears, it closes and nothing is left.

Events come twice, late and in any order. Each flow first writes down what it heard, then brings the world to what the
newest event says, whoever was told of it first.
"""

from typing import Annotated

from prefect import flow
from pydantic import AwareDatetime, Field

from flows.apply import apply_cluster
from flows.delete import delete_cluster
from tasks.claims import PullRequest, Todo, cluster_for, due, hear_closing, hear_opening, settle
from tasks.yard import operate_if_known, reserve

Repository = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$", max_length=200)]
Number = Annotated[int, Field(ge=1)]
WAIT = 3600.0
"""Seconds to wait for another run on the same cluster: a closing may come while the creation still runs."""


@flow(name="open-cluster", flow_run_name="open cluster of {repository} {number}")
def open_cluster(
    repository: Repository, number: Number, occurred: AwareDatetime | None = None, template: str = "pull-request"
) -> None:
    """A pull request opened: create its cluster from a template, with an end to its life.

    Args:
        repository: The repository, like example/shop.
        number: The pull request's number.
        occurred: When the event occurred; now, when left out. Older news than what is known changes nothing.
        template: A template's name or file.
    """
    request = PullRequest(repository=repository, number=number)
    hear_opening(request, template, occurred)
    _bring_about(request, template)


@flow(name="close-cluster", flow_run_name="close cluster of {repository} {number}")
def close_cluster(repository: Repository, number: Number, occurred: AwareDatetime | None = None) -> None:
    """A pull request closed: delete its cluster and leave a tombstone, so that late openings change nothing.

    Args:
        repository: The repository, like example/shop.
        number: The pull request's number.
        occurred: When the event occurred; now, when left out.
    """
    request = PullRequest(repository=repository, number=number)
    hear_closing(request, occurred)
    _bring_about(request, "pull-request")


def _bring_about(request: PullRequest, template: str) -> None:
    """Until nothing is due any more: while this run waits or works, newer events may have come."""
    while (claim := due(request)).due is not Todo.NONE:
        if claim.due is Todo.CREATE:
            _create(request, template)
        else:
            _delete(request, claim.cluster or request.cluster_name)


def _create(request: PullRequest, template: str) -> None:
    """What is due is read again under the lease: a closing may have come and gone before the cluster was known."""
    cluster = cluster_for(request, template)
    with reserve(cluster, "open", wait=WAIT):
        claim = due(request)
        if claim.due is Todo.CREATE:
            apply_cluster(cluster)
            settle(claim)


def _delete(request: PullRequest, name: str) -> None:
    with operate_if_known(name, "close", wait=WAIT) as known:
        claim = due(request)
        if claim.due is Todo.DELETE:
            if known:
                delete_cluster(name, confirm=name)
            settle(claim)
