"""Deploy and remove apps: render, apply, wait, prune; recorded so that a killed run is simply run again."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from boatyard.clock import Deadline
from boatyard.errors import InvalidSpec, NotFound, Permanent
from boatyard.kube import inventory
from boatyard.kube.apply import Applied, Fence, apply_objects
from boatyard.kube.client import ApiNotFound, Client
from boatyard.kube.documents import Document
from boatyard.kube.inventory import Inventory, observed_apps
from boatyard.kube.objects import APP_LABEL, NAMESPACE, Json, Ref, adopt, annotations, defined_kinds, labels, wave
from boatyard.kube.prune import Pruned, prune
from boatyard.kube.render import Capabilities, Rendered, Tool, digest, render
from boatyard.kube.waiting import wait_ready
from boatyard.spec.models import App

__all__ = ["Deployed", "Removed", "Sources", "deploy", "digest", "observed_apps", "prepare", "remove"]

Report = Callable[[str], None]

_DELETE_POLICY = "helm.sh/hook-delete-policy"
_BUILT_IN = {"default", "kube-system", "kube-public", "kube-node-lease"}


@dataclass(frozen=True)
class Sources:
    """Where apps come from. base: folder their paths are relative to. tool: name → program. cache: for downloads."""

    base: Path
    tool: Tool
    cache: Path
    timeout: float = 120
    """Seconds for one run of kustomize or Helm."""
    stopped: threading.Event | None = None
    """Ends one that runs."""


@dataclass(frozen=True)
class Deployed:
    """What a deployment did. `kept`: objects no longer wanted that were left, and why."""

    app: str
    digest: str
    applied: tuple[Applied, ...]
    pruned: tuple[Ref, ...]
    kept: tuple[tuple[Ref, str], ...]

    @property
    def changed(self) -> int:
        """How many objects are now others than before."""
        return len(self.pruned) + sum(1 for one in self.applied if one.action != "unchanged")


@dataclass(frozen=True)
class Removed:
    """What a removal did."""

    app: str
    pruned: tuple[Ref, ...]
    kept: tuple[tuple[Ref, str], ...]


@dataclass(frozen=True)
class Prepared:
    """An app's objects as they are applied: namespaces filled in, our label on each."""

    digest: str
    objects: tuple[Json, ...]
    before: tuple[tuple[Json, ...], ...]
    after: tuple[tuple[Json, ...], ...]
    old: Inventory
    """What an earlier deployment left; empty when there was none."""
    refs: frozenset[Ref] = field(repr=False)
    """All that belongs to the app: of the hooks also those that do not run this time."""


def deploy(
    client: Client,
    app: App,
    sources: Sources,
    *,
    deadline: Deadline,
    report: Report = lambda line: None,
    fence: Fence = lambda: None,
    force: bool = False,
) -> Deployed:
    """Bring the app to what its source says, wait until it is ready, then remove what the source no longer has.

    Safe to repeat: a second run changes nothing. deadline: the app's own `timeout` counts too. force: take over fields
    that others manage. Errors: those of `render`, `apply_objects`, `wait_ready` and `prune`.
    """
    deadline = deadline.sooner(app.timeout.total_seconds(), f"deploying app {app.name}")
    ready = prepare(client, app, sources)
    fence()
    old = ready.old
    inventory.write(client, Inventory(app.name, ready.digest, False, old.refs | ready.refs, old.installed))
    work = _Work(client, app.name, deadline, report, fence, force)
    rest = list(ready.objects)
    applied: list[Applied] = []
    if ready.before:  # hooks need their namespace
        applied += work.apply([one for one in rest if wave(Ref.of(one)) == 0])
        applied += [one for group in ready.before for one in work.hooks(group)]
        rest = [one for one in rest if wave(Ref.of(one)) > 0]
    report(f"applying {len(rest)} object{'s' if len(rest) != 1 else ''}")
    applied += work.apply(rest)
    wait_ready(
        client,
        [Ref.of(document) for document in ready.objects],
        deadline=deadline,
        report=report,
        selector=f"{APP_LABEL}={app.name}",
    )
    applied += [one for group in ready.after for one in work.hooks(group)]
    gone = prune(client, app.name, old.refs - ready.refs, deadline=deadline, report=report, fence=fence)
    fence()
    inventory.write(client, Inventory(app.name, ready.digest, True, ready.refs | gone.held, True))
    return Deployed(app.name, ready.digest, tuple(applied), gone.deleted, gone.kept)


def remove(
    client: Client,
    name: str,
    *,
    deadline: Deadline,
    report: Report = lambda line: None,
    fence: Fence = lambda: None,
) -> Removed:
    """Remove the app's objects and wait until they are gone. A no-op for an app that is not there.

    What holds others' data is left, and named in `kept` (see `prune`).
    """
    old = inventory.read_all(client).get(name)
    if old is None:
        return Removed(name, (), ())
    fence()
    inventory.write(client, Inventory(name, old.digest, False, old.refs))
    gone: Pruned = prune(client, name, old.refs, deadline=deadline, report=report, fence=fence)
    fence()
    inventory.forget(client, name)
    return Removed(name, gone.deleted, gone.kept)


