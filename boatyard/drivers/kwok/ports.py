"""Loopback ports for a cluster's components, chosen here: two kwokctl creations at once choose the same ones."""

import random
import socket
from collections.abc import Collection, Iterable
from pathlib import Path

from boatyard.drivers.kwok import state
from boatyard.errors import Temporary

NAMES = (
    "etcdPort",
    "etcdPeerPort",
    "kubeApiserverPort",
    "kubeControllerManagerPort",
    "kubeSchedulerPort",
    "kwokControllerPort",
)
"""kwokctl's own option names."""

COMPONENT_PORTS = {
    "etcd": ("etcdPort", "etcdPeerPort"),
    "kube-apiserver": ("kubeApiserverPort",),
    "kube-controller-manager": ("kubeControllerManagerPort",),
    "kube-scheduler": ("kubeSchedulerPort",),
    "kwok-controller": ("kwokControllerPort",),
}

_RANGE = range(20000, 29994)  # below the range that the kernel hands out for outgoing connections


def is_free(port: int) -> bool:
    """May somebody listen on this loopback port now? Ends of old connections don't count."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def choose(reserved: Collection[int], start: int | None = None) -> dict[str, int]:
    """A port for each of `NAMES`, none reserved, all free now. Starts anywhere, so that two homes on one machine
    rarely meet. `Temporary` when the range is full."""
    first = random.SystemRandom().choice(_RANGE) if start is None else start
    candidates = (port for port in (*range(first, _RANGE.stop), *range(_RANGE.start, first)))
    chosen = list(_take(candidates, reserved, len(NAMES)))
    if len(chosen) < len(NAMES):
        raise Temporary(f"no {len(NAMES)} free ports between {_RANGE.start} and {_RANGE.stop} on 127.0.0.1.", delay=30)
    return dict(zip(NAMES, chosen, strict=True))


def reserved(workdir: Path, *, but: str = "") -> dict[int, str]:
    """Port → name of the cluster that has it, over all clusters except `but`."""
    return {
        port: name for name, record in state.records(workdir).items() if name != but for port in record.ports.values()
    }


def _take(candidates: Iterable[int], reserved: Collection[int], count: int) -> Iterable[int]:
    for port in candidates:
        if count == 0:
            return
        if port not in reserved and is_free(port):
            count -= 1
            yield port
