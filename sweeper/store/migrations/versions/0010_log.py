"""The log of every sweep: its tables as they were first released.

Revision ID: 0010
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeEngine

revision = "0010"
down_revision = None
branch_labels = None
depends_on = None

SCHEMA = "sweeper"
TIME = sa.DateTime(timezone=True)
NOW = sa.text("now()")


def upgrade() -> None:
    """Create every table; Alembic's own one gets its comments too."""
    _create_artifact()
    _create_sweep()
    _create_event()
    _create_launch()
    _create_lease()
    _create_segment()
    _create_study()
    _create_bracket()
    _create_trial()
    _create_rung()
    _create_segment_member()
    _create_picture()
    _create_confusion()
    op.execute("COMMENT ON TABLE sweeper.alembic_version IS 'Which revision these tables have'")
    op.execute("COMMENT ON COLUMN sweeper.alembic_version.version_num IS 'The revision'")


def _filled(
    name: str,
    kind: TypeEngine[Any],
    comment: str,
    *identity: sa.Identity,
    default: str | sa.TextClause | None = None,
) -> sa.Column[Any]:
    return sa.Column(name, kind, *identity, nullable=False, server_default=default, comment=comment)


def _optional(name: str, kind: TypeEngine[Any], comment: str) -> sa.Column[Any]:
    return sa.Column(name, kind, comment=comment)


def _part_of(
    table: str, columns: list[str], whole: str, keys: list[str]
) -> sa.ForeignKeyConstraint:
    """Return the reference to the row with which a row of `table` is deleted."""
    name = f"fk_{table}_{'_'.join(columns)}"
    targets = [f"{SCHEMA}.{whole}.{key}" for key in keys]
    return sa.ForeignKeyConstraint(columns, targets, name=name, ondelete="CASCADE")


def _create_artifact() -> None:
    op.create_table(
        "artifact",
        _filled("hash", sa.Text(), "sha256 of its identity"),
        _filled("kind", sa.Text(), "teacher, preparation, or the student of a calibration"),
        _filled("origin", sa.Text(), "trained, or the file it was taken from"),
        _filled("identity", JSONB(), "All inputs that determine it"),
        _filled("path", sa.Text(), "Where its file lies"),
        _filled("weights_hash", sa.Text(), "sha256 of its weights"),
        _filled("metrics", JSONB(), "For example its score on the selection split"),
        _filled("created_at", TIME, "When it was stored", default=NOW),
        sa.PrimaryKeyConstraint("hash", name="pk_artifact"),
        schema=SCHEMA,
        comment="Something trained once and used by many trials",
    )