def prepare(client: Client, app: App, sources: Sources) -> Prepared:
    """Render the app for this cluster. Reads only. `Permanent` when one of its objects belongs to another app."""
    known = inventory.read_all(client)
    old = known.get(app.name, Inventory(app.name, "", False, frozenset()))
    able = _capabilities(client, upgrade=old.installed) if app.chart else None
    rendered = render(
        app,
        base=sources.base,
        tool=sources.tool,
        cache=sources.cache,
        timeout=sources.timeout,
        stopped=sources.stopped,
        capabilities=able,
    )
    scope = _scope(client, app, rendered)

    def ours(documents: Iterable[Document]) -> tuple[Json, ...]:
        return tuple(
            adopt(
                one.object,
                app=app.name,
                namespace=app.namespace,
                namespaced=scope[one.object["apiVersion"], one.object["kind"]],
            )
            for one in documents
        )

    objects = ours(rendered.objects)
    before, after = tuple(map(ours, rendered.before)), tuple(map(ours, rendered.after))
    everything = [*objects, *(one for group in (*before, *after) for one in group)]
    objects = (*_namespace(client, app, everything), *objects)
    refs = frozenset(Ref.of(document) for document in (*objects, *everything, *ours(rendered.others)))
    _refuse_foreign(app.name, refs, known)
    return Prepared(digest(app, sources.base), objects, before, after, old, refs)


def _capabilities(client: Client, *, upgrade: bool) -> Capabilities:
    found = client.discovery.all()
    versions = {resource.api_version for resource in found}
    versions |= {f"{resource.api_version}/{resource.kind}" for resource in found}
    return Capabilities(str(client.version()["gitVersion"]), tuple(sorted(versions)), upgrade)


def _scope(client: Client, app: App, rendered: Rendered) -> dict[tuple[str, str], bool]:
    """(apiVersion, kind) → namespaced, of all the app's kinds; those that it defines itself too."""
    own = defined_kinds(one.object for one in rendered.all)
    scope: dict[tuple[str, str], bool] = {}
    problems = []
    for one in rendered.all:
        key = one.object["apiVersion"], one.object["kind"]
        if key in scope:
            continue
        try:
            scope[key] = (own.get(key) or client.resource(*key)).namespaced
        except NotFound as error:
            problems.append(f"{one.where}: {error}")
            scope[key] = True
    if problems:
        raise InvalidSpec([f"App {app.name}: {problem}" for problem in problems])
    return scope


def _namespace(client: Client, app: App, objects: Sequence[Json]) -> list[Json]:
    """The app's namespace as an object of the app, when the app needs it and nobody else has made it."""
    if app.namespace in _BUILT_IN or not any(one["metadata"].get("namespace") == app.namespace for one in objects):
        return []
    if any(Ref.of(one) == Ref(*NAMESPACE, "", app.namespace) for one in objects):
        return []
    try:
        if labels(client.get(f"/api/v1/namespaces/{app.namespace}")).get(APP_LABEL) != app.name:
            return []
    except ApiNotFound:
        pass
    document = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": app.namespace}}
    return [adopt(document, app=app.name, namespace="", namespaced=False)]


def _refuse_foreign(app: str, refs: frozenset[Ref], known: Mapping[str, Inventory]) -> None:
    for other in known.values():
        if other.app != app and (both := sorted(refs & other.refs)):
            raise Permanent(
                f"App {app} would take over {', '.join(map(str, both[:5]))} from app {other.app}.",
                hint="An object can belong to one app only: take it out of one of the two.",
            )


class _Work:
    """Apply with one set of options."""

    def __init__(self, client: Client, app: str, deadline: Deadline, report: Report, fence: Fence, force: bool) -> None:
        self._client, self._app, self._deadline = client, app, deadline
        self._report, self._fence, self._force = report, fence, force

    def apply(self, objects: Sequence[Json]) -> list[Applied]:
        if not objects:
            return []
        return apply_objects(self._client, objects, deadline=self._deadline, force=self._force, fence=self._fence)

    def hooks(self, group: Sequence[Json]) -> list[Applied]:
        """Helm's order of things: yesterday's hook goes, today's runs to its end, and goes if it asks for that."""
        refs = [Ref.of(document) for document in group]
        policies = {
            ref: str(annotations(one).get(_DELETE_POLICY) or "before-hook-creation")
            for ref, one in zip(refs, group, strict=True)
        }
        self._prune(ref for ref in refs if "before-hook-creation" in policies[ref])
        self._report(f"running the hooks {', '.join(map(str, refs))}")
        applied = self.apply(group)
        wait_ready(self._client, refs, deadline=self._deadline, report=self._report, to_the_end=True)
        self._prune(ref for ref in refs if "hook-succeeded" in policies[ref])
        return applied

    def _prune(self, refs: Iterable[Ref]) -> None:
        prune(self._client, self._app, refs, deadline=self._deadline, fence=self._fence)
