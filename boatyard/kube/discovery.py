"""Which kinds an API server knows, and under which path each one is found."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from boatyard.errors import NotFound, Temporary

ACCEPT = (
    "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,"
    "application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"
)
"""Asks for everything at once: two requests instead of one a group."""


@dataclass(frozen=True)
class Resource:
    """One kind as the server serves it, and the builder of its paths."""

    group: str
    version: str
    kind: str
    plural: str
    namespaced: bool
    verbs: frozenset[str] = frozenset()
    subresources: frozenset[str] = frozenset()

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def base(self) -> str:
        return f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """`path()` is the collection over all namespaces; a namespace is ignored for kinds that have none."""
        parts = [self.base]
        if self.namespaced and namespace:
            parts += ["namespaces", quote(namespace, safe="")]
        parts += [self.plural, *(quote(part, safe=":") for part in (name, subresource) if part)]
        return "/".join(parts)


class Discovery:
    """The server's kinds, fetched at the first question and again when a kind is asked for that was not there."""

    def __init__(self, fetch: Callable[[], Iterable[Mapping[str, Any]]]) -> None:
        """fetch: gives the two APIGroupDiscoveryList documents, of `/api` and `/apis`."""
        self._fetch = fetch
        self._lock = threading.Lock()
        self._generation = 0
        self._kinds: dict[tuple[str, str], Resource] = {}
        self._stale = frozenset[str]()

    def find(self, api_version: str, kind: str) -> Resource:
        """The resource of one kind; `NotFound` says which versions of that kind there are instead, `Temporary` that
        the server itself cannot tell now."""
        generation = self._generation
        if (found := self._kinds.get((api_version, kind))) is None:
            self.refresh(generation)
            found = self._kinds.get((api_version, kind))
        if found is None:
            self._refuse_stale(api_version)
            others = sorted(version for version, known in self._kinds if known == kind)
            instead = (
                f"it has {kind} in {', '.join(others)}" if others else "is its CustomResourceDefinition installed?"
            )
            raise NotFound(f"The API server has no kind {kind} in {api_version}; {instead}")
        return found

    def all(self) -> tuple[Resource, ...]:
        """Every resource in every version, the server's preferred version of a group first."""
        if not self._kinds:
            self.refresh(self._generation)
        return tuple(self._kinds.values())

    def preferred(self, group: str, kind: str) -> Resource:
        """The kind in the version that the server prefers; `NotFound` when it has none, `Temporary` as in `find`."""
        generation = self._generation
        for _ in range(2):
            for resource in self._kinds.values():
                if (resource.group, resource.kind) == (group, kind):
                    return resource
            self.refresh(generation)
        for version in sorted(self._stale):
            if version.startswith(f"{group}/"):
                self._refuse_stale(version)
        raise NotFound(f"The API server has no kind {kind} in the group {group or 'core'!r}.")

    def _refuse_stale(self, api_version: str) -> None:
        """A kind that is not named now is not gone for that: what is of it must not count as deleted."""
        if api_version in self._stale:
            group, _, version = api_version.partition("/")
            raise Temporary(
                f"The API server cannot tell now which kinds {api_version} has, as the server behind that API does not"
                f" answer; see why: kubectl describe apiservice {version}.{group}."
            )

    def refresh(self, seen: int | None = None) -> None:
        """Ask the server again, unless another thread did since generation `seen`."""
        with self._lock:
            if seen is not None and seen != self._generation:
                return
            documents = list(self._fetch())
            self._stale = frozenset(version for document in documents for version in _stale(document))
            self._kinds = {
                (resource.api_version, resource.kind): resource
                for document in documents
                for resource in parse(document)
            }
            self._generation += 1


def parse(document: Mapping[str, Any]) -> list[Resource]:
    """The resources of one APIGroupDiscoveryList, in the server's order of preference."""
    found = []
    for group in document.get("items") or []:
        name = (group.get("metadata") or {}).get("name") or ""
        for version in group.get("versions") or []:
            for item in version.get("resources") or []:
                response = item.get("responseKind") or {}
                if response.get("kind"):
                    found.append(
                        Resource(
                            group=name,
                            version=version["version"],
                            kind=response["kind"],
                            plural=item["resource"],
                            namespaced=item.get("scope") == "Namespaced",
                            verbs=frozenset(item.get("verbs") or ()),
                            subresources=frozenset(sub["subresource"] for sub in item.get("subresources") or ()),
                        )
                    )
    return found


def _stale(document: Mapping[str, Any]) -> Iterator[str]:
    """API versions that other servers serve through this one, and of which it has no news."""
    for group in document.get("items") or []:
        for version in group.get("versions") or []:
            if version.get("freshness") == "Stale":
                yield f"{group['metadata']['name']}/{version['version']}"
