"""An app's source → the objects to apply, and the digest that tells whether the source has changed."""

import hashlib
import itertools
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
import yaml

from boatyard.errors import InvalidSpec, NotFound, Permanent, Temporary
from boatyard.kube.documents import Document, parse, too_big, too_deep
from boatyard.kube.objects import annotations
from boatyard.redact import redact
from boatyard.run import minimal_env, run
from boatyard.spec.models import App

Tool = Callable[[str], Path]

_SUFFIXES = {".yaml", ".yml", ".json"}
_KUSTOMIZATIONS = ("kustomization.yaml", "kustomization.yml", "Kustomization")
_DIGEST = b"boatyard-app-1"  # changes when the same source is to be deployed anew because Boatyard renders it otherwise

_PASSING = re.compile(
    r"connection re(fused|set)|no such host|timeout|timed out|unexpected EOF|(status code|:) (429|5\d\d)\b"
)
"""What Helm says of a repository or registry that may answer the next time."""
_HINTS = {
    "does not look like a TLS handshake": "If the registry speaks http without TLS, write plain_http: true.",
    "server gave HTTP response to HTTPS client": "If the registry speaks http without TLS, write plain_http: true.",
    "a login is asked for": "Log in where the flows run: helm registry login HOST.",
    "response status code 401": "Log in where the flows run: helm registry login HOST.",
}

_AT_ONCE = 400  # API versions in one argument, which Linux lets have 128 KiB

HOOK = "helm.sh/hook"
_BEFORE = {"pre-install", "pre-upgrade"}
_AFTER = {"post-install", "post-upgrade"}
_OF_UPGRADE = {"pre-upgrade", "post-upgrade"}


@dataclass(frozen=True)
class Rendered:
    """before, after: groups of Helm hooks, in order of weight, each applied and waited for before the next thing.

    Hooks of tests, rollback and deletion are left out. `crd-install`, of old charts, counts as an ordinary object.
    others: hooks of an installation where this is an upgrade, and the other way round: not to be run, nor to be pruned.
    """

    objects: tuple[Document, ...]
    before: tuple[tuple[Document, ...], ...] = ()
    after: tuple[tuple[Document, ...], ...] = ()
    others: tuple[Document, ...] = ()

    @property
    def all(self) -> Iterator[Document]:
        return itertools.chain(*self.before, self.objects, *self.after, self.others)


@dataclass(frozen=True)
class Capabilities:
    """What a chart may ask about the cluster. `api_versions`: `apps/v1` and `apps/v1/Deployment`."""

    kube_version: str | None = None
    api_versions: tuple[str, ...] = ()
    upgrade: bool = False
    """The app is there already, so the chart's upgrade hooks apply instead of those of its installation."""


def render(
    app: App,
    *,
    base: Path,
    tool: Tool,
    cache: Path,
    timeout: float = 120,
    stopped: threading.Event | None = None,
    capabilities: Capabilities | None = None,
) -> Rendered:
    """The objects of an app as its author wrote them: no namespace filled in, no label of ours.

    base: folder that the app's paths are relative to. cache: folder for Helm's downloads. timeout: seconds a program.
    stopped: ends it when set (`Fenced`).
    `NotFound` when the source is not there, `InvalidSpec` (file, document, line) when it is not made of objects,
    `Permanent` with the program's own complaint when it cannot render.
    """
    if app.manifests is not None:
        return Rendered(tuple(_manifests(app, base)))
    if app.kustomize is not None:
        folder = _existing(app, app.kustomize, base)
        argv: list[str | Path] = [tool("kubectl"), "kustomize", folder]
        env = minimal_env(HOME=str(_private(cache / "kustomize")))
        text = _program(app, argv, app.kustomize, timeout, stopped, env=env)
        return Rendered(tuple(parse(text, f"the output of kustomize for {app.kustomize}")))
    able = capabilities or Capabilities()
    return _hooked(_chart(app, base, tool, cache, timeout, stopped, able), upgrade=able.upgrade)


def digest(app: App, base: Path) -> str:
    """sha256 over all that decides what is rendered, wherever the files lie; no program is run, nothing fetched.

    Charts from a repository or registry count by address and version alone. `NotFound` when a source is not there.
    """
    total = hashlib.sha256(_DIGEST)
    settings = {
        "name": app.name,
        "namespace": app.namespace,
        "chart": None if _is_local(app) else app.chart,
        "repository": app.repository,
        "version": app.version,
        "values": app.values,
    }
    total.update(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS))
    for name, path in _sources(app, base):
        total.update(f"\0{name}\0".encode())
        total.update(hashlib.sha256(_read(app, path)).digest())
    return total.hexdigest()


