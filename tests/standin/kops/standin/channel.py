"""The channel of a cluster, as far as kOps looks into it: versions that are too old, the image of nodes."""

import re
from pathlib import Path
from typing import Any

import yaml

from standin.say import STARS, VERSION, Fail, out

OLDEST, OLDEST_RECOMMENDED = 31, "1.33.0"
BASE = "https://raw.githubusercontent.com/kubernetes/kops/master/channels/"


def load(address: str) -> dict[str, Any]:
    """Only file:// can be read here; any other is an address that does not answer (recorded)."""
    if address.startswith("file://"):
        path = Path(address.removeprefix("file://"))
        if path.is_file():
            return dict(yaml.safe_load(path.read_text())["spec"])
        raise Fail(f'error reading channel "{address}": file does not exist')
    url = address if "://" in address else BASE + address
    said = f'Get "{url}": dial tcp: lookup {url.split("/")[2]} on 10.0.0.2:53: no such host'
    raise Fail(f'error reading channel "{url}": error fetching "{url}": {said}')


def image(spec: dict[str, Any]) -> str:
    """Image of nodes that name none, for the cluster's Kubernetes."""
    for one in load(spec.get("channel", "stable")).get("images", ()):
        amd = one.get("architectureID", "amd64") == "amd64"
        if (
            one.get("providerID") == "aws"
            and amd
            and within(spec["kubernetesVersion"], one.get("kubernetesVersion", ""))
        ):
            return str(one["name"])
    raise Fail('unable to determine default image for cloud provider "aws" and architecture "amd64"')


def default_version(address: str) -> str:
    """What a new cluster gets."""
    for one in load(address).get("kopsVersions", ()):
        if within(VERSION, one["range"]):
            return str(one["kubernetesVersion"])
    raise Fail("unable to determine kubernetes version: use --kubernetes-version")


def check(spec: dict[str, Any]) -> None:
    """What `create cluster` and `update cluster` say of a version before they do anything."""
    version = spec["kubernetesVersion"]
    if minor(version) > minor(VERSION):
        out(f"\n{STARS}\n\nThis version of kubernetes is not yet supported; upgrading kops is required")
        out(f"(you can bypass this check by exporting KOPS_RUN_TOO_NEW_VERSION)\n\n{STARS}\n")
        raise Fail("kops upgrade is required")
    if minor(version) < OLDEST:
        out("This version of Kubernetes is no longer supported; upgrading Kubernetes is required\n")
        link = f"https://github.com/kubernetes/kops/blob/master/permalinks/upgrade_k8s.md#{OLDEST_RECOMMENDED}"
        out(f"More information: {link}\n\n{STARS}\n")
        raise Fail("kubernetes upgrade is required")
    rules = load(spec.get("channel", "stable")).get("kubernetesVersions", ())
    rule = next((one for one in rules if within(version, one["range"])), {})
    if (required := rule.get("requiredVersion")) and _numbers(required) > _numbers(version):
        out(f"\n{STARS}\n\nA new kubernetes version is available: {rule.get('recommendedVersion')}\n")
        out("This version of kubernetes is no longer supported; upgrading is required")
        out(f"(you can bypass this check by exporting KOPS_RUN_OBSOLETE_VERSION)\n\n{STARS}\n")
        raise Fail("kubernetes upgrade is required")


def minor(version: str) -> int:
    return _numbers(version)[1]


def within(version: str, ranges: str) -> bool:
    """`>=1.35.0 <1.36.0`."""
    have = _numbers(version)
    return all((have >= _numbers(wanted)) == (sign == ">=") for sign, wanted in re.findall(r"(>=|<)(\d\S*)", ranges))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.removeprefix("v").partition("-")[0].split("."))
