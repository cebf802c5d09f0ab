"""A commented example to start from, made from the models, so that it never says what the program does not do.

A driver may put a text `EXAMPLE` into its `spec` module: the lines under `provider:`, not indented, `kind` included.
Of an `EXAMPLE` that is a whole cluster's file the provider is taken.
"""

import json
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from boatyard.spec import models
from boatyard.spec.docstrings import about
from boatyard.spec.document import parse
from boatyard.spec.provider import ProviderSettings, settings_model
from boatyard.spec.types import format_duration

WIDTH = 100
_PLAIN = re.compile(r"[A-Za-z][A-Za-z0-9@./_-]*")

_HEAD = """\
# A cluster, as Boatyard keeps it. Lines behind '#' show what is assumed when they are left out, or what may be said.
# See what would be done: boatyard plan FILE. Do it: boatyard apply FILE.
"""

_APPS = """\
# Apps, each from one source: manifests (file or folder), kustomize (folder) or chart (folder, oci://…, or name and
# repository). Paths start at this file's folder.
# apps:
#   - {name: ingress, namespace: ingress, chart: ingress-nginx, repository: https://charts.example.com, version: 4.12.1}
#   - {name: shop, kustomize: apps/shop/overlays/prod, depends_on: [ingress], timeout: 10m}
"""

_OPTIONAL = {
    "ttl": "8h",
    "idle": "{after: 14d, grace: 2d, delete: true}",
    "surge": "3",
    "drain_order": '["tier=batch", "tier=web"]',
    "force_after": "10m",
    "before": '[{name: announce, command: [/usr/local/bin/announce, "upgrade begins"], on_failure: go_on}]',
    "after": "[{name: smoke-test, deployment: smoke-test/production, parameters: {of: '{cluster}'}}]",
    "hibernate": '{sleep: "Fri 20:00", wake: "Mon 06:30", timezone: Europe/Berlin}',
}


def commented_example(kind: str) -> str:
    """A cluster's file for one kind of provider, which loads without errors. `NotFound` when there is no such kind."""
    settings = settings_model(kind)
    sample: dict[str, Any] = {
        "apiVersion": "boatyard/v1",
        "kind": "Cluster",
        "name": settings.example_name,
        "owner": "team-shop@example.com",
        "labels": {"team": "shop"},
        "kubernetes": {"version": _version(settings), "channel": "stable"},
        "control_plane": {"count": 1},
        "policy": {"maintenance": {"window": "Sat 02:00-06:00 Europe/Berlin"}},
    }
    special = {"provider": _provider(settings), "pools": _pools(), "apps": _APPS.splitlines()}
    lines = list(_fields(models.Cluster, sample, special))
    return _HEAD + "\n" + "\n".join(lines) + "\n"


def _version(settings: type[ProviderSettings]) -> str:
    """The newest minor but one: what the channel `stable` will not want to leave at once."""
    return settings.minors[-2:][0] if settings.minors else "1.35"


def _fields(
    model: type[BaseModel], sample: Mapping[str, Any], special: Mapping[str, list[str]], top: bool = True
) -> Iterator[str]:
    for name, field in model.model_fields.items():
        if top and name not in ("apiVersion", "kind", "name"):
            yield ""
        if name in special:
            yield from special[name]
            continue
        yield from _comment(_about(model, name))
        inner = _inner(field)
        if inner is not None and (name in sample or _all_optional(inner)):
            live = name in sample
            lines = [f"{name}:", *_indented(_fields(inner, sample.get(name, {}), {}, top=False))]
            yield from lines if live else (line if line.lstrip().startswith("#") else f"# {line}" for line in lines)
        elif name in sample:
            yield f"{name}: {_yaml(sample[name])}"
        else:
            yield f"# {name}: {_OPTIONAL.get(name) or _yaml(field.get_default(call_default_factory=True))}"


def _about(model: type[BaseModel], name: str) -> str:
    """The field's own docstring, else that of the model it holds."""
    if text := about(model, name):
        return text
    inner = _inner(model.model_fields[name])
    return (inner.__doc__ or "") if inner is not None else ""


def _inner(field: FieldInfo) -> type[BaseModel] | None:
    annotation = field.annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _all_optional(model: type[BaseModel]) -> bool:
    return not any(field.is_required() for field in model.model_fields.values())


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in textwrap.wrap(" ".join(text.split()), WIDTH)]


def _indented(lines: Iterator[str]) -> list[str]:
    return [f"  {line}" if line else "" for line in lines]


def _yaml(value: Any) -> str:
    """A value in one line; JSON is YAML, and quotes every text."""
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, str) and _PLAIN.fullmatch(value) and value.lower() not in ("true", "false", "null"):
        return value
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "[" + ", ".join(_yaml(inner) for inner in value) + "]"
    return json.dumps(value, ensure_ascii=False)


def _pools() -> list[str]:
    about = models.Pool.__doc__ or ""
    return [
        *_comment(f"{about} Several are fine; `max` above `min` is for an autoscaler."),
        "pools:",
        "  - name: web",
        "    min: 2",
        "    max: 4",
        "    labels: {tier: web}",
        "  - name: batch",
        "    min: 1",
        '    taints: ["batch=true:NoSchedule"]',
    ]


def _provider(settings: type[ProviderSettings]) -> list[str]:
    written = getattr(sys.modules[settings.__module__], "EXAMPLE", None)
    lines = _written(written) if isinstance(written, str) else list(_settings(settings))
    return [*_comment(settings.__doc__ or ""), "provider:", *(f"  {line}" if line else "" for line in lines)]


def _written(example: str) -> list[str]:
    documents, _ = parse(example, "EXAMPLE")
    provider = documents[0].get("provider") if documents else None
    if provider is None:
        return example.strip("\n").splitlines()
    return [f"{key}: {_yaml(value)}" for key, value in provider.data().items()]


def _settings(settings: type[ProviderSettings]) -> Iterator[str]:
    for name, field in settings.model_fields.items():
        yield from _comment(about(settings, name) or "")
        if not field.is_required():
            yield f"# {name}: {_yaml(field.get_default(call_default_factory=True))}"
        elif name == "kind":
            yield f"kind: {get_args(field.annotation)[0]}"
        elif field.examples:
            yield f"{name}: {_yaml(field.examples[0])}"
        else:
            raise TypeError(f"{settings.__module__} needs EXAMPLE, or an example in its required field {name}")
