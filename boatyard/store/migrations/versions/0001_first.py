"""The first tables: clusters, leases, journal, conditions, activity, claims."""

from datetime import datetime

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TIME = sa.DateTime(timezone=True)


def text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def time(name: str, nullable: bool = False) -> sa.Column[datetime]:
    return sa.Column(name, TIME, nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "clusters",
        text("name"),
        sa.Column("desired", sa.JSON, nullable=False),
        sa.Column("observed", sa.JSON),
        text("source", nullable=True),
        text("base", nullable=True),
        text("state"),
        time("created_at"),
        time("updated_at"),
        time("observed_at", nullable=True),
        time("deleted_at", nullable=True),
        sa.PrimaryKeyConstraint("name", name="pk_clusters"),
    )
    op.create_table(
        "leases",
        text("cluster"),
        sa.Column("number", sa.BigInteger, nullable=False),
        text("holder", nullable=True),
        text("operation"),
        text("run_id", nullable=True),
        text("resume_key"),
        sa.Column("ttl", sa.Float, nullable=False),
        time("since"),
        time("expires_at"),
        text("host"),
        sa.Column("pid", sa.BigInteger, nullable=False),
        text("machine"),
        text("started"),
        text("taken_from", nullable=True),
        sa.PrimaryKeyConstraint("cluster", name="pk_leases"),
    )
    op.create_table(
        "journal",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        text("cluster"),
        text("operation"),
        text("run_id", nullable=True),
        text("verb"),
        text("target"),
        text("reason"),
        text("who"),
        sa.Column("fence", sa.BigInteger),
        time("begun_at"),
        time("ended_at", nullable=True),
        text("outcome"),
        text("message"),
        sa.PrimaryKeyConstraint("id", name="pk_journal"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_journal_cluster", "journal", ["cluster"])
    op.create_table(
        "conditions",
        text("cluster"),
        text("type"),
        text("status"),
        text("reason"),
        text("message"),
        time("transition_at"),
        time("checked_at"),
        sa.PrimaryKeyConstraint("cluster", "type", name="pk_conditions"),
        sa.ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_conditions_cluster", ondelete="CASCADE"),
    )
    op.create_table(
        "activity",
        text("cluster"),
        time("last_active_at", nullable=True),
        text("kind"),
        text("evidence"),
        time("checked_at"),
        time("warned_at", nullable=True),
        time("hibernated_at", nullable=True),
        sa.PrimaryKeyConstraint("cluster", name="pk_activity"),
        sa.ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_activity_cluster", ondelete="CASCADE"),
    )
    op.create_table(
        "claims",
        text("key"),
        text("cluster", nullable=True),
        time("opened_at", nullable=True),
        time("closed_at", nullable=True),
        sa.Column("settled", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_claims"),
    )
    op.create_index("ix_claims_cluster", "claims", ["cluster"])
