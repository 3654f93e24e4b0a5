"""The sections on how it came about: costs, and who ran what with which software and data."""

from __future__ import annotations

import json
from typing import Any

from sweeper.comparison.evidence import Evidence, Stage
from sweeper.report.content import PageContent
from sweeper.report.html import Html, details, element, facts, number, table
from sweeper.report.plots import data_links

Row = dict[Any, Any]
SHORT = 12  # characters of a hash that tell it from others


def costs_section(content: PageContent) -> Html:
    """Return the ledger of the searches."""
    headers = (
        *("Method", "Searches", "Trials", "Steps kept", "Steps lost", "Device s kept"),
        *("Device s lost", "Seconds a step", "By"),
    )
    rows = [
        [
            row["method"],
            number(row["searches"], 0),
            number(row["trials"], 0),
            number(row["trained_steps"], 0),
            number(row["wasted_steps"], 0),
            number(row["device_seconds"], 0),
            number(row["wasted_seconds"], 0),
            number(row["per_step"], 4),
            row["basis"],
        ]
        for row in content.comparison.costs.to_dict("records")
    ]
    return content.section(
        "costs",
        "What it cost",
        table("Ledger of the searches", headers, rows),
        element("p", data_links(["costs"])),
    )


def provenance_section(content: PageContent) -> Html:
    """Return launches, versions, commits, hashes, seeds, and what must be said of the data."""
    evidence = content.comparison.evidence
    return content.section(
        "provenance",
        "Where it comes from",
        facts(_facts(evidence, content.version)),
        _stages(evidence),
        _launches(evidence),
        _searches(evidence),
        details("The frozen protocol", element("pre", json.dumps(evidence.protocol, indent=2))),
    )


def _facts(evidence: Evidence, version: str) -> dict[str, object]:
    protocol, teacher = evidence.protocol, evidence.teacher
    said = "none"
    if teacher is not None:
        said = f"{teacher.origin}, {teacher.score:.2f} mIoU, {teacher.weights_hash[:SHORT]}"
    numerics = protocol["numerics"]
    exact = "deterministic" if numerics["deterministic"] else "not deterministic"
    return {
        "Sweep": evidence.name,
        "Task": evidence.task,
        "First launched": f"{evidence.created_at:%Y-%m-%d %H:%M} UTC",
        "Trials compared": f"{evidence.budget} a search",
        "Seed of the sweep": str(evidence.seed),
        "Data": protocol["data_fingerprint"][:SHORT],
        "Said with the data": evidence.note or "nothing",
        "Numerics": f"version {numerics['version']}, {exact}",
        "Teacher": said,
        "Page made by": f"sweeper {version}",
    }


def _stages(evidence: Evidence) -> Html | None:
    headers = ("Confirmation", "Declared", "Seeds", "Of the baseline", "δ", "Paired", "Read until")
    rows = [
        [
            stage.name,
            f"{stage.declared_at:%Y-%m-%d %H:%M}",
            number(stage.seeds, 0),
            number(stage.baseline_seeds, 0),
            number(stage.delta),
            "yes" if stage.paired else "no",
            _last_read(evidence, stage),
        ]
        for stage in evidence.stages
    ]
    title = "Confirmations: each reads the reported split once a run (times in UTC)"
    return table(title, headers, rows) if rows else None


def _last_read(evidence: Evidence, stage: Stage) -> str:
    runs = evidence.confirmations
    ends = runs.loc[runs["stage"] == stage.number, "finished_at"].dropna()
    return f"{ends.max():%Y-%m-%d %H:%M}" if len(ends) else "-"


def _launches(evidence: Evidence) -> Html:
    headers = ("When (UTC)", "Who", "Commit", "Python", "torch", "On", "Command")
    rows = [_launch(row) for row in evidence.launches.to_dict("records")]
    return table("Launches", headers, rows)


def _launch(row: Row) -> list[str]:
    known = row["provenance"] or {}
    git = known.get("git") or {}
    commit = str(git.get("commit", "-"))[:SHORT]
    return [
        f"{row['at']:%Y-%m-%d %H:%M}",
        row["who"],
        f"{commit} (changed)" if git.get("dirty") else commit,
        str(known.get("python", "-")),
        str(known.get("packages", {}).get("torch", "-")),
        str(known.get("processor", "-")),
        row["command"],
    ]


def _searches(evidence: Evidence) -> Html:
    headers = ("Search", "State", "Dimensions", "Code", "Space", "Why")
    rows = [
        [
            row["name"],
            row["state"],
            number(row["dimensions"], 0),
            row["code_hash"][:SHORT],
            row["space_hash"][:SHORT],
            row["reason"] or "-",
        ]
        for row in evidence.studies.to_dict("records")
    ]
    return table("Searches, with the hashes of code and space", headers, rows)
