"""The checks on a short training: a member is itself, whatever its cohort and its interruptions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from search_spaces import BASELINE
from trainers.contract.sample_steps import Fault
from trainers.method_api.loading import load_method, preparation_name
from trainers.tasks import Task
from trainers.training.cohort import Trainer
from trainers.training.segment import Control, Ending, Member, MemberOutcome, Segment
from trainers.training.single_run import Configuration, preparation_of, train

STEPS, CUT = 4, 2
NET = {"backbone": "resnet18", "backbone_width": 0.125, "head": "pspnet", "head_width": 8}
SCHEDULE = {"steps": STEPS, "image_batch": 2, "learning_rate": 0.02}
TASK = Task.model_validate(
    {
        "name": "contract",
        "description": "Small enough to train any method for a few steps.",
        "data": {
            "reader": "shapes",
            "size": [48, 64],
            "options": {"seed": 1, "train": 6, "selection": 2, "test": 1},
        },
        "augmentation": {"crop": [48, 48]},
        "student": NET,
        "teacher": {
            "net": {**NET, "head_width": 12, "auxiliary": True},
            "schedule": {**SCHEDULE, "steps": 2},
        },
        "schedule": SCHEDULE,
        "search": {"rungs": ["1/2", 1], "keep": [2, 2], "bracket": 2, "anchors": 1},
    }
)


@dataclass(frozen=True, kw_only=True)
class TinyTraining:
    """Trains one method on a tiny task, below a folder that is thrown away."""

    name: str
    folder: Path
    trainer: Trainer

    def run(self, place: str, *methods: str, start: int = 0, stop: int = STEPS) -> Segment:
        """Return a segment of these methods."""
        members = tuple(Member(key=f"{m}#{i}", method=m, params={}) for i, m in enumerate(methods))
        return Segment(
            task=TASK,
            seed=3,
            start=start,
            stop=stop,
            evaluate=stop == STEPS,
            members=members,
            folder=self.folder / place,
            teacher=self._teacher() if self._needs_teacher else None,
            preparations=self._preparations(),
        )

    def outcome(self, segment: Segment) -> MemberOutcome:
        """Return what became of the method itself: the last member."""
        outcome = self.trainer.run(segment).members[-1]
        if outcome.ending is not Ending.REACHED:
            raise Fault(f"it {outcome.ending} at step {outcome.step}: {outcome.reason}")
        return outcome

    @property
    def _needs_teacher(self) -> bool:
        return load_method(self.name).needs_teacher

    def _teacher(self) -> Path:
        wanted = Configuration(
            task=TASK.teacher_task(),
            method=BASELINE,
            params={},
            seed=0,
            folder=self.folder / "teacher",
        )
        return self._made(wanted)

    def _preparations(self) -> dict[str, Path]:
        name = preparation_name(load_method(self.name))
        if name is None:
            return {}
        student = Configuration(
            task=TASK,
            method=self.name,
            params={},
            seed=0,
            folder=self.folder,
            teacher=self._teacher(),
        )
        wanted = preparation_of(student, self.trainer.dataset(TASK.data, None), self.folder)
        return {} if wanted is None else {name: self._made(wanted)}

    def _made(self, wanted: Configuration) -> Path:
        step, file = wanted.stored()
        if file is None or step < wanted.last:
            file = train(wanted, self.trainer, Control()).checkpoint
        if file is None:
            raise Fault(f"{wanted.key} of {wanted.method} came to nothing")
        return file


def the_cohort_makes_no_difference(training: TinyTraining) -> str:
    """Alone and beside others the same weights come out, bit by bit."""
    alone = training.outcome(training.run("alone", training.name))
    beside = training.outcome(training.run("beside", BASELINE, training.name, training.name))
    if alone.weights_hash != beside.weights_hash:
        raise Fault("other weights come out of a cohort than alone: something is shared")
    return f"{STEPS} steps, weights {str(alone.weights_hash)[:8]}"


def an_interruption_makes_no_difference(training: TinyTraining) -> str:
    """Cut and resumed, the same weights come out, bit by bit."""
    whole = training.outcome(training.run("whole", training.name))
    first = training.run("first", training.name, stop=CUT)
    checkpoint = training.outcome(first).checkpoint
    rest = training.run("rest", training.name, start=CUT)
    resumed = replace(rest, members=(replace(rest.members[0], checkpoint=checkpoint),))
    if training.outcome(resumed).weights_hash != whole.weights_hash:
        raise Fault("other weights come out after an interruption: some state is not stored")
    return f"cut at step {CUT} of {STEPS}"


TRAINING_CHECKS = (the_cohort_makes_no_difference, an_interruption_makes_no_difference)
