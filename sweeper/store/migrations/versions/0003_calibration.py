"""Calibration: what a method must have before its first trial, and its multiplier's range.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
CALIBRATION = "Gradient shares of its terms, hence its multiplier's range; null: not measured"
PREPARATION = "The method whose preparation it needs, trained once per teacher; null: none"
KIND = "teacher, preparation, or the student of a calibration"


def upgrade() -> None:
    """Add the columns."""
    op.add_column("study", sa.Column("calibration", JSONB(), comment=CALIBRATION), schema=SCHEMA)
    op.add_column("study", sa.Column("preparation", sa.Text(), comment=PREPARATION), schema=SCHEMA)
    op.alter_column("artifact", "kind", comment=KIND, schema=SCHEMA)
