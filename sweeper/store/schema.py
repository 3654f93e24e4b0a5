"""The log of every sweep: tables and views of the PostgreSQL schema `sweeper`.

These tables are the truth; Optuna's own tables are a projection of them (`projection.py`).
Times are UTC. A trial is keyed by (study, number); number = place in the study's plan.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from sweeper.store.columns import count, later, metadata, now, seconds

sweep = Table(
    "sweep",
    metadata,
    Column("id", Integer, Identity(), primary_key=True, comment="Surrogate key"),
    Column("name", Text, nullable=False, unique=True, comment="Name given by its users"),
    now("created_at", "When it was first launched"),
    Column("seed", BigInteger, nullable=False, comment="Root of every seed of the sweep"),
    Column("protocol", JSONB, nullable=False, comment="All that is equal for every method"),
    Column("protocol_hash", Text, nullable=False, comment="sha256 of the protocol"),
    Column("teacher_hash", Text, comment="Weights of its teacher; frozen when first needed"),
    Column("folder", Text, nullable=False, comment="Name of its checkpoint folder: no other's"),
    Column("paused_by", Text, comment="Who asked it to pause; null: nobody, or it was resumed"),
    Column(
        "confirms",
        ForeignKey("sweep.id", ondelete="CASCADE"),
        comment="The sweep whose choices it trains again, or the stage beside; null: it searches",
    ),
    Column("stage", Integer, comment="Which confirmation of that sweep, from 1; null: none"),
    Column("equal_cost", Text, comment="What it compares at equal cost beside that stage; or null"),
    UniqueConstraint("confirms", "stage"),
    comment="One protocol under which many methods are tuned, or what trains its choices again",
)

study = Table(
    "study",
    metadata,
    Column("id", Integer, Identity(), primary_key=True, comment="Surrogate key"),
    Column(
        "sweep_id",
        ForeignKey(sweep.c.id, ondelete="CASCADE"),
        nullable=False,
        comment="The sweep it belongs to",
    ),
    Column("method", Text, nullable=False, comment="Name of the distillation method"),
    Column("repeat", Integer, nullable=False, comment="Which independent search, from 1"),
    Column("budget", Integer, nullable=False, comment="Trials it is to have in the end"),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="active",
        comment="active, blocked, failed or cancelled",
    ),
    Column("reason", Text, comment="Why it is blocked, failed or cancelled"),
    Column("space", JSONB, nullable=False, comment="Dimensions, ranges, published values"),
    Column("space_hash", Text, nullable=False, comment="sha256 of the space"),
    Column("code_hash", Text, nullable=False, comment="Hash of the syntax trees of its method"),
    Column("needs_teacher", Boolean, nullable=False, comment="Does its method learn from one"),
    Column(
        "preparation",
        Text,
        comment="The method whose preparation it needs, trained once per teacher; null: none",
    ),
    Column(
        "calibration",
        JSONB,
        comment="Gradient-norm ratios of its terms, hence the multiplier's range; null: unmeasured",
    ),
    now("created_at", "When the method was first launched"),
    UniqueConstraint("sweep_id", "method", "repeat"),
    comment="One search: a method and a repeat within a sweep; one Optuna study each",
)

bracket = Table(
    "bracket",
    metadata,
    Column(
        "study_id",
        ForeignKey(study.c.id, ondelete="CASCADE"),
        primary_key=True,
        comment="The study it belongs to",
    ),
    Column("index", Integer, primary_key=True, comment="Place among the brackets, from 0"),
    Column("planned_steps", BigInteger, nullable=False, comment="Allowance, whatever the scores"),
    now("planned_at", "When its trials were sampled"),
    comment="Trials that were planned together and are judged together",
)

trial = Table(
    "trial",
    metadata,
    Column(
        "study_id",
        ForeignKey(study.c.id, ondelete="CASCADE"),
        primary_key=True,
        comment="The study it belongs to",
    ),
    Column("number", Integer, primary_key=True, comment="Place in the plan, as in Optuna"),
    Column("bracket", Integer, nullable=False, comment="Index of its bracket"),
    Column("origin", Text, nullable=False, comment="published, sobol, tpe; confirmed also: tuned"),
    Column("seed", BigInteger, comment="Training seed of a confirmation; null: its repeat's"),
    Column("params", JSONB, nullable=False, comment="Values of the space's dimensions"),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="RUNNING",
        comment="RUNNING (undecided), COMPLETE, PRUNED or FAIL",
    ),
    Column(
        "diverged",
        Boolean,
        nullable=False,
        server_default="false",
        comment="A loss or the score was not finite",
    ),
    Column("rung", Integer, nullable=False, comment="Index of the rung it is to reach next"),
    Column("step", BigInteger, nullable=False, server_default="0", comment="Recorded step"),
    Column("checkpoint", Text, comment="Its state at that step; of a COMPLETE trial its weights"),
    Column("score", Double, comment="In the task's metric, at its last rung; null when diverged"),
    Column("reason", Text, comment="Why it failed; null else"),
    count("begun_steps", "Furthest step that any of its segments was to reach"),
    count("trained_steps", "Steps whose result was kept"),
    count("wasted_steps", "Steps lost with a worker or driver"),
    seconds("device_seconds", "Device time of the kept steps"),
    seconds("wasted_seconds", "Device time of the lost steps"),
    Column("revision", Integer, nullable=False, server_default="1", comment="Raised by a change"),
    Column(
        "projected_revision",
        Integer,
        nullable=False,
        server_default="0",
        comment="Revision that Optuna's tables show",
    ),
    now("created_at", "When it was planned"),
    later("finished_at", "When it was decided"),
    comment="One set of hyperparameters, trained under the protocol",
)
Index(None, trial.c.study_id, postgresql_where=trial.c.state == "RUNNING")

rung = Table(
    "rung",
    metadata,
    Column("study_id", Integer, primary_key=True, comment="The trial's study"),
    Column("number", Integer, primary_key=True, comment="The trial's number"),
    Column("index", Integer, primary_key=True, comment="Index of the rung, from 0"),
    Column("step", BigInteger, nullable=False, comment="Its step"),
    Column("score", Double, nullable=False, comment="In the task's metric"),
    Column("class_iou", JSONB, nullable=False, comment="IoU in percent per class; null: absent"),
    Column("weights_hash", Text, nullable=False, comment="sha256 of the student's weights"),
    Column("segment_id", BigInteger, nullable=False, comment="The segment that reached it"),
    now("recorded_at", "When it was recorded"),
    ForeignKeyConstraint(
        ["study_id", "number"], [trial.c.study_id, trial.c.number], ondelete="CASCADE"
    ),
    comment="A trial's evaluation at a rung",
)

segment = Table(
    "segment",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True, comment="Also names its folder"),
    Column(
        "sweep_id",
        ForeignKey(sweep.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="The sweep it belongs to",
    ),
    Column("epoch", BigInteger, nullable=False, comment="Epoch of the lease it was issued under"),
    Column("seed", BigInteger, nullable=False, comment="Training seed of all its members"),
    Column("start_step", BigInteger, nullable=False, comment="Step of its members' checkpoints"),
    Column("stop_step", BigInteger, nullable=False, comment="Step it is to reach: a rung"),
    Column(
        "state",
        Text,
        nullable=False,
        comment="in flight, done, interrupted, lost (driver gone)",
    ),
    Column("folder", Text, nullable=False, comment="Where its checkpoints are written"),
    Column("progress_step", BigInteger, nullable=False, comment="Step last reported"),
    Column("device_name", Text, comment="Model of the device that ran it"),
    Column("code_hash", Text, comment="Hash of the code that ran it; null: lost"),
    now("started_at", "When it was issued"),
    later("heartbeat_at", "When its worker last reported"),
    later("ended_at", "When its outcome was recorded"),
    Column("wall_seconds", Double, comment="Wall time as measured by the worker"),
    Column("notes", JSONB, comment="What the worker had to say, for example a split cohort"),
    comment="The unit of work: members trained together from one step to another",
)
Index("ix_segment_in_flight", segment.c.sweep_id, postgresql_where=segment.c.state == "in flight")

segment_member = Table(
    "segment_member",
    metadata,
    Column(
        "segment_id",
        ForeignKey(segment.c.id, ondelete="CASCADE"),
        primary_key=True,
        comment="The segment",
    ),
    Column("study_id", Integer, primary_key=True, comment="The trial's study"),
    Column("number", Integer, primary_key=True, comment="The trial's number"),
    Column("ordinal", Integer, nullable=False, comment="Place in the cohort"),
    # Also "damaged": a file that it was to start from could not be used, so nothing was trained.
    Column("ending", Text, comment="reached, diverged, failed, lost, damaged; null: in flight"),
    Column("reached_step", BigInteger, comment="Step of its checkpoint at the end"),
    Column("seconds", Double, comment="Its own device time and its share of the common one"),
    Column("weights_hash", Text, comment="sha256 of the student's weights at the end"),
    Column("losses", JSONB, comment="Training loss: pairs of step and value"),
    Column("reason", Text, comment="Traceback or explanation of a failure"),
    ForeignKeyConstraint(
        ["study_id", "number"], [trial.c.study_id, trial.c.number], ondelete="CASCADE"
    ),
    Index(None, "study_id", "number"),
    comment="A trial's part in a segment",
)

lease = Table(
    "lease",
    metadata,
    Column(
        "sweep_id",
        ForeignKey(sweep.c.id, ondelete="CASCADE"),
        primary_key=True,
        comment="The sweep that is driven",
    ),
    Column("epoch", BigInteger, nullable=False, comment="Raised by every taking; fences writes"),
    Column("holder", Text, comment="user@host, process id; null when released"),
    Column("host", Text, comment="Host of the driver"),
    Column("boot", Text, comment="Identity of that host's boot"),
    Column("pid", Integer, comment="Process id of the driver"),
    Column("process_started", Double, comment="When that process started, in ticks since the boot"),
    now("renewed_at", "When its driver last renewed it"),
    comment="Who drives a sweep: one driver at a time",
)

launch = Table(
    "launch",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True, comment="Surrogate key"),
    Column(
        "sweep_id",
        ForeignKey(sweep.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="The sweep",
    ),
    now("at", "When"),
    Column("who", Text, nullable=False, comment="user@host"),
    Column("command", Text, nullable=False, comment="Command line, passwords masked"),
    Column("provenance", JSONB, nullable=False, comment="Versions, git commit, hardware"),
    comment="Who launched what, when, with which software",
)

artifact = Table(
    "artifact",
    metadata,
    Column("hash", Text, primary_key=True, comment="sha256 of its identity"),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="teacher, preparation, or the student of a calibration",
    ),
    Column("origin", Text, nullable=False, comment="trained, or the file it was taken from"),
    Column("identity", JSONB, nullable=False, comment="All inputs that determine it"),
    Column("path", Text, nullable=False, comment="Where its file lies"),
    Column("weights_hash", Text, nullable=False, comment="sha256 of its weights"),
    Column(
        "metrics", JSONB, nullable=False, comment="For example its score on the selection split"
    ),
    now("created_at", "When it was stored"),
    comment="Something trained once and used by many trials",
)

PREDICTION = "prediction"

picture = Table(
    "picture",
    metadata,
    Column("id", Text, primary_key=True, comment="Name under which Optuna's tools ask for it"),
    Column("study_id", Integer, nullable=False, comment="The trial's study"),
    Column("number", Integer, nullable=False, comment="The trial's number"),
    Column("kind", Text, nullable=False, comment="prediction: image, labels, student, teacher"),
    Column("media_type", Text, nullable=False, comment="Such as image/png"),
    Column("content", LargeBinary, nullable=False, comment="The file"),
    now("recorded_at", "When it was recorded"),
    ForeignKeyConstraint(
        ["study_id", "number"], [trial.c.study_id, trial.c.number], ondelete="CASCADE"
    ),
    UniqueConstraint("study_id", "number", "kind"),
    comment="A picture of a finished trial, for the dashboard",
)

confusion = Table(
    "confusion",
    metadata,
    Column("study_id", Integer, primary_key=True, comment="The confirmation's study"),
    Column("number", Integer, primary_key=True, comment="The confirmation's number"),
    Column(
        "content", LargeBinary, nullable=False, comment="Matrix of each reported image, as .npz"
    ),
    now("recorded_at", "When the reported split was read for it"),
    ForeignKeyConstraint(
        ["study_id", "number"], [trial.c.study_id, trial.c.number], ondelete="CASCADE"
    ),
    comment="Confusion matrices of a confirmation, image by image",
)

event = Table(
    "event",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True, comment="Order of events"),
    Column(
        "sweep_id",
        ForeignKey(sweep.c.id, ondelete="CASCADE"),
        nullable=False,
        index=True,
        comment="The sweep",
    ),
    Column("study_id", Integer, comment="The study, if it concerns one"),
    Column("number", Integer, comment="The trial's number, if it concerns one"),
    now("at", "When"),
    Column(
        "kind",
        Text,
        nullable=False,
        comment="Such as planned, judged, complete, lost",
    ),
    Column("detail", JSONB, nullable=False, comment="What happened"),
    comment="What the state machine decided, in order",
)