def _sources(app: App, base: Path) -> Iterator[tuple[str, Path]]:
    """(name, file) for every file the rendering depends on; names are relative, so a moved checkout changes nothing."""
    for number, text in enumerate(app.values_files):
        yield f"values {number}", _existing(app, text, base)
    if app.manifests is not None:
        root = _existing(app, app.manifests, base)
        yield from _named(_manifest_files(app, root), root)
    elif app.kustomize is not None:
        root = _existing(app, app.kustomize, base)
        files: dict[Path, None] = {}
        _kustomization_files(app, root.resolve(), files)
        yield from _named(sorted(files), root.resolve())
    elif app.chart is not None and _is_local(app):
        root = _existing(app, app.chart, base)
        yield from _named(_files(root), root)


def _named(files: Iterable[Path], root: Path) -> Iterator[tuple[str, Path]]:
    for file in files:
        yield (str(file.relative_to(root)) if file.is_relative_to(root) else f"outside/{file.name}"), file


def _files(root: Path) -> list[Path]:
    """All files under a folder, hidden ones left out, sorted; the file itself when it is one."""
    if root.is_file():
        return [root]
    return sorted(
        path
        for path in root.rglob("*")
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(root).parts)
    )


def _manifest_files(app: App, root: Path) -> list[Path]:
    """A link that leads nowhere is no file that left the source: its objects would be pruned."""
    if lost := sorted(path for path in root.rglob("*") if path.suffix in _SUFFIXES and _leads_nowhere(path)):
        raise NotFound(f"App {app.name}: {lost[0]} is a link to {lost[0].readlink()}, which is not there.")
    return [file for file in _files(root) if file == root or file.suffix in _SUFFIXES]


def _leads_nowhere(path: Path) -> bool:
    return path.is_symlink() and not path.exists() and not path.name.startswith(".")


