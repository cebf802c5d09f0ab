"""`python -m benchmarks.fleets.apply_folder KUBECONFIG FOLDER`: what `deploy` does with a folder of manifests."""

import json
import sys
from pathlib import Path

from boatyard.clock import Deadline, SystemClock
from boatyard.kube.apply import apply_objects
from boatyard.kube.client import Client
from boatyard.kube.documents import parse


def main(kubeconfig: Path, folder: Path) -> None:
    files = sorted(folder.rglob("*.yaml"))
    objects = [one.object for file in files for one in parse(file.read_bytes(), str(file))]
    with Client(json.loads(kubeconfig.read_text())) as client:
        applied = apply_objects(client, objects, deadline=Deadline.after(300, "applying", SystemClock()))
    print(len(applied))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
