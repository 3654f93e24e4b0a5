"""The rules of a fair comparison, in the order in which an audit goes through them."""

from __future__ import annotations

from collections.abc import Callable

from sweeper.audit.confirmation_rules import (
    look_at_both,
    look_at_incumbents,
    look_at_numbers,
    look_at_readings,
    look_at_seeds,
    look_at_splits,
    look_at_stages,
)
from sweeper.audit.evidence_rules import (
    look_at_log,
    look_at_segments,
    look_at_terms,
    look_at_values,
    look_elsewhere,
)
from sweeper.audit.finding import Look, Rule
from sweeper.audit.proposal_rules import look_at_proposals
from sweeper.audit.record_rules import (
    look_at_code,
    look_at_deletions,
    look_at_devices,
    look_at_lead,
    look_at_protocol,
    look_at_provenance,
    look_at_teacher,
)
from sweeper.audit.score_rules import (
    look_at_judging,
    look_at_last_step,
    look_at_room,
    look_at_rungs,
    look_at_training_seeds,
)
from sweeper.audit.treatment_rules import (
    look_at_baseline,
    look_at_budget,
    look_at_dimensions,
    look_at_ranges,
    look_at_start,
)
from sweeper.comparison.evidence import Evidence

VOIDS = "A breach voids the comparison."
SAID = "A breach is said with every result."


def _rules(*lines: tuple[str, Callable[[Evidence], Look], str, str]) -> tuple[Rule, ...]:
    return tuple(
        Rule(
            number=number,
            name=name,
            look=look,
            text=f"{text} {breach}",
            voids=breach is VOIDS,
            replays=look is look_at_proposals,
        )
        for number, (name, look, text, breach) in enumerate(lines, start=1)
    )


RULES = _rules(
    (
        "baseline",
        look_at_baseline,
        "The baseline is a method, searched like every other one; with several searches a method, "
        "three times as often, since all comparisons share its searches.",
        VOIDS,
    ),
    (
        "protocol",
        look_at_protocol,
        "One frozen protocol, and one space and code a method, for searches and confirmations.",
        VOIDS,
    ),
    (
        "budget",
        look_at_budget,
        "Every compared search has the same whole brackets, decided, with the same allowance.",
        VOIDS,
    ),
    (
        "dimensions",
        look_at_dimensions,
        "Every space is the shared dimensions, one multiplier, at most one own hyperparameter; "
        "full spaces are reported as such.",
        VOIDS,
    ),
    (
        "ranges",
        look_at_ranges,
        "The multiplier's range follows from the measured effect, once for a method, and every "
        "trial but the published one lies in its ranges.",
        VOIDS,
    ),
    (
        "start",
        look_at_start,
        "Trial 0 has the published values; the rest of the first bracket has the same shared "
        "values in every method.",
        VOIDS,
    ),
    (
        "splits",
        look_at_splits,
        "No trial of a search was evaluated on the reported split.",
        VOIDS,
    ),
    (
        "last step",
        look_at_last_step,
        "A value is that of the last step, not the best of many; all count the same classes.",
        VOIDS,
    ),
    (
        "judging",
        look_at_judging,
        "Survivors of a rung follow from the values of their own bracket; methods never compete.",
        VOIDS,
    ),
    (
        "rungs",
        look_at_rungs,
        "Rungs rank the anchors as the end does: the upper limit of tau_b is not under 0.5.",
        SAID,
    ),
    (
        "published and tuned",
        look_at_both,
        "Search values are no evidence: published and tuned values are both confirmed, with the "
        "parameters of their trials.",
        VOIDS,
    ),
    (
        "teacher",
        look_at_teacher,
        "One teacher, of the protocol's recipe, for searches and confirmations; one from a file is "
        "said with every result.",
        VOIDS,
    ),
    (
        "teacher's lead",
        look_at_lead,
        "The teacher beats the confirmed baseline by 2 mIoU.",
        SAID,
    ),
    (
        "records",
        look_at_provenance,
        "Every launch is on record with its software and hardware, from one clean checkout.",
        SAID,
    ),
    (
        "training seeds",
        look_at_training_seeds,
        "All trials of a repeat are trained with its one seed, and so see the same image batches.",
        VOIDS,
    ),
    (
        "fresh seeds",
        look_at_seeds,
        "Confirmations use one list of seeds that no search has used, from its beginning.",
        VOIDS,
    ),
    (
        "declared numbers",
        look_at_numbers,
        "Each configuration has as many confirmations as were declared before the first.",
        VOIDS,
    ),
    (
        "one reading",
        look_at_readings,
        "The reported split was read once for each complete confirmation.",
        VOIDS,
    ),
    (
        "incumbents",
        look_at_incumbents,
        "What was confirmed is the best trial within the compared budget, chosen after them all.",
        VOIDS,
    ),
    (
        "stages",
        look_at_stages,
        "At most two stages of confirmation; the second keeps the first one's terms and begins "
        "after its end; one that was not planned with the first is said with every result.",
        VOIDS,
    ),
    (
        "deletions",
        look_at_deletions,
        "No confirmation was deleted: a look at the reported split cannot be taken back, and "
        "another try is a chance more.",
        VOIDS,
    ),
    (
        "devices",
        look_at_devices,
        "A bracket is judged, and a stage confirmed, on one model of device.",
        SAID,
    ),
    (
        "room",
        look_at_room,
        "No best value lies at the edge of its range, and the last doubling of the budget gained "
        "no more than one standard error.",
        SAID,
    ),
    (
        "values",
        look_at_values,
        "A value is that of the trial's last rung, the mean of its class IoUs, and what the stored "
        "confusion matrices of a confirmation give; all runs were judged on the same labels.",
        VOIDS,
    ),
    (
        "segments",
        look_at_segments,
        "Every trial is what its segments made of it: state, steps, weights, device time, and the "
        "order in which it was planned, trained, read and decided.",
        VOIDS,
    ),
    (
        "proposals",
        look_at_proposals,
        "Every trial of a search is the one that published values, Sobol sequence and TPE lead to, "
        "planned once more from the log.",
        VOIDS,
    ),
    (
        "terms",
        look_at_terms,
        "Every launch went by the terms that were declared.",
        VOIDS,
    ),
    (
        "log",
        look_at_log,
        "Nothing was changed after it was recorded: every row has the digest that was noted then.",
        VOIDS,
    ),
    (
        "other readings",
        look_elsewhere,
        "No other sweep in this database has read the same reported split: a second sweep is a "
        "second look at it.",
        SAID,
    ),
    (
        "code",
        look_at_code,
        "Every segment was trained by the code of a launch of its sweep or stage, as it was "
        "imported there; several versions of the code are said with every result.",
        VOIDS,
    ),
)
