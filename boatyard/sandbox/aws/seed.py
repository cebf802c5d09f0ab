"""What an AWS account knows before anybody uses it: Canonical's Ubuntu images, as kOps looks them up.

And a kOps channel that names them, for machines that cannot reach kOps' own."""

import json
from pathlib import Path
from typing import Any

CANONICAL = "099720109477"
_SERIAL = "20260218"
_RELEASES = {"noble": ("24.04", "hvm-ssd-gp3"), "jammy": ("22.04", "hvm-ssd")}
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}
_KUBERNETES = {"1.36": 1, "1.35": 5, "1.34": 8, "1.33": 12}
"""Minor → newest patch."""


def images() -> list[dict[str, Any]]:
    """Images in the form of moto's own list. The serial is that of the stable channel kOps 1.36.2 was observed with."""
    found = []
    for number, (release, architecture) in enumerate(
        [(release, architecture) for release in _RELEASES for architecture in _ARCHITECTURES]
    ):
        version, store = _RELEASES[release]
        name = f"ubuntu/images/{store}/ubuntu-{release}-{version}-{architecture}-server-{_SERIAL}"
        found.append(
            {
                "ami_id": f"ami-0b0a7ba2d0000{number:04d}",
                "name": name,
                "description": f"Canonical, Ubuntu, {version}, {architecture} {release} image",
                "owner_id": CANONICAL,
                "image_location": f"amazon/{name}",
                "image_type": "machine",
                "architecture": _ARCHITECTURES[architecture],
                "creation_date": "2026-02-18T07:11:22.000Z",
                "public": True,
                "state": "available",
                "virtualization_type": "hvm",
                "hypervisor": "xen",
                "root_device_type": "ebs",
                "root_device_name": "/dev/sda1",
                "sriov": "simple",
            }
        )
    return found


def write(file: Path) -> Path:
    """Write the images where `MOTO_AMIS_PATH` can name them."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(images()))
    return file


def channel() -> dict[str, Any]:
    """A kOps channel of the versions that the sandbox can run; patch levels are those kOps 1.36.2 was observed with."""
    noble = [each for each in images() if "noble" in each["name"]]
    return {
        "spec": {
            "images": [
                {
                    "name": f"{CANONICAL}/{each['name']}",
                    "providerID": "aws",
                    "architectureID": {value: key for key, value in _ARCHITECTURES.items()}[each["architecture"]],
                    "kubernetesVersion": ">=1.32.0",
                }
                for each in noble
            ],
            "cluster": {"kubernetesVersion": "v1.5.8"},
            "kubernetesVersions": [
                {"range": f">={minor}.0", "recommendedVersion": f"{minor}.{patch}", "requiredVersion": f"{minor}.0"}
                for minor, patch in _KUBERNETES.items()
            ],
            "kopsVersions": [
                {"range": ">=1.36.0-alpha.1", "recommendedVersion": "1.36.2", "kubernetesVersion": "1.36.1"}
            ],
        }
    }


def write_channel(file: Path) -> str:
    """Write the channel; returns its address as kOps takes it. JSON is YAML."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(channel(), indent=1))
    return file.absolute().as_uri()
