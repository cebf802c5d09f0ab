"""Pure time arithmetic."""

import functools
import zoneinfo


@functools.cache
def known_zone(name: str) -> bool:
    """Whether the time zone database has `name`."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


def zone_names() -> tuple[str, ...]:
    """Every time zone there is; walks the database, so only for error messages and forms."""
    return tuple(sorted(zoneinfo.available_timezones()))
