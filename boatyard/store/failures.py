"""From what a database or the file system says to our own errors: one sentence, no traceback, no password."""

import errno
import sqlite3

import sqlalchemy as sa

from boatyard.errors import BoatyardError, Permanent, Temporary

_SPACE = "Free some space on that disk; nothing was changed."
_ACCESS = "Give this user the right to write there, or set BOATYARD_STORE_URL."
_SERVER = "Check that the PostgreSQL server runs and can be reached."

_PERMANENT_TEXTS = (
    "authentication failed",
    "no password supplied",
    "does not exist",
    "no pg_hba.conf entry",
    "permission denied for",
    "invalid connection option",
    "is not permitted to log in",
)


def translate(error: Exception, label: str, password: str | object | None) -> BoatyardError:
    """The `Temporary` or `Permanent` for `error`; `label` names the store."""
    cause: BaseException = error.orig if isinstance(error, sa.exc.StatementError) and error.orig else error
    if isinstance(cause, BoatyardError):
        return cause
    if isinstance(cause, OSError):
        return _from_system(cause, label)
    if isinstance(cause, sqlite3.Error):
        return _from_sqlite(cause, label)
    if isinstance(cause, TypeError | ValueError):
        return Permanent(f"A value cannot be kept in the store {label}: {cause}.")
    return _from_postgres(cause, label, str(password) if password else None)


def _from_system(error: OSError, label: str) -> BoatyardError:
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return Temporary(f"The disk of the store {label} is full.", delay=30, hint=_SPACE)
    return Permanent(f"The store {label} cannot be opened: {error.strerror}.", hint=_ACCESS)


def _from_sqlite(error: sqlite3.Error, label: str) -> BoatyardError:
    name = getattr(error, "sqlite_errorname", "")
    if name == "SQLITE_FULL":
        return Temporary(f"The disk of the store {label} is full.", delay=30, hint=_SPACE)
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Temporary(f"The store {label} is busy: another process has kept it locked too long.")
    if name.startswith("SQLITE_IOERR"):
        return Temporary(
            f"The disk of the store {label} failed ({name}).",
            delay=30,
            hint="It may be full; look at it and at the system's log.",
        )
    if name.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM", "SQLITE_AUTH")):
        return Permanent(f"The store {label} cannot be written: {error}.", hint=_ACCESS)
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return Permanent(
            f"The file {label} is no sound store: {error}.",
            hint="Restore it from a backup, or move it away to begin anew.",
        )
    return Permanent(f"The store {label} refused a statement: {error}.")


def _from_postgres(error: BaseException, label: str, password: str | None) -> BoatyardError:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    if password:
        text = text.replace(password, "***")
    state = getattr(error, "sqlstate", None) or ""
    if state.startswith("53"):
        return Temporary(f"The store {label} is out of resources: {text}.", delay=30, hint=_SPACE)
    if state.startswith(("08", "40", "57", "55P03", "25006")):
        return Temporary(f"The store {label} could not do it now: {text}.")
    if not state and not any(word in text for word in _PERMANENT_TEXTS):
        return Temporary(f"The store {label} does not answer: {text}.", delay=5, hint=_SERVER)
    return Permanent(
        f"The store {label} refused: {text}.", hint="Check the address, the user's rights and the database."
    )
