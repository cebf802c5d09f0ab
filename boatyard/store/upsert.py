"""INSERT … ON CONFLICT, which SQLite and PostgreSQL share in all but SQLAlchemy's import path."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection


def upsert(connection: Connection, table: sa.Table, values: Mapping[str, Any]) -> "sqlite.Insert | postgresql.Insert":
    """An INSERT of `values` that takes `on_conflict_do_update` and `on_conflict_do_nothing`."""
    if connection.dialect.name == "sqlite":
        return sqlite.insert(table).values(values)
    return postgresql.insert(table).values(values)
