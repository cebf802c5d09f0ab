"""The store's address: which kinds there are, and how to print one. Standard library only."""

import re
from pathlib import Path

from boatyard.errors import Permanent

_PASSWORD = re.compile(r"(?P<before>://[^/@:]*:).*(?=@)", re.DOTALL)
"""Up to the last @, since people forget to encode one that is part of the password."""
_PARAMETER = re.compile(r"(?P<before>[?&](?:password|sslpassword|passfile)=)[^&]*", re.IGNORECASE)
_HINT = "Write sqlite:////absolute/path.db or postgresql://user@host/database."


def masked(url: str) -> str:
    """The address without its passwords, for people."""
    if url.startswith("sqlite"):
        return url
    if "://" not in url and "@" in url:
        return "***" + url[url.rindex("@") :]
    return _PARAMETER.sub(r"\g<before>***", _PASSWORD.sub(r"\g<before>***", url))


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite address, None for PostgreSQL; anything else is refused."""
    scheme, separator, rest = url.partition("://")
    kind = scheme.partition("+")[0]
    if separator and kind in {"postgresql", "postgres"}:
        return None
    if not separator or kind != "sqlite":
        raise Permanent(f"The store's address {masked(url)} is neither SQLite nor PostgreSQL.", hint=_HINT)
    name = rest.partition("?")[0].removeprefix("/")
    if not rest.startswith("/") or not name or name == ":memory:" or name.startswith("file:"):
        raise Permanent(
            f"The store's address {masked(url)} names no file, and the fleet's memory needs one.", hint=_HINT
        )
    return Path(name)
