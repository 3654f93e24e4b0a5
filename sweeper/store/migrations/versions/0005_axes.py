"""Axes: what is trained again at equal cost, to be described beside a confirmation.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
SWEEP = "One protocol under which many methods are tuned, or what trains its choices again"
STAGE = "Which confirmation of that sweep, from 1; null: none"
CONFIRMS = "The sweep whose choices it trains again, or the stage beside; null: it searches"
AXIS = "What it makes equal beside that stage: tuning, say; or null"


def upgrade() -> None:
    """Add the column."""
    op.add_column("sweep", sa.Column("axis", sa.Text(), comment=AXIS), schema=SCHEMA)
    op.alter_column("sweep", "stage", comment=STAGE, schema=SCHEMA)
    op.alter_column("sweep", "confirms", comment=CONFIRMS, schema=SCHEMA)
    op.create_table_comment("sweep", SWEEP, schema=SCHEMA)
