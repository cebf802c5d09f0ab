"""The end of a cluster: what it ordered from AWS by itself first, then kOps, bounded and repeated once, then our own.

That deletion was begun is written into the state store before anything goes: cut off, it is known what was wanted.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from boatyard.aws.inventory import cluster_resources
from boatyard.drivers.base import Residue
from boatyard.drivers.kops import access, gateways
from boatyard.drivers.kops.create import documents
from boatyard.drivers.kops.reach import Reach
from boatyard.drivers.kops.versioning import full_version
from boatyard.drivers.kops.waiting import Lookout
from boatyard.errors import BoatyardError, DeadlineExceeded, Fenced, NotFound
from boatyard.kube.client import ApiNotFound, Client

_RELEASE = 300.0  # seconds for load balancers and volumes of the cluster's own; kOps finds them by their tags as well
_ATTEMPT = 900.0  # seconds until kOps is taken to be going round in circles on one resource


def delete(reach: Reach) -> None:
    """Every part. A no-op when nothing is there."""
    record, fleet = reach.store.read(), reach.fleet.read()
    if record.cluster is None and not fleet:
        if record.deleting:
            gateways.recover(reach)
            reach.store.clear()
        _clear(reach)
        return
    if not record.deleting:
        reach.store.mark_deleting()
    if record.cluster is None:
        # kOps deletes what its record names; without one it would leave all of it.
        reach.env.report(f"{reach.name}: registering it again, so that kOps can delete it")
        reach.kops.create(documents(reach.cluster, full_version(reach, reach.cluster.kubernetes.version)))
    else:
        _release(reach)
    _by_kops(reach)
    _clear(reach)
    reach.env.report(f"{reach.name}: deleted")


def residue(reach: Reach) -> list[Residue]:
    """By our own scan of the account, which knows nothing of what was deleted; and of our own objects."""
    found = cluster_resources(
        reach.account,
        reach.name,
        state_store=reach.provider.state_store,
        dns_zone=reach.provider.dns_zone if reach.provider.dns != "none" else None,
        discovery_store=reach.provider.irsa,
    )
    kept = [Residue("state-store", f"s3://{reach.store.bucket}/{key}") for key in reach.store.ours()]
    return [Residue(each.kind, each.identity, each.owner, each.monthly_cost) for each in found] + kept


def _clear(reach: Reach) -> None:
    """What is ours, in the state store and on this machine."""
    reach.store.forget()
    access.forget(reach, folder=True)


def _by_kops(reach: Reach) -> None:
    """kOps may go round for ever on one resource, and be done with it in a second run.

    What it does not find goes before it, so that nothing stops it; and after it, for AWS may have told of it late.
    """
    gateways.recover(reach)
    try:
        reach.kops.delete(limit=min(_ATTEMPT, max(60.0, reach.env.deadline.left / 2)))
    except DeadlineExceeded as error:
        reach.env.deadline.check("kOps to delete it")
        reach.env.report(f"{reach.name}: once more; {error.message.partition(' It said:')[0]}")
        gateways.recover(reach)
        reach.kops.delete(limit=min(_ATTEMPT, reach.env.deadline.left))
    gateways.recover(reach)


def _release(reach: Reach) -> None:
    """Load balancers and volumes that controllers inside ordered go by their hand while they still run. A cluster that
    does not answer is no obstacle: kOps and the scan find by tags what is left."""
    limit = min(_RELEASE, reach.env.deadline.left / 4)
    bounded = replace(reach.env, deadline=reach.env.deadline.sooner(limit, "releasing load balancers and volumes"))
    try:
        with reach.client(timeout=5, retries=0) as client:
            if not _ask_to_go(reach, client):
                return
            Lookout(bounded).until(lambda: _held(client))
    except NotFound:
        return
    except Fenced:
        raise
    except BoatyardError as error:
        reach.env.report(f"{reach.name}: going on without: {error.message}")


def _ask_to_go(reach: Reach, client: Client) -> bool:
    """Delete Services with load balancers, and claims on volumes that are deleted with them, with the pods that use
    these. False when there are none."""
    services, claims = _services(client), _claims(client)
    for path in [*services, *claims, *_users(client, set(claims))]:
        reach.env.fence()
        try:
            client.delete(path)
        except ApiNotFound:
            continue
    if services or claims:
        reach.env.report(f"{reach.name}: releasing {len(services)} load balancers and {len(claims)} volumes")
    return bool(services or claims)


def _held(client: Client) -> str:
    left = [*_services(client), *_claims(client)]
    return f"{len(left)} load balancers and volumes to be released" if left else ""


def _services(client: Client) -> list[str]:
    return [
        _path("services", each)
        for each in client.list("/api/v1/services")
        if each["spec"].get("type") == "LoadBalancer"
    ]


def _claims(client: Client) -> list[str]:
    """Claims on volumes whose reclaim policy is Delete."""
    refs = [
        each["spec"].get("claimRef") or {}
        for each in client.list("/api/v1/persistentvolumes")
        if each["spec"].get("persistentVolumeReclaimPolicy") == "Delete"
    ]
    wanted = {(ref.get("namespace"), ref.get("name")) for ref in refs}
    return [
        _path("persistentvolumeclaims", each)
        for each in client.list("/api/v1/persistentvolumeclaims")
        if (each["metadata"]["namespace"], each["metadata"]["name"]) in wanted
    ]


def _users(client: Client, claims: Iterable[str]) -> list[str]:
    """Pods that keep these claims from going."""
    wanted = set(claims)
    return [_path("pods", pod) for pod in client.list("/api/v1/pods") if wanted & set(_claimed(pod))]


def _claimed(pod: dict[str, Any]) -> list[str]:
    base = f"/api/v1/namespaces/{pod['metadata']['namespace']}/persistentvolumeclaims"
    volumes = (pod.get("spec") or {}).get("volumes") or []
    return [
        f"{base}/{each['persistentVolumeClaim']['claimName']}" for each in volumes if "persistentVolumeClaim" in each
    ]


def _path(plural: str, item: dict[str, Any]) -> str:
    return f"/api/v1/namespaces/{item['metadata']['namespace']}/{plural}/{item['metadata']['name']}"
