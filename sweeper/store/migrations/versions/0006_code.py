"""Code: with which code a segment was trained, as its worker had imported it.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
CODE_HASH = "Hash of the code that ran it; null: lost, or before 0006"


def upgrade() -> None:
    """Add the column."""
    op.add_column("segment", sa.Column("code_hash", sa.Text(), comment=CODE_HASH), schema=SCHEMA)
