"""Whether all is frozen and on record: protocol, teacher, provenance, devices, deletions, code."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from sweeper.audit.finding import CheckResult
from sweeper.audit.scope import counted, rows_of, shortened, unconfirmed
from sweeper.comparison.confirmed_scores import confirmed_runs
from sweeper.comparison.evidence import Evidence
from sweeper.comparison.verdicts import is_teacher_weak
from sweeper.core.constants import BASELINE
from sweeper.core.names import search_name
from sweeper.search.space import Space
from trainers.tasks.identity import digest

WANTED = ("python", "packages", "processor")  # of a launch's provenance; git only in a checkout
OWN_OF_STAGE = {"plan", "confirmation"}  # what a stage's protocol says otherwise than its sweep's


def check_protocol(evidence: Evidence) -> CheckResult:
    """Protocol, spaces and code are those that were frozen."""
    rows = rows_of(evidence.frozen)
    faults = [f"the protocol of {r['name']} was changed" for r in rows if not _is_intact(r)]
    faults += [fault for row in rows[1:] for fault in _other_protocol(rows[0], row)]
    searches = pd.concat([evidence.studies, evidence.copies])
    for method, group in searches.groupby("method"):
        for column, noun in (("code_hash", "code"), ("space_hash", "space")):
            if group[column].nunique() > 1:
                faults.append(f"{method}: more than one {noun}")
    faults += [
        f"{row['name']}: its space was changed"
        for row in rows_of(evidence.studies)
        if Space.model_validate(row["space"]).hash != row["space_hash"]
    ]
    methods = counted(searches["method"].nunique(), "method")
    stages = counted(len(rows) - 1, "stage")
    seen = f"protocol {rows[0]['protocol_hash'][:12]}, {stages}, code and space of {methods}"
    return CheckResult(seen=seen, faults=faults)


def check_teacher(evidence: Evidence) -> CheckResult:
    """One teacher for searches and confirmations, trained by the protocol's recipe."""
    needing = evidence.compared_studies["needs_teacher"].astype(bool)
    if not needing.any():
        return CheckResult(seen="no method learns from a teacher")
    frozen = rows_of(evidence.frozen)
    if frozen[0]["teacher_hash"] is None:
        begun = bool(evidence.trials["trained_steps"].sum()) and bool(evidence.stages)
        fault = ["no teacher was frozen"] if begun else []
        return CheckResult(seen="", faults=fault, awaits="" if begun else "no teacher yet")
    others = [row["name"] for row in frozen[1:] if row["teacher_hash"] != frozen[0]["teacher_hash"]]
    faults = [f"{name} was trained under another teacher" for name in others]
    teacher = evidence.teacher
    if teacher is None:
        return CheckResult(seen="", faults=faults, remarks=["the teacher's record is gone"])
    if teacher.recipe != evidence.protocol["teacher_recipe"]:
        faults.append("the teacher is not of the protocol's recipe")
    origin = "trained" if teacher.origin == "trained" else "from a file"
    seen = (
        f"{origin}, weights {teacher.weights_hash[:12]}, {teacher.score:.2f} on the selection split"
    )
    return CheckResult(
        seen=seen, faults=faults, remarks=[] if origin == "trained" else ["teacher from a file"]
    )


def check_lead(evidence: Evidence) -> CheckResult:
    """The teacher beats the confirmed baseline by 2 mIoU."""
    if not evidence.compared_studies["needs_teacher"].astype(bool).any():
        return CheckResult(seen="no method learns from a teacher")
    runs = confirmed_runs(evidence)
    is_baseline = (runs["method"] == BASELINE) & (runs["configuration"] == "tuned")
    baseline = runs[is_baseline]["score"].dropna()
    if baseline.empty or evidence.teacher is None:
        return CheckResult(
            seen="", awaits=unconfirmed(evidence) or "no teacher or baseline to compare"
        )
    seen = (
        f"teacher {evidence.teacher.score:.2f} (selection split), baseline {baseline.mean():.2f} "
    )
    seen += f"(reported split): {evidence.teacher.score - baseline.mean():+.2f}"
    weak = ["weak teacher"] if is_teacher_weak(evidence, runs) else []
    return CheckResult(seen=seen, faults=weak, awaits=unconfirmed(evidence))


def check_provenance(evidence: Evidence) -> CheckResult:
    """Every launch says who, with which software, on what; from one clean checkout."""
    named = [
        evidence.name,
        *(stage.name for stage in evidence.stages),
    ]  # no verdict rests on equal cost
    launches = rows_of(evidence.launches[evidence.launches["sweep"].isin(named)])
    faults = [f"no launch of {name} is on record" for name in _unlaunched(evidence)]
    faults += [f for row in launches for f in _launch_faults(row)]
    faults += _mixed(launches)
    people = {row["who"] for row in launches}
    seen = f"{counted(len(launches), 'launch')} by {shortened(sorted(people))}"
    return CheckResult(seen=seen, faults=list(dict.fromkeys(faults)))