def _read(app: App, path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Permanent(f"App {app.name}: {path} cannot be read: {error.strerror}.") from None


def _kustomization_files(app: App, folder: Path, found: dict[Path, None]) -> None:
    """Every file of the folder, and of the folders and files outside of it that its kustomization names."""
    for file in _files(folder):
        found[file] = None
    for name in _KUSTOMIZATIONS:
        if (file := folder / name).is_file():
            for text in _texts(_kustomization(_read(app, file))):
                _follow(app, folder, text, found)


def _kustomization(text: bytes) -> Any:
    """The document; None for what cannot be read, of which rendering says what is wrong."""
    if too_deep(text):
        return None
    try:
        document = yaml.load(text, yaml.CSafeLoader)
    except (yaml.YAMLError, ValueError, RecursionError):
        return None
    return None if too_big(document) else document


def _follow(app: App, folder: Path, text: str, found: dict[Path, None]) -> None:
    for candidate in {text, text.partition("=")[2]}:
        if not candidate or "\n" in candidate or len(candidate) > 1000:
            continue
        path = (folder / candidate).resolve()
        if path in found or path == folder:
            continue
        if path.is_file():
            found[path] = None
        elif path.is_dir() and any((path / name).is_file() and path / name not in found for name in _KUSTOMIZATIONS):
            _kustomization_files(app, path, found)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def _existing(app: App, text: str, base: Path) -> Path:
    path = base / Path(text).expanduser()
    if not path.exists():
        raise NotFound(f"App {app.name}: {text} is not there (looked for {path}).")
    return path


def _private(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return folder


def _manifests(app: App, base: Path) -> Iterator[Document]:
    root = _existing(app, app.manifests or "", base)
    if root.is_dir() and any((root / name).is_file() for name in _KUSTOMIZATIONS):
        raise InvalidSpec(
            [f"App {app.name}: {app.manifests} is a kustomization; write `kustomize:` in place of `manifests:`"]
        )
    files = _manifest_files(app, root)
    if not files:
        raise InvalidSpec([f"App {app.name}: {app.manifests} holds no .yaml, .yml or .json file"])
    for file in files:
        yield from parse(_read(app, file), str(Path(app.manifests or "") / file.relative_to(root)))


def _is_local(app: App) -> bool:
    """True but for remote charts: a chart with neither a scheme nor a repository is a folder or an archive."""
    return app.repository is None and not (app.chart or "").startswith(("oci://", "https://", "http://"))


def _chart(
    app: App,
    base: Path,
    tool: Tool,
    cache: Path,
    timeout: float,
    stopped: threading.Event | None,
    able: Capabilities,
) -> list[Document]:
    chart = str(_existing(app, app.chart or "", base)) if _is_local(app) else str(app.chart)
    argv: list[str | Path] = [tool("helm"), "template", app.name, chart, "--namespace", app.namespace, "--include-crds"]
    argv += ["--skip-tests"]
    if app.repository:
        argv += ["--repo", app.repository]
    if app.version:
        argv += ["--version", app.version]
    if app.plain_http:
        argv += ["--plain-http"]
    for text in app.values_files:
        argv += ["--values", _existing(app, text, base)]
    if able.kube_version:
        argv += ["--kube-version", able.kube_version]
    for first in range(0, len(able.api_versions), _AT_ONCE):
        argv += ["--api-versions", ",".join(able.api_versions[first : first + _AT_ONCE])]
    if able.upgrade:
        argv += ["--is-upgrade"]
    given = None
    if app.values:  # by standard input: neither in the process list nor on disk
        argv += ["--values", "-"]
        given = orjson.dumps(app.values, option=orjson.OPT_NON_STR_KEYS)
    env = _helm_environment(_private(cache / "helm"))
    text = _program(app, argv, str(app.chart), timeout, stopped, env=env, given=given)
    _, _, objects = f"\n{text}".partition("\n---\n")  # before them Helm says which package it pulled
    return parse(objects, f"the output of helm for {app.chart}")


def _helm_environment(home: Path) -> dict[str, str]:
    """Helm with folders of our own; of the user's it only reads who logged in to which registry."""
    folders = {f"HELM_{kind.upper()}_HOME": str(home / kind) for kind in ("cache", "config", "data")}
    config = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "helm/registry/config.json"
    logins = os.environ.get("HELM_REGISTRY_CONFIG") or str(config)
    return minimal_env(HOME=str(home), HELM_REGISTRY_CONFIG=logins, **folders)


def _program(
    app: App,
    argv: list[str | Path],
    source: str,
    timeout: float,
    stopped: threading.Event | None,
    *,
    env: Mapping[str, str],
    given: bytes | None = None,
) -> str:
    result = run(argv, timeout=timeout, env=env, input=given, check=False, stopped=stopped)
    if result.code != 0:
        said = [line for line in result.stderr.strip().splitlines() if line.strip()]
        errors = [line for line in said if line.lower().startswith("error")] or said[-1:] or ["no reason given"]
        last = redact(errors[-1].replace("basic credential not found", "a login is asked for"))
        text = last.partition(":")[2].strip() or last
        message = f"App {app.name}: {Path(argv[0]).name} cannot render {source}: {text.rstrip('.')}."
        if app.chart and not _is_local(app) and _PASSING.search(text):
            raise Temporary(message, delay=5)
        raise Permanent(message, hint=next((hint for mark, hint in _HINTS.items() if mark in text), None))
    return result.stdout


def _hooked(documents: list[Document], *, upgrade: bool) -> Rendered:
    """Helm's template prints the hooks of installation and upgrade alike."""
    now = _OF_UPGRADE if upgrade else (_BEFORE | _AFTER) - _OF_UPGRADE
    ordinary: list[Document] = []
    others: list[Document] = []
    before: list[Document] = []
    after: list[Document] = []
    for document in documents:
        hooks = {part.strip() for part in str(annotations(document.object).get(HOOK, "")).split(",") if part.strip()}
        if not hooks or "crd-install" in hooks:
            ordinary.append(document)
        elif hooks & _BEFORE & now:
            before.append(document)
        elif hooks & _AFTER & now:
            after.append(document)
        elif hooks & (_BEFORE | _AFTER):
            others.append(document)
    return Rendered(tuple(ordinary), _by_weight(before), _by_weight(after), tuple(others))


def _by_weight(hooks: list[Document]) -> tuple[tuple[Document, ...], ...]:
    ordered = sorted(hooks, key=_weight)
    return tuple(tuple(group) for _, group in itertools.groupby(ordered, key=_weight))


def _weight(hook: Document) -> int:
    text = str(annotations(hook.object).get("helm.sh/hook-weight", "0"))
    try:
        return int(text)
    except ValueError:
        raise InvalidSpec([f"{hook.where}: helm.sh/hook-weight is {text!r}, expected a whole number"]) from None
