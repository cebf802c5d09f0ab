"""What runs in kube-system, by its images: add-ons that are too old, and API servers that are too far apart.

kube-proxy goes by the skew policy, CoreDNS by what kubeadm installs.
"""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import yaml

from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.kube.preflight.owners import Owners
from boatyard.kube.preflight.seen import PODS, Json, Seen
from boatyard.versions import Minor
from boatyard.versions.skew import api_servers_problem, problem

_IMAGE = re.compile(
    r"(?:^|/)(?P<name>kube-apiserver|kube-proxy|coredns)(?:-(?:amd64|arm64|arm|ppc64le|s390x))?:v?(?P<tag>[0-9][^@/]*)"
)
_NUMBERS = re.compile(r"[0-9]+")


def addons(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """One warning for each workload and version that is too old, or for kube-proxy too new."""
    told: set[tuple[Ref, str]] = set()
    for pod, name, tag in _system_images(seen):
        if name == "kube-apiserver":
            continue
        workload = owners.top(pod)
        ref = Ref.of(workload)
        why = _proxy(tag, str(seen.next)) if name == "kube-proxy" else _dns(tag, seen.target)
        if why and (ref, tag) not in told:
            told.add((ref, tag))
            fix = f"Upgrade {name} with the control plane, or right after it."
            yield Culprit("addon-skew", ref, owners.of(workload), f"{why}.", fix, blocks=False)


def api_servers(seen: Seen, owners: Owners) -> Iterator[Culprit]:
    """Each API server of several that would be left behind by the upgrade of another.

    Known where they run as pods, as kOps and kubeadm do it; a provider that manages them shows none.
    """
    for pod, name, tag in _system_images(seen):
        if name == "kube-apiserver" and (why := _apart(tag, str(seen.next))):
            fix = "Bring it to the minor of the others first."
            yield Culprit("api-server-skew", Ref.of(pod), owners.of(pod), f"Once another is upgraded, {why}.", fix)


def _apart(tag: str, following: str) -> str:
    try:
        return api_servers_problem([tag, following]) or ""
    except ValueError:
        return ""


def _system_images(seen: Seen) -> Iterator[tuple[Json, str, str]]:
    """(pod, what its image is of, the image's tag), of the images that are known."""
    for pod in seen.of(PODS):
        if pod["metadata"]["namespace"] != "kube-system":
            continue
        for container in (pod.get("spec") or {}).get("containers") or ():
            if found := _IMAGE.search(str(container.get("image") or "")):
                yield pod, found["name"], found["tag"]


def _proxy(tag: str, following: str) -> str:
    try:
        return problem("kube-proxy", tag, following) or ""
    except ValueError:  # a tag that is no version, as somebody's own build may have
        return ""


def _dns(tag: str, target: Minor) -> str:
    """Older than what came with the oldest minor whose nodes the target supports."""
    oldest = coredns().get(target.plus(-3))
    if oldest is None or _numbers(tag) >= _numbers(oldest):
        return ""
    comes = coredns().get(target, "a newer one")
    return f"CoreDNS is {tag}; Kubernetes {target.plus(-3)} came with {oldest} already, {target} comes with {comes}"


def _numbers(tag: str) -> tuple[int, ...]:
    return tuple(int(number) for number in _NUMBERS.findall(tag.partition("-")[0])[:3])


@functools.cache
def coredns() -> dict[Minor, str]:
    """Minor → the CoreDNS that kubeadm installs with it."""
    table = yaml.load(Path(__file__).with_name("addons.yaml").read_text(encoding="utf-8"), Loader=yaml.CSafeLoader)
    return {Minor.parse(minor): str(version) for minor, version in table["coredns"].items()}
