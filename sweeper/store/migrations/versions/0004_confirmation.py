"""Confirmations: stages that train a sweep's choices again, and what they said image by image.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
SWEEP = "One protocol under which many methods are tuned, or a stage that confirms one"
CONFIRMS = "The sweep whose choices it trains again with fresh seeds; null: it searches"
STAGE = "Which confirmation of that sweep, from 1"
ORIGIN = "published, sobol, tpe; confirmed also: tuned"
SEED = "Training seed of a confirmation; null: its repeat's"
CONTENT = "Matrix of each reported image, as .npz"


def upgrade() -> None:
    """Add the columns and the table."""
    confirms = sa.Column("confirms", sa.Integer(), comment=CONFIRMS)
    op.add_column("sweep", confirms, schema=SCHEMA)
    op.add_column("sweep", sa.Column("stage", sa.Integer(), comment=STAGE), schema=SCHEMA)
    op.create_foreign_key(
        "fk_sweep_confirms",
        "sweep",
        "sweep",
        ["confirms"],
        ["id"],
        ondelete="CASCADE",
        source_schema=SCHEMA,
        referent_schema=SCHEMA,
    )
    op.create_unique_constraint(
        "uq_sweep_confirms_stage", "sweep", ["confirms", "stage"], schema=SCHEMA
    )
    op.create_table_comment("sweep", SWEEP, schema=SCHEMA)
    op.alter_column("trial", "origin", comment=ORIGIN, schema=SCHEMA)
    op.add_column("trial", sa.Column("seed", sa.BigInteger(), comment=SEED), schema=SCHEMA)
    op.create_table(
        "confusion",
        sa.Column("study_id", sa.Integer(), comment="The confirmation's study"),
        sa.Column("number", sa.Integer(), comment="The confirmation's number"),
        sa.Column("content", sa.LargeBinary(), nullable=False, comment=CONTENT),
        sa.Column(
            "recorded_at",
            sa.DateTime(timezone=True),
            nullable=False,
            server_default=sa.func.now(),
            comment="When the reported split was read for it",
        ),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_confusion"),
        sa.ForeignKeyConstraint(
            ["study_id", "number"],
            [f"{SCHEMA}.trial.study_id", f"{SCHEMA}.trial.number"],
            name="fk_confusion_study_id_number",
            ondelete="CASCADE",
        ),
        schema=SCHEMA,
        comment="Confusion matrices of a confirmation, image by image",
    )
