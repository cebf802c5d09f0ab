"""Which flow run carries an upgrade out: Prefect is asked by it whether a person cancelled it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("upgrades", sa.Column("run_id", sa.Text, nullable=True))


def downgrade() -> None:
    op.drop_column("upgrades", "run_id")
