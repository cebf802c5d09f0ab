"""1,000 pods under tight disruption budgets: ten apps of 100 pods, of which one or two may be missing at a time."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

NAMESPACE = "crowd"
_SIZES = ((5, 100, 1), (5, 100, 2))
"""(apps, replicas of each, pods of each that may be missing at once)."""


@dataclass(frozen=True)
class Guarded:
    """One app. `floor`: Ready pods that its budget demands at any time."""

    name: str
    replicas: int
    unavailable: int

    @property
    def floor(self) -> int:
        return self.replicas - self.unavailable


def apps() -> list[Guarded]:
    """1,000 pods in all."""
    sizes = [(replicas, unavailable) for count, replicas, unavailable in _SIZES for _ in range(count)]
    return [Guarded(f"app-{number:02d}", *size) for number, size in enumerate(sizes)]


def objects() -> list[Json]:
    """The namespace, a Deployment and a PodDisruptionBudget an app."""
    space = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    return [space, *(one for app in apps() for one in (_deployment(app), _budget(app)))]


def _deployment(app: Guarded) -> Json:
    labels = {"app": app.name}
    container = {
        "name": "main",
        "image": "registry.example.com/app:1.0",
        "resources": {"requests": {"cpu": "20m", "memory": "32Mi"}},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": app.name, "namespace": NAMESPACE, "labels": labels},
        "spec": {
            "replicas": app.replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }


def _budget(app: Guarded) -> Json:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": app.name, "namespace": NAMESPACE},
        "spec": {"maxUnavailable": app.unavailable, "selector": {"matchLabels": {"app": app.name}}},
    }