def _create_sweep() -> None:
    op.create_table(
        "sweep",
        _filled("id", sa.Integer(), "Surrogate key", sa.Identity()),
        _filled("name", sa.Text(), "Name given by its users"),
        _filled("created_at", TIME, "When it was first launched", default=NOW),
        _filled("seed", sa.BigInteger(), "Root of every seed of the sweep"),
        _filled("protocol", JSONB(), "All that is equal for every method"),
        _filled("protocol_hash", sa.Text(), "sha256 of the protocol"),
        _optional("teacher_hash", sa.Text(), "Weights of its teacher; frozen when first needed"),
        _filled("folder", sa.Text(), "Name of its checkpoint folder: no other's"),
        _optional("paused_by", sa.Text(), "Who asked it to pause; null: nobody, or it was resumed"),
        _optional(
            "confirms",
            sa.Integer(),
            "The sweep whose choices it trains again, or the stage beside; null: it searches",
        ),
        _optional("stage", sa.Integer(), "Which confirmation of that sweep, from 1; null: none"),
        _optional(
            "equal_cost", sa.Text(), "What it compares at equal cost beside that stage; or null"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_sweep"),
        _part_of("sweep", ["confirms"], "sweep", ["id"]),
        sa.UniqueConstraint("name", name="uq_sweep_name"),
        sa.UniqueConstraint("confirms", "stage", name="uq_sweep_confirms_stage"),
        schema=SCHEMA,
        comment="One protocol under which many methods are tuned, or what trains its choices again",
    )


def _create_event() -> None:
    op.create_table(
        "event",
        _filled("id", sa.BigInteger(), "Order of events", sa.Identity()),
        _filled("sweep_id", sa.Integer(), "The sweep"),
        _optional("study_id", sa.Integer(), "The study, if it concerns one"),
        _optional("number", sa.Integer(), "The trial's number, if it concerns one"),
        _filled("at", TIME, "When", default=NOW),
        _filled("kind", sa.Text(), "Such as planned, judged, complete, lost"),
        _filled("detail", JSONB(), "What happened"),
        sa.PrimaryKeyConstraint("id", name="pk_event"),
        _part_of("event", ["sweep_id"], "sweep", ["id"]),
        schema=SCHEMA,
        comment="What the state machine decided, in order",
    )
    op.create_index("ix_event_sweep_id", "event", ["sweep_id"], schema=SCHEMA)


def _create_launch() -> None:
    op.create_table(
        "launch",
        _filled("id", sa.BigInteger(), "Surrogate key", sa.Identity()),
        _filled("sweep_id", sa.Integer(), "The sweep"),
        _filled("at", TIME, "When", default=NOW),
        _filled("who", sa.Text(), "user@host"),
        _filled("command", sa.Text(), "Command line, passwords masked"),
        _filled("provenance", JSONB(), "Versions, git commit, hardware"),
        sa.PrimaryKeyConstraint("id", name="pk_launch"),
        _part_of("launch", ["sweep_id"], "sweep", ["id"]),
        schema=SCHEMA,
        comment="Who launched what, when, with which software",
    )
    op.create_index("ix_launch_sweep_id", "launch", ["sweep_id"], schema=SCHEMA)


def _create_lease() -> None:
    op.create_table(
        "lease",
        _filled("sweep_id", sa.Integer(), "The sweep that is driven"),
        _filled("epoch", sa.BigInteger(), "Raised by every taking; fences writes"),
        _optional("holder", sa.Text(), "user@host, process id; null when released"),
        _optional("host", sa.Text(), "Host of the driver"),
        _optional("boot", sa.Text(), "Identity of that host's boot"),
        _optional("pid", sa.Integer(), "Process id of the driver"),
        _optional(
            "process_started", sa.Double(), "When that process started, in ticks since the boot"
        ),
        _filled("renewed_at", TIME, "When its driver last renewed it", default=NOW),
        sa.PrimaryKeyConstraint("sweep_id", name="pk_lease"),
        _part_of("lease", ["sweep_id"], "sweep", ["id"]),
        schema=SCHEMA,
        comment="Who drives a sweep: one driver at a time",
    )


def _create_segment() -> None:
    op.create_table(
        "segment",
        _filled("id", sa.BigInteger(), "Also names its folder", sa.Identity()),
        _filled("sweep_id", sa.Integer(), "The sweep it belongs to"),
        _filled("epoch", sa.BigInteger(), "Epoch of the lease it was issued under"),
        _filled("seed", sa.BigInteger(), "Training seed of all its members"),
        _filled("start_step", sa.BigInteger(), "Step of its members' checkpoints"),
        _filled("stop_step", sa.BigInteger(), "Step it is to reach: a rung"),
        _filled("state", sa.Text(), "in flight, done, interrupted, lost (driver gone)"),
        _filled("folder", sa.Text(), "Where its checkpoints are written"),
        _filled("progress_step", sa.BigInteger(), "Step last reported"),
        _optional("device_name", sa.Text(), "Model of the device that ran it"),
        _optional("code_hash", sa.Text(), "Hash of the code that ran it; null: lost"),
        _filled("started_at", TIME, "When it was issued", default=NOW),
        _optional("heartbeat_at", TIME, "When its worker last reported"),
        _optional("ended_at", TIME, "When its outcome was recorded"),
        _optional("wall_seconds", sa.Double(), "Wall time as measured by the worker"),
        _optional("notes", JSONB(), "What the worker had to say, for example a split cohort"),
        sa.PrimaryKeyConstraint("id", name="pk_segment"),
        _part_of("segment", ["sweep_id"], "sweep", ["id"]),
        schema=SCHEMA,
        comment="The unit of work: members trained together from one step to another",
    )
    op.create_index(
        "ix_segment_in_flight",
        "segment",
        ["sweep_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'in flight'"),
    )
    op.create_index("ix_segment_sweep_id", "segment", ["sweep_id"], schema=SCHEMA)


def _create_study() -> None:
    op.create_table(
        "study",
        _filled("id", sa.Integer(), "Surrogate key", sa.Identity()),
        _filled("sweep_id", sa.Integer(), "The sweep it belongs to"),
        _filled("method", sa.Text(), "Name of the distillation method"),
        _filled("repeat", sa.Integer(), "Which independent search, from 1"),
        _filled("budget", sa.Integer(), "Trials it is to have in the end"),
        _filled("state", sa.Text(), "active, blocked, failed or cancelled", default="active"),
        _optional("reason", sa.Text(), "Why it is blocked, failed or cancelled"),
        _filled("space", JSONB(), "Dimensions, ranges, published values"),
        _filled("space_hash", sa.Text(), "sha256 of the space"),
        _filled("code_hash", sa.Text(), "Hash of the syntax trees of its method"),
        _filled("needs_teacher", sa.Boolean(), "Does its method learn from one"),
        _optional(
            "preparation",
            sa.Text(),
            "The method whose preparation it needs, trained once per teacher; null: none",
        ),
        _optional(
            "calibration",
            JSONB(),
            "Gradient-norm ratios of its terms, hence the multiplier's range; null: unmeasured",
        ),
        _filled("created_at", TIME, "When the method was first launched", default=NOW),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        _part_of("study", ["sweep_id"], "sweep", ["id"]),
        sa.UniqueConstraint("sweep_id", "method", "repeat", name="uq_study_sweep_id_method_repeat"),
        schema=SCHEMA,
        comment="One search: a method and a repeat within a sweep; one Optuna study each",
    )


def _create_bracket() -> None:
    op.create_table(
        "bracket",
        _filled("study_id", sa.Integer(), "The study it belongs to"),
        _filled("index", sa.Integer(), "Place among the brackets, from 0"),
        _filled("planned_steps", sa.BigInteger(), "Allowance, whatever the scores"),
        _filled("planned_at", TIME, "When its trials were sampled", default=NOW),
        sa.PrimaryKeyConstraint("study_id", "index", name="pk_bracket"),
        _part_of("bracket", ["study_id"], "study", ["id"]),
        schema=SCHEMA,
        comment="Trials that were planned together and are judged together",
    )


def _create_trial() -> None:
    op.create_table(
        "trial",
        _filled("study_id", sa.Integer(), "The study it belongs to"),
        _filled("number", sa.Integer(), "Place in the plan, as in Optuna"),
        _filled("bracket", sa.Integer(), "Index of its bracket"),
        _filled("origin", sa.Text(), "published, sobol, tpe; confirmed also: tuned"),
        _optional("seed", sa.BigInteger(), "Training seed of a confirmation; null: its repeat's"),
        _filled("params", JSONB(), "Values of the space's dimensions"),
        _filled(
            "state", sa.Text(), "RUNNING (undecided), COMPLETE, PRUNED or FAIL", default="RUNNING"
        ),
        _filled("diverged", sa.Boolean(), "A loss or the score was not finite", default="false"),
        _filled("rung", sa.Integer(), "Index of the rung it is to reach next"),
        _filled("step", sa.BigInteger(), "Recorded step", default="0"),
        _optional(
            "checkpoint", sa.Text(), "Its state at that step; of a COMPLETE trial its weights"
        ),
        _optional(
            "score", sa.Double(), "In the task's metric, at its last rung; null when diverged"
        ),
        _optional("reason", sa.Text(), "Why it failed; null else"),
        _filled(
            "begun_steps",
            sa.BigInteger(),
            "Furthest step that any of its segments was to reach",
            default="0",
        ),
        _filled("trained_steps", sa.BigInteger(), "Steps whose result was kept", default="0"),
        _filled("wasted_steps", sa.BigInteger(), "Steps lost with a worker or driver", default="0"),
        _filled("device_seconds", sa.Double(), "Device time of the kept steps", default="0"),
        _filled("wasted_seconds", sa.Double(), "Device time of the lost steps", default="0"),
        _filled("revision", sa.Integer(), "Raised by a change", default="1"),
        _filled(
            "projected_revision", sa.Integer(), "Revision that Optuna's tables show", default="0"
        ),
        _filled("created_at", TIME, "When it was planned", default=NOW),
        _optional("finished_at", TIME, "When it was decided"),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_trial"),
        _part_of("trial", ["study_id"], "study", ["id"]),
        schema=SCHEMA,
        comment="One set of hyperparameters, trained under the protocol",
    )
    op.create_index(
        "ix_trial_study_id",
        "trial",
        ["study_id"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'RUNNING'"),
    )


def _create_rung() -> None:
    op.create_table(
        "rung",
        _filled("study_id", sa.Integer(), "The trial's study"),
        _filled("number", sa.Integer(), "The trial's number"),
        _filled("index", sa.Integer(), "Index of the rung, from 0"),
        _filled("step", sa.BigInteger(), "Its step"),
        _filled("score", sa.Double(), "In the task's metric"),
        _filled("class_iou", JSONB(), "IoU in percent per class; null: absent"),
        _filled("weights_hash", sa.Text(), "sha256 of the student's weights"),
        _filled("segment_id", sa.BigInteger(), "The segment that reached it"),
        _filled("recorded_at", TIME, "When it was recorded", default=NOW),
        sa.PrimaryKeyConstraint("study_id", "number", "index", name="pk_rung"),
        _part_of("rung", ["study_id", "number"], "trial", ["study_id", "number"]),
        schema=SCHEMA,
        comment="A trial's evaluation at a rung",
    )


def _create_segment_member() -> None:
    op.create_table(
        "segment_member",
        _filled("segment_id", sa.BigInteger(), "The segment"),
        _filled("study_id", sa.Integer(), "The trial's study"),
        _filled("number", sa.Integer(), "The trial's number"),
        _filled("ordinal", sa.Integer(), "Place in the cohort"),
        _optional("ending", sa.Text(), "reached, diverged, failed, lost, damaged; null: in flight"),
        _optional("reached_step", sa.BigInteger(), "Step of its checkpoint at the end"),
        _optional("seconds", sa.Double(), "Its own device time and its share of the common one"),
        _optional("weights_hash", sa.Text(), "sha256 of the student's weights at the end"),
        _optional("losses", JSONB(), "Training loss: pairs of step and value"),
        _optional("reason", sa.Text(), "Traceback or explanation of a failure"),
        sa.PrimaryKeyConstraint("segment_id", "study_id", "number", name="pk_segment_member"),
        _part_of("segment_member", ["segment_id"], "segment", ["id"]),
        _part_of("segment_member", ["study_id", "number"], "trial", ["study_id", "number"]),
        schema=SCHEMA,
        comment="A trial's part in a segment",
    )
    op.create_index(
        "ix_segment_member_study_id_number", "segment_member", ["study_id", "number"], schema=SCHEMA
    )


def _create_picture() -> None:
    op.create_table(
        "picture",
        _filled("id", sa.Text(), "Name under which Optuna's tools ask for it"),
        _filled("study_id", sa.Integer(), "The trial's study"),
        _filled("number", sa.Integer(), "The trial's number"),
        _filled("kind", sa.Text(), "prediction: image, labels, student, teacher"),
        _filled("media_type", sa.Text(), "Such as image/png"),
        _filled("content", sa.LargeBinary(), "The file"),
        _filled("recorded_at", TIME, "When it was recorded", default=NOW),
        sa.PrimaryKeyConstraint("id", name="pk_picture"),
        sa.UniqueConstraint("study_id", "number", "kind", name="uq_picture_study_id_number_kind"),
        _part_of("picture", ["study_id", "number"], "trial", ["study_id", "number"]),
        schema=SCHEMA,
        comment="A picture of a finished trial, for the dashboard",
    )


def _create_confusion() -> None:
    op.create_table(
        "confusion",
        _filled("study_id", sa.Integer(), "The confirmation's study"),
        _filled("number", sa.Integer(), "The confirmation's number"),
        _filled("content", sa.LargeBinary(), "Matrix of each reported image, as .npz"),
        _filled("recorded_at", TIME, "When the reported split was read for it", default=NOW),
        sa.PrimaryKeyConstraint("study_id", "number", name="pk_confusion"),
        _part_of("confusion", ["study_id", "number"], "trial", ["study_id", "number"]),
        schema=SCHEMA,
        comment="Confusion matrices of a confirmation, image by image",
    )
