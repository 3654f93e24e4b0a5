"""All that a plan is made of: what is to be trained, how long it takes, what is in store."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from sweeper.confirmation.stage import refuse_child
from sweeper.core.constants import BASELINE, num_searches
from sweeper.core.errors import PlanError
from sweeper.estimate.forecast import Forecast, Repetition, Search, Standing, StepTime
from sweeper.estimate.step_times import TaskCosts, TrainingSite
from sweeper.scheduler.launch_request import Request, check
from sweeper.search.brackets import BracketPlan
from sweeper.search.protocol import plan_of, task_of
from sweeper.store import log, past_costs
from sweeper.store.lookup import find_children
from trainers.tasks import Task


@dataclass(frozen=True, kw_only=True)
class SweepPlan:
    """What a plan is made of; nothing of it is stored."""

    task: Task
    plan: BracketPlan
    device: str  # the model that the times are of
    cohort: int  # most trials that train together
    repetition: Repetition
    step_times: Mapping[str, StepTime]
    setup: Forecast  # teacher and calibration, before anything else
    searches: Sequence[Search]
    confirmations: Sequence[Search]
    unprepared: Sequence[str]  # methods whose preparation is not counted
    noise: past_costs.Noise | None
    checkpoint_bytes: float | None  # of a finished trial
    trial_bytes: float | None  # in the database

    @property
    def rivals(self) -> int:
        """How many methods are compared with the baseline; 0 without a baseline."""
        return len(self.step_times) - 1 if BASELINE in self.step_times else 0


def of_request(request: Request, site: TrainingSite, repetition: Repetition) -> SweepPlan:
    """Return what a launch would have to do from the start.

    Raises PlanError, MethodError or DataError as the launch would.
    """
    plans = check(request)
    plan, brackets = request.plan, range(request.budget // request.plan.bracket)
    methods = [each.space.method for each in plans]
    with closing(TaskCosts(request.task, site)) as costs:
        device = costs.device()
        step_times = costs.step_times(methods, device)
        return SweepPlan(
            task=request.task,
            plan=plan,
            device=device,
            cohort=costs.cohort,
            repetition=repetition,
            step_times=step_times,
            setup=costs.setup(
                costs.recipe() if any(each.needs_teacher for each in plans) else None,
                [step_times[each.space.method] for each in plans if each.space.awaits_calibration],
                plan.rung_steps[0],
            ),
            searches=[
                Search(step_time=step_times[method], plan=plan, brackets=brackets, group=repeat)
                for method in methods
                for repeat in range(1, num_searches(method, request.repeats) + 1)
            ],
            confirmations=repetition.searches(step_times, request.task.schedule.steps),
            unprepared=sorted({each.preparation for each in plans if each.preparation}),
            **costs.stored(),
        )


def of_sweep(
    row: Any, site: TrainingSite, seeds: int | None = None, baseline_seeds: int | None = None
) -> SweepPlan:
    """Return what is left of a stored sweep (`row` of the table `sweep`).

    `seeds`, `baseline_seeds`: of its confirmation; None: as declared, or as usual. PlanError for a
    confirmation, and for a sweep none of whose methods goes on.
    """
    left = _Left.of(row, site)
    task, plan = task_of(row.protocol), plan_of(row.protocol)
    repetition = left.repetition(seeds, baseline_seeds)
    with closing(TaskCosts(task, site)) as costs:
        device = costs.device(row.name)
        step_times = costs.step_times([study.method for study in left.studies], device)
        unmade = [s for s in left.studies if s.undecided or s.planned < s.budget]
        return SweepPlan(
            task=task,
            plan=plan,
            device=device,
            cohort=costs.cohort,
            repetition=repetition,
            step_times=step_times,
            setup=costs.setup(
                row.protocol["teacher_recipe"] if any(s.needs_teacher for s in unmade) else None,
                [step_times[s.method] for s in unmade if s.awaits_calibration],
                plan.rung_steps[0],
            ),
            searches=[left.search(study, plan, step_times[study.method]) for study in left.studies],
            confirmations=left.confirmations(step_times)
            if left.stages
            else repetition.searches(step_times, task.schedule.steps),
            unprepared=sorted({s.preparation for s in unmade if s.preparation and not s.planned}),
            **costs.stored(),
        )


@dataclass(frozen=True, kw_only=True)
class _Left:
    """What the log says is not decided yet."""

    studies: Sequence[log.Study]  # of the search, those that go on
    stages: Sequence[Any]
    confirmed: Mapping[
        int, tuple[log.Study, BracketPlan]
    ]  # by id: those of the stages and at equal cost
    open_trials: Sequence[log.OpenTrial]  # of both

    @classmethod
    def of(cls, row: Any, site: TrainingSite) -> _Left:
        refuse_child(row)
        with site.engine.connect() as connection:
            studies = [s for s in log.studies(connection, row.id) if s.state == "active"]
            if not studies:
                raise PlanError(
                    f"sweep {row.name}: none of its methods goes on, so there is nothing to plan; "
                    f"see `sweeper status {row.name}`"
                )
            stages = find_children(connection, row.id)
            parts = [part for stage in stages for part in find_children(connection, stage.id)]
            confirmed = {
                study.id: (study, plan_of(each.protocol))
                for each in (*stages, *parts)
                for study in log.studies(connection, each.id)
            }
            known = [*(study.id for study in studies), *confirmed]
            return cls(
                studies=studies,
                stages=stages,
                confirmed=confirmed,
                open_trials=log.open_trials(connection, known),
            )

    def repetition(self, seeds: int | None, baseline_seeds: int | None) -> Repetition:
        terms = self.stages[-1].protocol["confirmation"] if self.stages else {}
        repeats = max((s.repeat for s in self.studies if s.method != BASELINE), default=1)
        return Repetition.of(
            repeats,
            terms.get("seeds") if seeds is None else seeds,
            terms.get("baseline_seeds") if baseline_seeds is None else baseline_seeds,
        )

    def search(self, study: log.Study, plan: BracketPlan, step_time: StepTime) -> Search:
        planned = study.planned // plan.bracket
        return Search(
            step_time=step_time,
            plan=plan,
            brackets=range(planned, study.budget // plan.bracket),
            group=study.repeat,
            open_bracket=max(planned - 1, 0),
            open=_standings((t for t in self.open_trials if t.study_id == study.id), plan),
        )

    def confirmations(self, step_times: Mapping[str, StepTime]) -> list[Search]:
        """Return what is left of the stages and of equal cost, as declared."""
        found: dict[tuple[int, int], list[log.OpenTrial]] = {}
        for trial in self.open_trials:
            if trial.study_id in self.confirmed:
                found.setdefault((trial.seed or 0, trial.study_id), []).append(trial)
        groups: dict[
            tuple[int, BracketPlan], int
        ] = {}  # only runs of one seed and length share cohorts
        return [
            Search(
                step_time=step_times[study.method],
                plan=plan,
                brackets=range(0),
                group=groups.setdefault((seed, plan), len(groups)),
                open=_standings(trials, plan),
            )
            for (seed, study_id), trials in found.items()
            for study, plan in [self.confirmed[study_id]]
            if study.method in step_times
        ]


def _standings(trials: Iterable[log.OpenTrial], plan: BracketPlan) -> Counter[Standing]:
    return Counter(Standing(not plan.is_anchor(t.number), t.step, t.rung) for t in trials)
