"""The page: sections in the order in which one looks at them, with all that they need."""

from __future__ import annotations

from importlib.resources import files

from sweeper.report.audit import audit_section
from sweeper.report.content import PageContent
from sweeper.report.equal_cost import equal_cost_section
from sweeper.report.headline import headline
from sweeper.report.html import Html, element, joined, paragraph
from sweeper.report.pictures import pictures_section
from sweeper.report.plots import library, payload
from sweeper.report.provenance import costs_section, provenance_section
from sweeper.report.searches import (
    curves_section,
    importances_section,
    rungs_section,
    shared_section,
    slices_section,
    widening_section,
)
from sweeper.report.verdicts import classes_section, published_section, verdicts_section

NAVIGATION = {
    "verdicts": "Verdicts",
    "published": "Published",
    "equal-cost": "Equal cost",
    "classes": "Classes",
    "pictures": "Pictures",
    "curves": "Progress",
    "shared": "Shared points",
    "slices": "Slices",
    "importances": "Importances",
    "rungs": "Rungs",
    "widening": "Search on",
    "costs": "Cost",
    "audit": "Audit",
    "provenance": "Provenance",
}


def render_page(content: PageContent) -> str:
    """Return the whole page; nothing in it asks for a network."""
    sections = [
        headline(content),
        verdicts_section(content),
        published_section(content),
        equal_cost_section(content),
        classes_section(content),
        pictures_section(content),
        curves_section(content),
        shared_section(content),
        slices_section(content),
        importances_section(content),
        rungs_section(content),
        widening_section(content),
        costs_section(content),
        audit_section(content),
        provenance_section(content),
    ]
    body = element(
        "body",
        element("a", "Skip to the findings", href="#found", class_="skip"),
        _header(content),
        _navigation(),
        element("main", *sections, id="main"),
        payload(content.figures),
        library(),
        element("script", _asset("page.js")),
    )
    return f"<!doctype html>\n{element('html', _head(content), body, lang='en')}\n"


def _head(content: PageContent) -> Html:
    return element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name_="viewport", content_="width=device-width, initial-scale=1"),
        element("meta", name_="color-scheme", content_="light dark"),
        element("title", f"{content.comparison.evidence.name}: comparison"),
        element("link", rel="icon", href="data:,"),
        element("style", _asset("page.css")),
    )


def _header(content: PageContent) -> Html:
    evidence = content.comparison.evidence
    searches = len(evidence.compared_studies)
    about = f"task {evidence.task}, {searches} searches, {evidence.budget} trials each compared"
    toggle = element("button", "Dark", type="button", id="mode", aria_pressed="false")
    stamps = [element("li", stamp) for stamp in content.audit.stamps]
    return element(
        "header",
        element("div", element("h1", evidence.name), toggle, class_="bar"),
        paragraph(about),
        element("ul", *stamps, class_="stamps", id="stamps", aria_label="Stamps")
        if stamps
        else None,
        element("noscript", paragraph("Figures need JavaScript; tables and text do not.")),
    )


def _navigation() -> Html:
    links = [element("a", title, href=f"#{name}") for name, title in NAVIGATION.items()]
    return element("nav", joined(links), aria_label="Sections")


def _asset(name: str) -> Html:
    return Html(files("sweeper.report").joinpath(name).read_text(encoding="utf-8"))
