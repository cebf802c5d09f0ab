"""Scheduled upgrades of a fleet: its rules, what was tried, what people answered, what has soaked."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def time(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, TIME, nullable=nullable)


def number() -> sa.Column[int]:
    return sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False)


def upgrade() -> None:
    op.create_table(
        "rules",
        text("name"),
        sa.Column("document", sa.JSON, nullable=False),
        text("source", nullable=True),
        time("updated_at"),
        sa.PrimaryKeyConstraint("name", name="pk_rules"),
    )
    op.create_table(
        "upgrades",
        number(),
        text("cluster"),
        text("version"),
        sa.Column("asleep", sa.Boolean, nullable=False),
        sa.Column("forced", sa.Boolean, nullable=False),
        time("begun_at"),
        time("ended_at", nullable=True),
        text("outcome"),
        text("message"),
        text("machine"),
        sa.Column("pid", sa.BigInteger, nullable=False),
        text("started"),
        sa.ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_upgrades_cluster", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name="pk_upgrades"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_upgrades_cluster", "upgrades", ["cluster"])
    op.create_table(
        "answers",
        number(),
        text("ring"),
        text("version"),
        sa.Column("granted", sa.Boolean, nullable=False),
        text("who"),
        text("note"),
        time("answered_at"),
        sa.PrimaryKeyConstraint("id", name="pk_answers"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "soaked",
        text("ring"),
        text("version"),
        time("soaked_at"),
        sa.PrimaryKeyConstraint("ring", "version", name="pk_soaked"),
    )
    op.create_table(
        "lifts",
        text("ring"),
        text("who"),
        time("lifted_at"),
        sa.PrimaryKeyConstraint("ring", name="pk_lifts"),
    )


def downgrade() -> None:
    for name in ("lifts", "soaked", "answers", "upgrades", "rules"):
        op.drop_table(name)
