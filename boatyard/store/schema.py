"""The tables. Migrations create them; a test proves that both agree."""

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

metadata = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_name)s",
    }
)


class Utc(sa.types.TypeDecorator[datetime]):
    """An aware time in UTC; SQLite keeps it as text of fixed width, which sorts as time does."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _time(name: str, *, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, Utc, nullable=nullable)


def _text(name: str, *, nullable: bool = False, key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=nullable, primary_key=key)


def _cluster_key() -> sa.Column[Any]:
    return sa.Column("cluster", sa.Text, sa.ForeignKey("clusters.name", ondelete="CASCADE"), primary_key=True)


clusters = sa.Table(
    "clusters",
    metadata,
    _text("name", key=True),
    sa.Column("desired", sa.JSON(none_as_null=True), nullable=False),
    sa.Column("observed", sa.JSON(none_as_null=True)),
    _text("source", nullable=True),
    _text("base", nullable=True),
    _text("state"),
    _time("created_at"),
    _time("updated_at"),
    _time("observed_at", nullable=True),
    _time("deleted_at", nullable=True),
)

# No foreign key to clusters: the fencing number must outlive the cluster's row, or a name used again would start at 1.
leases = sa.Table(
    "leases",
    metadata,
    _text("cluster", key=True),
    sa.Column("number", sa.BigInteger, nullable=False),
    _text("holder", nullable=True),
    _text("operation"),
    _text("run_id", nullable=True),
    _text("resume_key"),
    sa.Column("ttl", sa.Float, nullable=False),
    _time("since"),
    _time("expires_at"),
    _text("host"),
    sa.Column("pid", sa.BigInteger, nullable=False),
    _text("machine"),
    _text("started"),
    _text("taken_from", nullable=True),
)

journal = sa.Table(
    "journal",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("cluster", sa.Text, nullable=False, index=True),
    _text("operation"),
    _text("run_id", nullable=True),
    _text("verb"),
    _text("target"),
    _text("reason"),
    _text("who"),
    sa.Column("fence", sa.BigInteger),
    _time("begun_at"),
    _time("ended_at", nullable=True),
    _text("outcome"),
    _text("message"),
    sqlite_autoincrement=True,
)

conditions = sa.Table(
    "conditions",
    metadata,
    _cluster_key(),
    _text("type", key=True),
    _text("status"),
    _text("reason"),
    _text("message"),
    _time("transition_at"),
    _time("checked_at"),
)

activity = sa.Table(
    "activity",
    metadata,
    _cluster_key(),
    _time("last_active_at", nullable=True),
    _text("kind"),
    _text("evidence"),
    _time("checked_at"),
    _time("warned_at", nullable=True),
    _time("hibernated_at", nullable=True),
)

rehearsals = sa.Table(
    "rehearsals",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("cluster", sa.Text, sa.ForeignKey("clusters.name", ondelete="CASCADE"), nullable=False, index=True),
    _text("version"),
    _text("plan"),
    _text("spec"),
    sa.Column("well", sa.Boolean, nullable=False),
    _time("ended_at"),
    sa.Column("report", sa.JSON(none_as_null=True), nullable=False),
    sqlite_autoincrement=True,
)

claims = sa.Table(
    "claims",
    metadata,
    _text("key", key=True),
    sa.Column("cluster", sa.Text, index=True),
    _time("opened_at", nullable=True),
    _time("closed_at", nullable=True),
    sa.Column("settled", sa.Boolean, nullable=False),
)

rules = sa.Table(
    "rules",
    metadata,
    _text("name", key=True),
    sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
    _text("source", nullable=True),
    _time("updated_at"),
)

upgrades = sa.Table(
    "upgrades",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    sa.Column("cluster", sa.Text, sa.ForeignKey("clusters.name", ondelete="CASCADE"), nullable=False, index=True),
    _text("version"),
    sa.Column("asleep", sa.Boolean, nullable=False),
    sa.Column("forced", sa.Boolean, nullable=False),
    _time("begun_at"),
    _time("ended_at", nullable=True),
    _text("outcome"),
    _text("message"),
    _text("machine"),
    sa.Column("pid", sa.BigInteger, nullable=False),
    _text("started"),
    _text("run_id", nullable=True),
    sqlite_autoincrement=True,
)

answers = sa.Table(
    "answers",
    metadata,
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
    _text("ring"),
    _text("version"),
    sa.Column("granted", sa.Boolean, nullable=False),
    _text("who"),
    _text("note"),
    _time("answered_at"),
    sqlite_autoincrement=True,
)

soaked = sa.Table(
    "soaked",
    metadata,
    _text("ring", key=True),
    _text("version", key=True),
    _time("soaked_at"),
)

lifts = sa.Table(
    "lifts",
    metadata,
    _text("ring", key=True),
    _text("who"),
    _time("lifted_at"),
)
