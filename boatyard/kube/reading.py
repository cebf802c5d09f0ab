"""One look at a cluster's health: every part read side by side, and what could not be read kept as its error."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from boatyard.errors import BoatyardError
from boatyard.kube.client import ApiNotFound, Client

Json = Mapping[str, Any]
T = TypeVar("T")

NODES = "/api/v1/nodes"
SYSTEM_PODS = "/api/v1/namespaces/kube-system/pods"
_SYSTEM = "/api/v1/namespaces/kube-system"
_SLICES = "/apis/discovery.k8s.io/v1/namespaces/kube-system/endpointslices"


@dataclass(frozen=True)
class Reading:
    """What was seen. Each part is the error instead where it could not be read.

    readyz: name of the API server's own check → whether it is ok. version: `/version`. dns: number of ready endpoints
    of the cluster's DNS Service, None where there is none.
    """

    readyz: dict[str, bool] | BoatyardError
    version: Json | BoatyardError
    nodes: list[dict[str, Any]] | BoatyardError
    system_pods: list[dict[str, Any]] | BoatyardError
    dns: int | BoatyardError | None


def read(client: Client, *, timeout: float = 10) -> Reading:
    """Look once. Never raises for what the cluster does; takes little longer than `timeout` seconds when it is gone."""
    readyz = _caught(lambda: read_readyz(client, timeout))
    if isinstance(readyz, BoatyardError):
        return Reading(readyz, readyz, readyz, readyz, readyz)
    with ThreadPoolExecutor(4, "reading") as pool:
        version = pool.submit(_caught, client.version)
        nodes = pool.submit(_caught, lambda: client.list(NODES))
        pods = pool.submit(_caught, lambda: client.list(SYSTEM_PODS))
        dns = pool.submit(_caught, lambda: _dns_endpoints(client))
        return Reading(readyz, version.result(), nodes.result(), pods.result(), dns.result())


def _caught(look: Callable[[], T]) -> T | BoatyardError:
    try:
        return look()
    except BoatyardError as error:
        return error


def read_readyz(client: Client, timeout: float) -> dict[str, bool]:
    """`/readyz?verbose` by check. An answer of 500 is an answer: it names the checks that fail."""
    answer = client.raw("GET", "/readyz", params={"verbose": ""}, timeout=timeout, check=False)
    checks = parse_readyz(answer.text())
    if not checks:
        client.raw("GET", "/readyz", timeout=timeout)  # raises what was wrong: refused, or not an API server
        return {"readyz": True}
    return checks


def parse_readyz(text: str) -> dict[str, bool]:
    """`[+]ping ok`, `[-]etcd failed: reason withheld` → by name. Lines of other kinds say nothing."""
    lines = [line for line in text.splitlines() if line.startswith(("[+]", "[-]"))]
    return {line[3:].split(" ", 1)[0]: line.startswith("[+]") for line in lines}


def _dns_endpoints(client: Client) -> int | None:
    try:
        client.get(f"{_SYSTEM}/services/kube-dns")
    except ApiNotFound:
        return None
    slices = client.list(_SLICES, labelSelector="kubernetes.io/service-name=kube-dns")
    endpoints = [endpoint for item in slices for endpoint in item.get("endpoints") or ()]
    return sum((endpoint.get("conditions") or {}).get("ready") is not False for endpoint in endpoints)
