"""The sandbox's channel is one that kOps' users know, and names images that the account has."""

from pathlib import Path
from urllib.parse import urlsplit

from boatyard.clock import SystemClock
from boatyard.drivers.kops import channel as kops
from boatyard.sandbox.aws import seed


def test_its_versions_are_offered_and_its_images_are_there(tmp_path: Path) -> None:
    address = seed.write_channel(tmp_path / "channel.yaml")
    assert urlsplit(address).scheme == "file"
    read = kops.load(address, folder=tmp_path, clock=SystemClock())
    assert {str(offer.minor) for offer in read.offers("1.36.2")} == {"1.33", "1.34", "1.35", "1.36"}
    assert read.recommended("1.35") == "1.35.5"
    known = {f"{seed.CANONICAL}/{each['name']}" for each in seed.images()}
    assert {image.name for image in read.images} <= known