def check_devices(evidence: Evidence) -> CheckResult:
    """Brackets are judged on one model of device, and a stage is confirmed on one."""
    parts = evidence.parts[evidence.parts["device_name"].notna()]
    own = parts[parts["sweep_id"] == evidence.sweep_id]
    groups = own.groupby(["method", "repeat", "bracket"])["device_name"].nunique()
    mixed = [f"{search_name(m, r)} bracket {b}" for m, r, b in groups[groups > 1].index]
    faults = [f"a bracket judged on several devices: {shortened(mixed)}"] if mixed else []
    for stage in evidence.stages:
        names = sorted(set(parts[parts["sweep_id"] == stage.sweep_id]["device_name"]))
        if len(names) > 1:
            faults.append(f"stage {stage.number} confirmed on several devices: {shortened(names)}")
    models = sorted(set(parts["device_name"]))
    return CheckResult(
        seen=shortened(models), faults=faults, awaits="" if models else "nothing is trained yet"
    )


def check_deletions(evidence: Evidence) -> CheckResult:
    """No confirmation was deleted: its readings of the reported split would not count.

    One that had not read it yet may go: nothing was learnt from it.
    """
    gone = rows_of(evidence.events[evidence.events["kind"] == "confirmation deleted"])
    faults = [
        f"{row['detail']['name']} ({row['detail']['readings']} readings) deleted "
        f"{row['at']:%Y-%m-%d %H:%M}"
        for row in gone
        if row["detail"]["readings"]
    ]
    return CheckResult(seen=counted(len(evidence.events), "event"), faults=faults)


def check_code(evidence: Evidence) -> CheckResult:
    """Every segment was trained by the code of a launch of its sweep or stage."""
    rows = rows_of(evidence.codes)
    faults = [fault for row in rows if (fault := _code_fault(row))]
    hashes = sorted({row["code_hash"][:12] for row in rows if row["code_hash"]})
    remarks = [f"trained by {len(hashes)} versions of the code"] if len(hashes) > 1 else []
    segments = sum(row["segments"] for row in rows)
    return CheckResult(
        seen=f"{counted(segments, 'segment')}, code {shortened(hashes) or 'unknown'}",
        faults=faults,
        remarks=remarks,
        awaits="" if rows else "nothing is trained yet",
    )


def _code_fault(row: Mapping[str, Any]) -> str:
    """Return what is wrong with the segments of one sweep that one code has trained."""
    segments = f"{counted(row['segments'], 'segment')} of {row['sweep']}"
    if not row["code_hash"]:
        return f"{segments} without a record of the code"
    if row["is_known"]:
        return ""
    return f"{segments} trained by code {row['code_hash'][:12]}, which no launch of it had"


def _is_intact(row: Mapping[str, Any]) -> bool:
    return bool(digest(row["protocol"]) == row["protocol_hash"])


def _other_protocol(sweep: Mapping[str, Any], stage: Mapping[str, Any]) -> Iterator[str]:
    """Yield how a stage differs from its sweep where it may not."""
    keys = (sweep["protocol"].keys() | stage["protocol"].keys()) - OWN_OF_STAGE
    fields = sorted(k for k in keys if sweep["protocol"].get(k) != stage["protocol"].get(k))
    if fields:
        yield f"{stage['name']} has another {', '.join(fields)}"
    if sweep["seed"] != stage["seed"]:
        yield f"{stage['name']} has another seed"


def _unlaunched(evidence: Evidence) -> list[str]:
    launched = set(evidence.launches["sweep"])
    return [name for name in evidence.frozen["name"] if name not in launched]


def _launch_faults(launch: Mapping[str, Any]) -> Iterator[str]:
    known, name = launch["provenance"], launch["sweep"]
    lacking = [key for key in WANTED if not known.get(key)]
    if lacking:
        yield f"{name} was launched without a record of {', '.join(lacking)}"
    if (known.get("git") or {}).get("dirty"):
        done = "confirmed" if ":" in name else "searched"
        yield f"{done} with a dirty checkout"


def _mixed(launches: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what of the software differs between launches."""
    commits = {(row["provenance"].get("git") or {}).get("commit") for row in launches} - {None}
    if len(commits) > 1:
        yield f"launched at {len(commits)} git commits"
    packages = [row["provenance"].get("packages") or {} for row in launches]
    for name in sorted({name for each in packages for name in each}):
        versions = {str(each[name]) for each in packages if name in each}
        if len(versions) > 1:
            yield f"several versions of {name}: {', '.join(sorted(versions))}"
