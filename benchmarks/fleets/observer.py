"""`python -m benchmarks.fleets.observer ADDRESS FOLDER < floors.json`: does every app keep its Ready pods?

A witness that shares nothing with what it watches: a process of its own, with only the standard library and its own
connection. It lists all pods, then follows every single change of them in the server's order. After each change it
counts each app's healthy pods as the disruption controller does: Ready, and not asked to go.

FOLDER holds ca.crt, admin.crt and admin.key. Prints READY after the list, then a line of JSON at the end, which comes
when its standard input is closed.
"""

import http.client
import json
import ssl
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

Json = dict[str, Any]
_PODS = "/api/v1/pods"


@dataclass
class Tally:
    """Healthy pods by app, the lowest count that was ever seen, and every time that it was too low."""

    floors: dict[str, int]
    healthy: dict[str, str] = field(default_factory=dict)
    """Uid → app."""
    changes: int = 0
    lowest: dict[str, int] = field(default_factory=dict)
    violations: list[str] = field(default_factory=list)

    def put(self, pod: Json, *, gone: bool = False) -> str:
        """Take in one pod's new state; its app."""
        metadata = pod["metadata"]
        app = str((metadata.get("labels") or {}).get("app", ""))
        if not gone and is_healthy(pod):
            self.healthy[metadata["uid"]] = app
        else:
            self.healthy.pop(metadata["uid"], None)
        return app

    def judge(self, counts: Counter[str], app: str) -> None:
        if app not in self.floors:
            return
        self.lowest[app] = min(counts[app], self.lowest.get(app, counts[app]))
        if counts[app] < self.floors[app]:
            self.violations.append(f"{app}: {counts[app]} healthy pods, {self.floors[app]} must stay")


def is_healthy(pod: Json) -> bool:
    """What currentHealthy counts: Ready, and not being deleted."""
    conditions = (pod.get("status") or {}).get("conditions") or []
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)
    return ready and not pod["metadata"].get("deletionTimestamp")


def main(address: str, folder: Path) -> None:
    floors = json.loads(sys.stdin.readline())
    tally = Tally(floors)
    version = _list(address, folder, tally)
    counts = Counter(tally.healthy.values())
    for app in floors:
        tally.judge(counts, app)
    stop = threading.Event()
    watch = threading.Thread(target=_watch, args=(address, folder, version, tally, counts, stop), daemon=True)
    watch.start()
    print("READY", flush=True)
    sys.stdin.read()
    stop.set()
    if not watch.is_alive():
        tally.violations.append("the observer lost its watch, so it cannot vouch for anything")
    slack = {app: tally.lowest[app] - floor for app, floor in floors.items()}
    print(json.dumps({"changes": tally.changes, "violations": tally.violations, "slack": slack}))


def _list(address: str, folder: Path, tally: Tally) -> str:
    connection = _connect(address, folder)
    connection.request("GET", _PODS)
    document = json.loads(connection.getresponse().read())
    for pod in document["items"]:
        tally.put(pod)
    connection.close()
    return str(document["metadata"]["resourceVersion"])


def _watch(address: str, folder: Path, version: str, tally: Tally, counts: Counter[str], stop: threading.Event) -> None:
    """Every change in order; ends only when the server ends the watch."""
    connection = _connect(address, folder)
    connection.request("GET", f"{_PODS}?watch=true&resourceVersion={version}&timeoutSeconds=3600")
    answer = connection.getresponse()
    while not stop.is_set() and (line := answer.readline()):
        event = json.loads(line)
        if event["type"] == "ERROR":
            return
        uid = event["object"]["metadata"]["uid"]
        before = tally.healthy.get(uid)
        app = tally.put(event["object"], gone=event["type"] == "DELETED")
        counts[app] += (uid in tally.healthy) - (before is not None)
        tally.changes += 1
        tally.judge(counts, app)


def _connect(address: str, folder: Path) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(folder / "ca.crt"))
    context.load_cert_chain(folder / "admin.crt", folder / "admin.key")
    target = urlsplit(address)
    return http.client.HTTPSConnection(target.hostname or "", target.port, context=context)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
