"""What Boatyard put into a cluster: per app one ConfigMap with the references of its objects.

It is written before anything is applied (old and new references, not complete) and again at the end (the new ones,
complete). A deployment that was killed at any point has lost track of nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from boatyard.kube.client import APPLY, ApiNotFound, Client
from boatyard.kube.objects import APP_LABEL, MANAGER, SYSTEM_NAMESPACE, Ref
from boatyard.plan.model import ObservedApp

_PATH = f"/api/v1/namespaces/{SYSTEM_NAMESPACE}/configmaps"
_KIND_LABEL = "boatyard.dev/record"
_SELECTOR = f"{_KIND_LABEL}=inventory"


@dataclass(frozen=True)
class Inventory:
    """digest: of the source last deployed, whole or in part. complete: all of `refs` was applied, ready and pruned.

    installed: some deployment of it came to its end, so that another is an upgrade, also after one that did not.
    """

    app: str
    digest: str
    complete: bool
    refs: frozenset[Ref]
    installed: bool = False

    def document(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": f"app-{self.app}",
                "namespace": SYSTEM_NAMESPACE,
                "labels": {APP_LABEL: self.app, _KIND_LABEL: "inventory"},
            },
            "data": {
                "digest": self.digest,
                "complete": "true" if self.complete else "false",
                "installed": "true" if self.installed else "false",
                "objects": "".join(f"{r.group}|{r.kind}|{r.namespace}|{r.name}\n" for r in sorted(self.refs)),
            },
        }

    @classmethod
    def read(cls, document: dict[str, Any]) -> "Inventory":
        data = document.get("data") or {}
        lines: Iterable[str] = str(data.get("objects") or "").splitlines()
        refs = frozenset(Ref(*parts) for line in lines if len(parts := line.split("|")) == 4)
        app = str(document["metadata"]["labels"][APP_LABEL])
        complete = data.get("complete") == "true"
        installed = complete or data.get("installed") == "true"
        return cls(app, str(data.get("digest") or ""), complete, refs, installed)


def read_all(client: Client) -> dict[str, Inventory]:
    """App → inventory, by one list; {} where Boatyard has deployed nothing."""
    found = (Inventory.read(item) for item in client.list(_PATH, labelSelector=_SELECTOR))
    return {inventory.app: inventory for inventory in found}


def write(client: Client, inventory: Inventory) -> None:
    """Create or replace the app's record, and our namespace with the first one."""
    path = f"{_PATH}/app-{inventory.app}"
    document = inventory.document()
    try:
        client.patch(path, document, APPLY, fieldManager=MANAGER, force=True)
    except ApiNotFound:
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SYSTEM_NAMESPACE}}
        client.patch(f"/api/v1/namespaces/{SYSTEM_NAMESPACE}", namespace, APPLY, fieldManager=MANAGER, force=True)
        client.patch(path, document, APPLY, fieldManager=MANAGER, force=True)


def forget(client: Client, app: str) -> None:
    """Remove the app's record; a no-op when there is none."""
    try:
        client.delete(f"{_PATH}/app-{app}")
    except ApiNotFound:
        return


def observed_apps(client: Client) -> dict[str, ObservedApp]:
    """The apps in the cluster as a plan compares them; one list."""
    return {
        name: ObservedApp(name=name, digest=inventory.digest, complete=inventory.complete)
        for name, inventory in read_all(client).items()
    }
