"""What a distribution adds to the spec: one settings model a driver, found by entry point.

A driver package named in the entry-point group `boatyard.drivers` has a module `spec` with a class `Provider`.
"""

import functools
import importlib
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from boatyard.errors import NotFound
from boatyard.spec.base import Model, legible

GROUP = "boatyard.drivers"


def _by_kind(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Every driver's class is called Provider: a choice between them shows their kinds."""
    legible(schema, model)
    schema["title"] = schema["properties"]["kind"].get("const", schema["title"])


class ProviderSettings(Model):
    """Base of every driver's settings; subclasses narrow `kind` to `Literal["…"]` and add fields of their own."""

    model_config = ConfigDict(json_schema_extra=_by_kind)

    kind: str

    minors: ClassVar[tuple[str, ...]] = ()
    """Kubernetes minors this provider can run, oldest first; empty when only the provider itself knows."""

    sizes: ClassVar[tuple[str, ...]] = ()
    """Instance types this provider knows, for the nearest match in errors; empty when open-ended."""

    example_name: ClassVar[str] = "shop"
    """What an example's cluster is called; a provider may want more than a label."""

    @property
    def account(self) -> str | None:
        """What clusters have in common that are in one account of the provider: upgrades there have a limit of their
        own. None where there are no accounts."""
        return None

    @classmethod
    def rules(cls, cluster: Mapping[str, Any]) -> Iterator[tuple[tuple[str | int, ...], str]]:
        """Rules between these settings and the rest of a cluster: where, and what is wrong there. `cluster` is plain
        data, as from YAML: what was left out is not there, and any of it may be wrong in other ways."""
        return iter(())


@functools.cache
def driver_packages() -> dict[str, str]:
    """Kind → dotted name of the driver's package, from every installed distribution's entry points."""
    return {point.name: point.value for point in sorted(entry_points(group=GROUP), key=lambda p: p.name)}


@functools.cache
def settings_model(kind: str) -> type[ProviderSettings]:
    """The settings model of one kind; `NotFound` names the kinds there are."""
    packages = driver_packages()
    if kind not in packages:
        raise NotFound(f"no driver named {kind!r} is installed; there are: {', '.join(packages) or 'none'}.")
    model: type[ProviderSettings] = importlib.import_module(f"{packages[kind]}.spec").Provider
    if not issubclass(model, ProviderSettings):
        raise TypeError(f"{packages[kind]}.spec.Provider must be a ProviderSettings")
    return model


def all_settings_models() -> tuple[type[ProviderSettings], ...]:
    return tuple(settings_model(kind) for kind in driver_packages())
