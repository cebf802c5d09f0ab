"""Where Boatyard keeps things. Two folders and one address, each with an environment variable of its own."""

import os
from dataclasses import dataclass
from pathlib import Path


def _folder(variable: str, xdg: str, fallback: str) -> Path:
    if own := os.environ.get(variable):
        return Path(own).expanduser().absolute()
    base = Path(os.environ[xdg]) if os.environ.get(xdg) else Path.home() / fallback
    return base.absolute() / "boatyard"


@dataclass(frozen=True)
class Settings:
    """home: what must survive (store, clusters, server). cache: what can be made again. store_url: for SQLAlchemy."""

    home: Path
    cache: Path
    store_url: str

    @classmethod
    def load(cls) -> "Settings":
        home = _folder("BOATYARD_HOME", "XDG_STATE_HOME", ".local/state")
        cache = _folder("BOATYARD_CACHE", "XDG_CACHE_HOME", ".cache")
        url = os.environ.get("BOATYARD_STORE_URL") or f"sqlite:///{home / 'boatyard.db'}"
        return cls(home, cache, url)
