"""What an AWS account knows before anybody uses it: Canonical's Ubuntu images, as kOps looks them up."""

import json
from pathlib import Path
from typing import Any

CANONICAL = "099720109477"
_SERIAL = "20260218"
_RELEASES = {"noble": ("24.04", "hvm-ssd-gp3"), "jammy": ("22.04", "hvm-ssd")}
_ARCHITECTURES = {"amd64": "x86_64", "arm64": "arm64"}


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
