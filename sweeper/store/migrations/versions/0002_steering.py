"""Steering and pictures: a sweep can be paused, its methods cancelled, its trials looked at.

Revision ID: 0002
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
PAUSED_BY = "Who asked it to pause; null: nobody, or it was resumed"
STATES = "active, parked, halted or cancelled"
REASON = "Why it is parked, halted or cancelled"


def upgrade() -> None:
    """Add the column and the table, and say what a study's state may now be."""
    op.add_column("sweep", sa.Column("paused_by", sa.Text(), comment=PAUSED_BY), schema=SCHEMA)
    op.alter_column("study", "state", comment=STATES, schema=SCHEMA)
    op.alter_column("study", "reason", comment=REASON, schema=SCHEMA)
    _create_picture()


def _create_picture() -> None:
    op.create_table(
        "picture",
        _filled("id", sa.Text(), "Name under which Optuna's tools ask for it"),
        _filled("study_id", sa.Integer(), "The trial's study"),
        _filled("number", sa.Integer(), "The trial's number"),
        _filled("kind", sa.Text(), "prediction: image, labels, student, teacher"),
        _filled("media_type", sa.Text(), "Such as image/png"),
        _filled("content", sa.LargeBinary(), "The file"),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.text("now()"),
            comment="When it was recorded",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_picture"),
        sa.UniqueConstraint("study_id", "number", "kind", name="uq_picture_study_id_number_kind"),
        sa.ForeignKeyConstraint(
            ["study_id", "number"],
            [f"{SCHEMA}.trial.study_id", f"{SCHEMA}.trial.number"],
            name="fk_picture_study_id_number",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
        comment="A picture of a finished trial, for the dashboard",
    )


def _filled(name: str, kind: sa.types.TypeEngine[Any], comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False, comment=comment)
