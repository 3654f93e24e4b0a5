"""What the students make of a few images: beside the truth, the baseline and the teacher."""

from __future__ import annotations

from sweeper.comparison.comparison import Comparison
from sweeper.core.constants import BASELINE
from sweeper.report.content import PageContent
from sweeper.report.html import Html, element, missing, paragraph, picture
from trainers.data.preview_columns import columns_of

TITLE = "What the students see"
NAMES = {"image": "image", "labels": "truth", "teacher": "teacher"}
Strips = dict[str, bytes]


def pictures_section(content: PageContent) -> Html:
    """Return image, truth, baseline, methods and teacher as columns: the first seed's runs."""
    sheets = _sheets(content.comparison)
    if not sheets:
        return content.section(
            "pictures", TITLE, missing("No confirmation has stored its predictions.")
        )
    columns = {method: columns_of(png) for method, png in sheets.items()}
    strips = _strips(columns) or {f"{method}: all columns": png for method, png in sheets.items()}
    legend = next((c["legend"] for c in columns.values() if "legend" in c), None)
    boxes = [
        _strip(name, png, "image, truth and prediction" if name.endswith("columns") else name)
        for name, png in strips.items()
    ]
    label = "Predictions, one column a method"
    row = element("div", *boxes, class_="strips", role="region", tabindex=0, aria_label=label)
    return content.section(
        "pictures",
        TITLE,
        paragraph(
            "Three images of the reported split, chosen by their place alone. The students are the "
            "tuned configurations of the first confirmation seed; the row scrolls sideways."
        ),
        row,
        picture(legend, "Legend: the colours of the classes") if legend else None,
    )


def _sheets(comparison: Comparison) -> dict[str, bytes]:
    """Return the stored sheet of each method's first tuned run, in the order of the verdicts."""
    runs = comparison.confirmed
    tuned = runs[(runs["configuration"] == "tuned") & (runs["state"] == "COMPLETE")]
    first = tuned.sort_values(["stage", "repeat", "number"]).drop_duplicates("method")
    keys = {
        row["method"]: (int(row["study_id"]), int(row["number"]))
        for row in first.to_dict("records")
    }
    stored = comparison.evidence.pictures(list(keys.values())) if keys else {}
    order = [method for method in comparison.verdicts["method"] if method in keys]
    return {method: stored[keys[method]] for method in order if keys[method] in stored}


def _strips(columns: dict[str, Strips]) -> Strips:
    """Return image and truth once, then every student, then the teacher; empty for old sheets."""
    every = list(columns.values())
    common = {
        shown: next((each[name] for each in every if name in each), None)
        for name, shown in NAMES.items()
    }
    students = {method: each["student"] for method, each in columns.items() if "student" in each}
    if not students:
        return {}
    ordered = {
        "image": common["image"],
        "truth": common["truth"],
        **{method: students[method] for method in sorted(students, key=lambda m: m != BASELINE)},
        "teacher": common["teacher"],
    }
    return {name: png for name, png in ordered.items() if png is not None}


def _strip(name: str, png: bytes, what: str) -> Html:
    says = {
        "image": "Three images of the reported split, one below the other",
        "truth": "The classes they are labelled with",
        "teacher": "What the teacher predicts",
    }
    alt = says.get(name, f"What {what} predicts for each image")
    return element("figure", element("figcaption", name), picture(png, alt), class_="strip")
