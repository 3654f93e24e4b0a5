"""A sweep's verdict and everything behind it, as data frames and figures.

with sweeper.connect() as store:
comparison = store.compare("camvid-tiny")
comparison.verdicts[["method", "difference", "low", "high", "verdict"]]
comparison.figures()["verdicts"].show()
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from sqlalchemy import Engine

from sweeper.comparison import curves, equal_cost, rung_check, shared_points
from sweeper.comparison.confirmed_scores import (
    LEAST_SEARCHES,
    Sample,
    Values,
    confirmed_runs,
    num_searches,
    samples,
    seed_sds,
)
from sweeper.comparison.evidence import Evidence, read_evidence
from sweeper.comparison.flags import edges, improvements
from sweeper.comparison.search_tables import class_differences, search_costs, slices
from sweeper.comparison.testset_intervals import testset_intervals
from sweeper.comparison.verdicts import is_teacher_weak, verdict_table
from sweeper.core.constants import BASELINE
from sweeper.core.errors import SweeperError
from sweeper.core.names import family_name
from sweeper.statistics.across_stages import across_stages
from sweeper.statistics.contrasts import Comparisons

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

ALPHA = 0.05


@dataclass(frozen=True)
class Comparison:
    """What a sweep says; every frame is made when it is first asked for. mIoU is in percent."""

    evidence: Evidence

    @cached_property
    def verdicts(self) -> pd.DataFrame:
        """One row a method, the baseline first, then by difference.

        published_mean, published_sd, published_n; mean, sd, n: of the confirmed values, published
        and tuned, on the reported split. difference to the tuned baseline, low, high (95 %),
        low_simultaneous, high_simultaneous (all at once), p, p_holm, verdict; improvement: the
        chance that a run is better than one of the baseline, NaN under 20 seeds a side;
        largest_gain that is not excluded; detectable: what these seeds show with 80 % power.
        testset_low, testset_high, testset_flips: over resampled test sets and seeds.
        selection_score: what the search chose by, on the selection split. trials, dimensions,
        trained_steps, seconds and basis: of the search. flags: list; reason: why there is no
        verdict.
        """
        facts = {
            "improvements": self.improvements,
            "edges": self.edges,
            "costs": self.costs,
            "testset": self.testset,
        }
        return verdict_table(self.evidence, self.confirmed, self.contrasts, facts)

    @cached_property
    def contrasts(self) -> Comparisons | None:
        """The test behind the verdicts; None before a confirmation is done."""
        usable = [
            (sample.control, self._testable(sample))
            for sample in self._samples
            if _is_enough(sample.control)
        ]
        if not usable or len(usable) < len(self.evidence.stages) or not usable[0][1]:
            return None
        planned = self.evidence.stages[0].planned_stages
        return across_stages(
            usable, alpha=ALPHA, delta=self.delta, paired=self.paired, planned=planned
        )

    def _testable(self, sample: Sample) -> dict[str, Values]:
        """Return the methods with two values, two pairs where seeds are paired."""
        if not self.paired:
            return {m: v for m, v in sample.treatments.items() if _is_enough(v)}
        pairs = {m: v - sample.control[: len(v)] for m, v in sample.treatments.items()}
        return {m: v for m, v in sample.treatments.items() if _is_enough(pairs[m])}

    @property
    def delta(self) -> float:
        """Gains below it, in mIoU, are of no interest."""
        return self.evidence.stages[0].delta if self.evidence.stages else 0.5

    @property
    def paired(self) -> bool:
        """Whether seeds were declared to be compared pair by pair."""
        return bool(self.evidence.stages) and self.evidence.stages[0].paired

    @property
    def claim(self) -> str:
        """What the verdicts are about."""
        evidence, searches = self.evidence, num_searches(self.evidence)
        if searches >= LEAST_SEARCHES:
            return (
                f"Claimed is something about the methods: {searches} independent searches of "
                f"{evidence.budget} trials each, a search counting once."
            )
        said = (
            "Claimed is something about configurations: what one search of "
            f"{evidence.budget} trials chose for a method, against what one search of as many "
            "chose for the baseline."
        )
        if searches > 1:
            said += f" {searches} searches a method are too few for a claim about methods."
        return f"{said} For a claim about methods: sweeper launch --repeats {LEAST_SEARCHES}."

    @cached_property
    def warnings(self) -> list[str]:
        """What a reader must know of every row."""
        evidence = self.evidence
        lines = [evidence.note] if evidence.note else []
        if is_teacher_weak(evidence, self.confirmed) and evidence.teacher is not None:
            lines.append(
                f"weak teacher: {evidence.teacher.score:.2f} mIoU on the selection split, less "
                "than 2 above the confirmed baseline on the reported one"
            )
        lines += self._baseline_untuned()
        stages = evidence.stages
        if stages and len(stages) > stages[0].planned_stages:
            lines.append(
                "the second confirmation was declared after the first was seen: the chance of a "
                f"false finding is up to {1.5 * ALPHA:.1%}, not {ALPHA:.0%}"
            )
        lines += [
            f"rung {row.rung} (step {row.step}) misleads: tau at most {row.tau_high:.2f}"
            for row in self.rung_summary.itertuples()
            if row.misleads
        ]
        return lines

    def _baseline_untuned(self) -> list[str]:
        """Say so where tuning has done the baseline no good: it is what all are compared with."""
        rows = self.verdicts[self.verdicts["method"] == BASELINE].to_dict("records")
        return [
            f"the baseline's published values came out {loss:.2f} mIoU above its tuned ones, with "
            "which all are compared: against those every difference would be as much smaller"
            for row in rows
            if (loss := row["published_mean"] - row["mean"]) > _error(row)
        ]

    @cached_property
    def confirmed(self) -> pd.DataFrame:
        """One row a run: method, repeat, configuration, stage, seed, state, score, class_iou.

        A published configuration that won its search stands in it twice, as tuned as well.
        """
        return confirmed_runs(self.evidence)

    @cached_property
    def _samples(self) -> list[Sample]:
        return samples(self.evidence, self.confirmed)

    @cached_property
    def testset(self) -> pd.DataFrame:
        """method, testset_low, testset_high, testset_flips: over resampled blocks and seeds."""
        return testset_intervals(self.evidence, self.confirmed)

    @cached_property
    def class_differences(self) -> pd.DataFrame:
        """method, class, baseline, score, difference: mean IoU of the tuned configurations."""
        return class_differences(self.evidence, self.confirmed)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Best so far by trials, steps and device-seconds: `curves.best_so_far`."""
        evidence = self.evidence
        trials, rungs = evidence.compared_trials, evidence.rungs
        return curves.best_so_far(trials, rungs, evidence.plan, evidence.budget, evidence.seed)

    @cached_property
    def expected(self) -> pd.DataFrame:
        """Approximate best of n random trials: `curves.expected_maximum`."""
        return curves.expected_maximum(self.evidence.compared_trials, self.evidence.plan)

    @cached_property
    def shared_points(self) -> pd.DataFrame:
        """Each method beside the baseline at equal shared hyperparameters, a row a point."""
        rungs = self.evidence.rungs
        compared = rungs[rungs["method"].isin(self.evidence.methods)]
        return shared_points.shared_pairs(compared, self.evidence.plan)

    @cached_property
    def shared(self) -> pd.DataFrame:
        """The mean of these differences, a row a method: `shared_points.shared_differences`."""
        return shared_points.shared_differences(self.shared_points, self.evidence.plan)

    @cached_property
    def rung_checks(self) -> pd.DataFrame:
        """How each rung ranked each search's anchors: `rung_check.check_rungs`."""
        evidence = self.evidence
        return rung_check.check_rungs(evidence.compared_trials, evidence.rungs, evidence.plan)

    @cached_property
    def rung_summary(self) -> pd.DataFrame:
        """The means over methods, a row a rung: `rung_check.summarise_rungs`."""
        return rung_check.summarise_rungs(self.rung_checks, self.evidence.seed)

    @cached_property
    def slices(self) -> pd.DataFrame:
        """Every trial along each of its hyperparameters: `slices.slices`."""
        return slices(self.evidence.compared_trials, self.evidence.compared_studies)

    @cached_property
    def importances(self) -> pd.DataFrame:
        """Of each hyperparameter in each search, by Optuna: `importances.importances`."""
        from sweeper.comparison.importances import importances  # loads optuna

        return importances(self.evidence.compared_trials, self.evidence.compared_studies)

    @cached_property
    def improvements(self) -> pd.DataFrame:
        """What the last doubling of the budget gained: `flags.improvements`."""
        evidence = self.evidence
        trials, studies = evidence.compared_trials, evidence.compared_studies
        noise = seed_sds(self.confirmed)
        return improvements(trials, studies, evidence.plan, evidence.budget, *noise)

    @cached_property
    def edges(self) -> pd.DataFrame:
        """Best values at the end of their range, and the range to try: `flags.edges`."""
        evidence = self.evidence
        trials, studies = evidence.compared_trials, evidence.compared_studies
        return edges(trials, studies, evidence.plan, evidence.budget)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """What the searches cost, a row a method: `cost.search_costs`."""
        trials = self.evidence.compared_trials
        known = equal_cost.step_seconds(self.evidence)
        return search_costs(trials[trials["number"] < self.evidence.budget], known)

    @cached_property
    def tuning_matched(self) -> pd.DataFrame:
        """What each search had found at equal cost, confirmed: `equal_cost.tuning_matched`."""
        return self._in_order(equal_cost.tuning_matched(self.evidence, self.confirmed))

    @cached_property
    def training_matched(self) -> pd.DataFrame:
        """Each method beside rivals trained for as much: `equal_cost.training_matched`."""
        return self._in_order(equal_cost.training_matched(self.evidence, self.confirmed))

    @cached_property
    def training_points(self) -> pd.DataFrame:
        """Those rivals, by the length of their schedule: `equal_cost.training_points`."""
        return equal_cost.training_points(self.evidence, self.confirmed)

    def equal_cost_notes(self, part: str) -> list[str]:
        """Return what must be read with a table at equal cost of `tuning` or `training`."""
        return equal_cost.notes(self.evidence, part, self.training_points)

    def _in_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows in the order of the verdicts."""
        order = {method: place for place, method in enumerate(self.verdicts["method"])}
        return frame.sort_values("method", key=lambda m: m.map(order), ignore_index=True)

    def tables(self) -> dict[str, pd.DataFrame]:
        """Return every frame by name."""
        return {name: getattr(self, name) for name in TABLES}

    def figures(self) -> dict[str, Figure]:
        """Return every plot of the report by name."""
        from sweeper.comparison.figures import figures_of  # loads plotly

        return figures_of(self.tables(), self.delta)


TABLES = (
    *("verdicts", "confirmed", "class_differences", "testset", "curves", "expected", "shared"),
    *("shared_points", "rung_checks", "rung_summary", "slices", "importances", "improvements"),
    *("edges", "costs", "tuning_matched", "training_matched", "training_points"),
)


def compare_sweep(engine: Engine, name: str) -> Comparison:
    """Return the comparison of a sweep's methods; SweeperError where it has none to compare."""
    evidence = read_evidence(engine, name)
    if "confirmation" in evidence.protocol:
        family = family_name(name)
        raise SweeperError(f"{name} is part of a confirmation: compare its sweep, {family}")
    if not evidence.methods:
        raise SweeperError(f"sweep {name} has no method: add some with sweeper launch --sweep")
    return Comparison(evidence)


def _error(row: Mapping[Any, Any]) -> float:
    """Return the standard error of the difference between published and tuned."""
    sides = ((row["published_sd"], row["published_n"]), (row["sd"], row["n"]))
    return float(np.sqrt(sum(sd**2 / max(n, 1) for sd, n in sides)))


def _is_enough(values: Values) -> bool:
    return int(np.isfinite(values).sum()) >= 2
