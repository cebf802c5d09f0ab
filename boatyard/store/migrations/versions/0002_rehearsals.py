"""Rehearsals of upgrades, which a policy may ask for."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "rehearsals",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("cluster", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("plan", sa.Text, nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("well", sa.Boolean, nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("report", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_rehearsals"),
        sa.ForeignKeyConstraint(["cluster"], ["clusters.name"], name="fk_rehearsals_cluster", ondelete="CASCADE"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_rehearsals_cluster", "rehearsals", ["cluster"])
