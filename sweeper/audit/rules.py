"""The rules of a fair comparison, in the order in which an audit goes through them."""

from __future__ import annotations

from collections.abc import Callable

from sweeper.audit.confirmation_rules import (
    check_both,
    check_incumbents,
    check_numbers,
    check_readings,
    check_seeds,
    check_splits,
    check_stages,
)
from sweeper.audit.evidence_rules import (
    check_elsewhere,
    check_log,
    check_segments,
    check_terms,
    check_values,
)
from sweeper.audit.finding import CheckResult, Rule
from sweeper.audit.proposal_rules import check_proposals
from sweeper.audit.record_rules import (
    check_code,
    check_deletions,
    check_devices,
    check_lead,
    check_protocol,
    check_provenance,
    check_teacher,
)
from sweeper.audit.score_rules import (
    check_judging,
    check_last_step,
    check_room,
    check_rung_ranking,
    check_training_seeds,
)
from sweeper.audit.treatment_rules import (
    check_baseline,
    check_budget,
    check_dimensions,
    check_ranges,
    check_start,
)
from sweeper.comparison.evidence import Evidence

VOIDS = "A breach voids the comparison."
SAID = "A breach is said with every result."


def _rules(*lines: tuple[str, Callable[[Evidence], CheckResult], str, str]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            number=number,
            name=name,
            check=check,
            text=f"{text} {breach}",
            voids=breach is VOIDS,
            replays=check is check_proposals,
        )
        for number, (name, check, text, breach) in enumerate(lines, start=1)
    )


RULES = _rules(
    (
        "baseline",
        check_baseline,
        "The baseline is a method, searched like every other one; with several searches a method, "
        "three times as often, since all comparisons share its searches.",
        VOIDS,
    ),
    (
        "protocol",
        check_protocol,
        "One frozen protocol, and one space and code a method, for searches and confirmations.",
        VOIDS,
    ),
    (
        "budget",
        check_budget,
        "Every compared search has the same whole brackets, decided, with the same allowance.",
        VOIDS,
    ),
    (
        "dimensions",
        check_dimensions,
        "Every space is the shared dimensions, one multiplier, at most one own hyperparameter; "
        "full spaces are reported as such.",
        VOIDS,
    ),
    (
        "ranges",
        check_ranges,
        "The multiplier's range follows from the measured effect, once for a method, and every "
        "trial but the published one lies in its ranges.",
        VOIDS,
    ),
    (
        "start",
        check_start,
        "Trial 0 has the published values; the rest of the first bracket has the same shared "
        "values in every method.",
        VOIDS,
    ),
    (
        "splits",
        check_splits,
        "No trial of a search was evaluated on the reported split.",
        VOIDS,
    ),
    (
        "last step",
        check_last_step,
        "A value is that of the last step, not the best of many; all count the same classes.",
        VOIDS,
    ),
    (
        "judging",
        check_judging,
        "Survivors of a rung follow from the values of their own bracket; methods never compete.",
        VOIDS,
    ),
    (
        "rungs",
        check_rung_ranking,
        "Rungs rank the anchors as the end does: the upper limit of tau_b is not under 0.5.",
        SAID,
    ),
    (
        "published and tuned",
        check_both,
        "Search values are no evidence: published and tuned values are both confirmed, with the "
        "parameters of their trials.",
        VOIDS,
    ),
    (
        "teacher",
        check_teacher,
        "One teacher, of the protocol's recipe, for searches and confirmations; one from a file is "
        "said with every result.",
        VOIDS,
    ),
    (
        "teacher's lead",
        check_lead,
        "The teacher beats the confirmed baseline by 2 mIoU.",
        SAID,
    ),
    (
        "records",
        check_provenance,
        "Every launch is on record with its software and hardware, from one clean checkout.",
        SAID,
    ),
    (
        "training seeds",
        check_training_seeds,
        "All trials of a repeat are trained with its one seed, and so see the same image batches.",
        VOIDS,
    ),
    (
        "fresh seeds",
        check_seeds,
        "Confirmations use one list of seeds that no search has used, from its beginning.",
        VOIDS,
    ),
    (
        "declared numbers",
        check_numbers,
        "Each configuration has as many confirmations as were declared before the first.",
        VOIDS,
    ),
    (
        "one reading",
        check_readings,
        "The reported split was read once for each complete confirmation.",
        VOIDS,
    ),
    (
        "incumbents",
        check_incumbents,
        "What was confirmed is the best trial within the compared budget, chosen after them all.",
        VOIDS,
    ),
    (
        "stages",
        check_stages,
        "At most two stages of confirmation; the second keeps the first one's terms and begins "
        "after its end; one that was not planned with the first is said with every result.",
        VOIDS,
    ),
    (
        "deletions",
        check_deletions,
        "No confirmation was deleted: a look at the reported split cannot be taken back, and "
        "another try is a chance more.",
        VOIDS,
    ),
    (
        "devices",
        check_devices,
        "A bracket is judged, and a stage confirmed, on one model of device.",
        SAID,
    ),
    (
        "room",
        check_room,
        "No best value lies at the edge of its range, and the last doubling of the budget gained "
        "no more than one standard error.",
        SAID,
    ),
    (
        "values",
        check_values,
        "A value is that of the trial's last rung, the mean of its class IoUs, and what the stored "
        "confusion matrices of a confirmation give; all runs were judged on the same labels.",
        VOIDS,
    ),
    (
        "segments",
        check_segments,
        "Every trial is what its segments made of it: state, steps, weights, device time, and the "
        "order in which it was planned, trained, read and decided.",
        VOIDS,
    ),
    (
        "proposals",
        check_proposals,
        "Every trial of a search is the one that published values, Sobol sequence and TPE lead to, "
        "planned once more from the log.",
        VOIDS,
    ),
    (
        "terms",
        check_terms,
        "Every launch went by the terms that were declared.",
        VOIDS,
    ),
    (
        "log",
        check_log,
        "Nothing was changed after it was recorded: every row has the digest that was noted then.",
        VOIDS,
    ),
    (
        "other readings",
        check_elsewhere,
        "No other sweep in this database has read the same reported split: a second sweep is a "
        "second look at it.",
        SAID,
    ),
    (
        "code",
        check_code,
        "Every segment was trained by the code of a launch of its sweep or stage, as it was "
        "imported there; several versions of the code are said with every result.",
        VOIDS,
    ),
)
