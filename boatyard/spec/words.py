"""Small texts of error messages: field paths, values safe to print, nearest matches."""

import re
from collections.abc import Mapping
from typing import Any

MOST_OPTIONS = 1000
"""Options that a nearest match is looked for among; more than there are time zones."""

Path = tuple[str | int, ...]
"""Keys and list positions from the top of a document."""


def dotted(path: Path) -> str:
    """`("pools", 0, "max")` as `pools[0].max`."""
    out = ""
    for part in path:
        if isinstance(part, int):
            out += f"[{part}]"
        else:
            name = part if re.fullmatch(r"[A-Za-z0-9_/-]{1,80}", part) else shown(part)
            out += f".{name}" if out else name
    return out


def shown(text: str, limit: int = 60) -> str:
    """Text in quotes, cut to `limit`, with everything that does not print escaped: safe for one terminal line."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


def shown_name(file: str) -> str:
    """A file name as it is, unless it holds something that does not print."""
    return file if file.isprintable() else shown(file, 200)


def nearest_match(word: str, options: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str | None:
    """The option that the writer most likely meant, or None."""
    import difflib  # only ever needed when there is a mistake

    if len(word) > 80:
        return None
    by_lower = {option.lower(): option for option in list(options)[:MOST_OPTIONS]}
    close = difflib.get_close_matches(word.lower(), list(by_lower), n=1, cutoff=0.6)
    return by_lower[close[0]] if close else None


def did_you_mean(word: str, options: Mapping[str, Any] | list[str] | tuple[str, ...]) -> str:
    """`, did you mean 'x'?`, or nothing."""
    match = nearest_match(word, options)
    return f", did you mean {match!r}?" if match is not None and match != word else ""
