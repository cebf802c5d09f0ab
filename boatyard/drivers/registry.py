"""Drivers, found by entry point: packages with the modules `spec` (class `Provider`) and `driver` (class `Driver`)."""

import importlib
from typing import cast

from boatyard.drivers.base import Adoptable, Driver, Env
from boatyard.spec.models import Cluster
from boatyard.spec.provider import driver_packages, settings_model


def driver_class(kind: str) -> type[Driver]:
    """The driver class of one kind; `NotFound` names the kinds there are."""
    settings_model(kind)
    return cast(type[Driver], importlib.import_module(f"{driver_packages()[kind]}.driver").Driver)


def adopting(source: str) -> type[Adoptable] | None:
    """The driver that takes clusters over from `source`; None when none does."""
    for kind in driver_packages():
        found = driver_class(kind)
        if source.startswith(getattr(found, "adopts", ())):
            return cast(type[Adoptable], found)
    return None


def driver_for(cluster: Cluster, env: Env) -> Driver:
    return driver_class(cluster.provider.kind)(cluster, env)
