"""The second interval: how much a difference hangs on the images of the test set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from sweeper.comparison.evidence import Evidence
from sweeper.core.constants import BASELINE
from sweeper.statistics.testset import BlockCounts, Resampling, count_blocks

COLUMNS = ["method", "testset_difference", "testset_low", "testset_high", "testset_flips"]


@dataclass(frozen=True, kw_only=True)
class _Counter:
    """Reads confusion matrices of one method at a time and keeps what they come to by block."""

    evidence: Evidence
    runs: pd.DataFrame

    def counts(self, method: str) -> BlockCounts | None:
        """Return the counts of a method's tuned runs; None where fewer than two have any."""
        rows = self.runs[self.runs["method"] == method]
        keys = list(zip(rows["study_id"].tolist(), rows["number"].tolist(), strict=True))
        if len(keys) < 2:
            return None
        runs = (matrices for _, matrices in self.evidence.confusions(keys))
        return count_blocks(runs, self.evidence.stages[0].blocks)


def testset_intervals(evidence: Evidence, runs: pd.DataFrame) -> pd.DataFrame:
    """Return a row a method: 95 % limits of its difference over resampled blocks and seeds.

    testset_flips is the share of resamples in which the difference has another sign. The tuned
    configurations of all stages; a method without two runs has no row.
    """
    done = runs[(runs["configuration"] == "tuned") & (runs["state"] == "COMPLETE")]
    counter = _Counter(evidence=evidence, runs=done)
    control = counter.counts(BASELINE) if evidence.stages else None
    rows = [] if control is None else _rows(counter, evidence, control)
    return pd.DataFrame(rows, columns=COLUMNS)


def _rows(
    counter: _Counter, evidence: Evidence, control: BlockCounts
) -> list[Mapping[str, object]]:
    rows: list[Mapping[str, object]] = []
    resampling = Resampling(control=control, seed=evidence.seed)
    for method in evidence.methods:
        counts = None if method == BASELINE else counter.counts(method)
        if counts is None:
            continue
        found = resampling.difference_of(counts)
        rows.append(
            {
                "method": method,
                "testset_difference": found.difference,
                "testset_low": found.low,
                "testset_high": found.high,
                "testset_flips": found.sign_failures,
            }
        )
    return rows
