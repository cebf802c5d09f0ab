"""Whose an object is: the app or Helm release it came with, the controller on top of it, or who wrote it last."""

from collections.abc import Iterable, Iterator
from itertools import takewhile
from typing import Any

from boatyard.kube.objects import APP_LABEL, Ref, annotations, labels

Json = dict[str, Any]

_RELEASE, _RELEASE_NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"
_DEEPEST = 10
"""Owners above one another; Pod, ReplicaSet and Deployment are three."""

REPLICATED = frozenset({"Deployment", "StatefulSet", "ReplicaSet", "ReplicationController"})
"""Controllers that keep a number of pods alike."""
CONTROL_PLANE = ("kube-controller-manager", "kube-scheduler", "kube-apiserver", "api-priority-and-fairness-config")
"""How field managers begin that are parts of the control plane: they are upgraded with it."""


class Owners:
    """Knows every object that was read by its uid."""

    def __init__(self, documents: Iterable[Json]) -> None:
        self._by_uid: dict[str, Json] = {}
        for document in documents:
            if uid := document["metadata"].get("uid"):
                self._by_uid[uid] = document

    def above(self, document: Json) -> Iterator[Json]:
        """The controllers above an object that were read, the nearest first."""
        for _ in range(_DEEPEST):
            reference = controller(document)
            found = self._by_uid.get(reference["uid"]) if reference else None
            if found is None:
                return
            yield (document := found)

    def top(self, document: Json) -> Json:
        """The controller that is not controlled itself; the object where there is none, or it was not read."""
        return [document, *self.above(document)][-1]

    def workload(self, document: Json) -> Json | None:
        """What decides how many of a pod there are, whatever an operator has above it; None where there is nothing."""
        built_in = list(takewhile(lambda each: each["kind"] in REPLICATED, self.above(document)))
        return built_in[-1] if built_in else None

    def knows(self, uid: str) -> bool:
        """Was an object of that uid read?"""
        return uid in self._by_uid

    def of(self, document: Json) -> str:
        """For people: `Deployment shop/web (app shop)`, `Helm release shop/web`, `field manager kubectl`; maybe ""."""
        top = self.top(document)
        came = source(top) or source(document)
        if top is not document:
            return f"{Ref.of(top)} ({came})" if came else str(Ref.of(top))
        return came or _above(document) or _writer(document)


def controller(document: Json) -> Json | None:
    """The owner reference of the controller."""
    references = document["metadata"].get("ownerReferences") or ()
    return next((each for each in references if each.get("controller")), None)


def source(document: Json) -> str:
    """The app or Helm release that an object belongs to by its own marks; "" when it has none."""
    if app := labels(document).get(APP_LABEL):
        return f"app {app}"
    marks = annotations(document)
    if name := marks.get(_RELEASE):
        return f"Helm release {marks.get(_RELEASE_NAMESPACE) or 'default'}/{name}"
    return ""


def _above(document: Json) -> str:
    reference = controller(document)
    return f"{reference['kind']} {reference['name']}" if reference else ""


def _writer(document: Json) -> str:
    """Who wrote the object last, the control plane left out."""
    entries = document["metadata"].get("managedFields") or ()
    people = [each for each in entries if not str(each.get("manager") or "").startswith(CONTROL_PLANE)]
    people = [each for each in people if each.get("subresource") != "status"] or people
    newest = max(people, key=lambda each: str(each.get("time") or ""), default=None)
    return f"field manager {newest.get('manager')}" if newest else ""
