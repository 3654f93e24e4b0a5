"""What the documentation says is there: links, commands, options, tasks, methods, files."""

from __future__ import annotations

import re
import shlex
from itertools import takewhile
from pathlib import Path

import click
import pytest

from sweeper.cli import methods_markdown
from sweeper.cli.main import main
from trainers.contract.template import write_pair
from trainers.method_api.registry import all_names
from trainers.tasks import task_names

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    page
    for page in ROOT.rglob("*.md")
    if not any(part.startswith(".") for part in page.relative_to(ROOT).parts[:-1])
)
README = ROOT / "README.md"
PACKAGES = ("search_spaces", "trainers", "sweeper")
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```\w*\n(.*?)```|`([^`\n]+)`", re.DOTALL)
TREE_LINE = re.compile(r"^(?P<indent> *)(?P<name>[\w./-]+) {2,}\S.*$")


def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def code_lines(page: Path) -> list[str]:
    """Return the lines of code blocks and code spans, continuation lines joined, comments cut."""
    blocks = [block or span for block, span in CODE.findall(text_of(page))]
    joined = "\n".join(blocks).replace("\\\n", " ")
    return [line.split(" # ")[0].removeprefix("$ ").strip() for line in joined.splitlines()]


def lines_that_begin(word: str) -> list[str]:
    lines = [line.removeprefix(".venv/bin/") for page in PAGES for line in code_lines(page)]
    return sorted({line for line in lines if line.split(" ")[0] == word})


def block(text: str, language: str) -> str:
    """Return the first code block in that language."""
    return text.partition(f"```{language}\n")[2].partition("```")[0]


def anchors(page: Path) -> set[str]:
    """Return the anchors that a page's headings get where it is shown."""
    headings = re.findall(r"^#+ (.+)$", text_of(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def find_command(words: list[str]) -> click.Command:
    """Return the command that the words after `sweeper` name; the first may be a group."""
    command: click.Command = main
    for word in words:
        if not isinstance(command, click.Group):
            break
        context = click.Context(command)
        found = command.get_command(context, word)
        assert found is not None, f"no command {word!r} among {command.list_commands(context)}"
        command = found
    return command


def tree_entries() -> list[str]:
    """Return the paths that the README's file tree lists, folders with a slash at the end."""
    block = text_of(README).split("## Files")[1].split("```")[1]
    folders: dict[int, str] = {}
    entries = []
    for line in block.splitlines()[1:]:
        match = TREE_LINE.match(line)
        assert match, f"not of the form NAME  PURPOSE: {line!r}"
        depth = len(match["indent"])
        path = "".join(folders[above] for above in sorted(folders) if above < depth)
        folders = {above: name for above, name in folders.items() if above < depth}
        folders[depth] = match["name"]
        entries.append(path + match["name"])
    return entries


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_relative_links_lead_somewhere(page: Path) -> None:
    for link in LINK.findall(text_of(page)):
        target, _, anchor = link.partition("#")
        if "://" not in target and not target.startswith("mailto:"):
            linked = page.parent / target if target else page
            assert linked.exists(), link
            assert not anchor or anchor in anchors(linked), link


@pytest.mark.parametrize("line", lines_that_begin("sweeper"))
def test_documented_commands_and_options_exist(line: str) -> None:
    words = shlex.split(line.partition(" | ")[0])[1:]
    command = find_command(list(takewhile(lambda word: not word.startswith("-"), words)))
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known


@pytest.mark.parametrize("line", lines_that_begin("make"))
def test_documented_make_targets_exist(line: str) -> None:
    for target in line.split()[1:]:
        assert re.search(rf"^{target}:", text_of(ROOT / "Makefile"), re.MULTILINE), target


def test_every_command_stands_in_the_readme() -> None:
    documented = {line.split()[1] for line in lines_that_begin("sweeper") if " " in line}
    assert set(main.list_commands(click.Context(main))) <= documented


@pytest.mark.parametrize(("kind", "names"), [("task", task_names()), ("method", all_names())])
def test_tasks_and_methods_are_named_as_they_are(kind: str, names: list[str]) -> None:
    given = [n for page in PAGES for n in re.findall(rf"--{kind} ([a-z][\w+-]*)", text_of(page))]
    assert set(given) <= {*names, "mine", "term"}
    pages = text_of(README) + text_of(ROOT / "METHODS.md")
    rows = set(re.findall(r"^\| `([\w+-]+)`\S* \|", pages, re.MULTILINE))
    assert set(names) <= rows, f"in no table: {sorted(set(names) - rows)}"


def test_the_file_tree_lists_what_is_there() -> None:
    assert not [entry for entry in tree_entries() if not (ROOT / entry).exists()]


def test_the_file_tree_lists_every_package() -> None:
    packages = {file.parent for name in PACKAGES for file in (ROOT / name).rglob("__init__.py")}
    names = {f"{package.relative_to(ROOT).as_posix()}/" for package in packages}
    assert names - set(tree_entries()) <= {n for n in names if "/migrations/" in n}


def test_the_method_that_the_readme_adds_is_the_templates(tmp_path: Path) -> None:
    example = text_of(README).partition("## Adding a method")[2]
    code, _ = write_pair("mine", tmp_path)
    assert block(example, "python") == code.read_text(encoding="utf-8")


def test_the_page_of_methods_is_up_to_date() -> None:
    assert text_of(ROOT / "METHODS.md") == "".join(methods_markdown.markdown()), (
        "run `make methods`"
    )


def test_the_page_of_methods_holds_what_a_comparison_must_hold() -> None:
    methods, terms, papers = map(int, re.findall(r"\d+", text_of(ROOT / "METHODS.md"))[:3])
    assert methods == len(all_names()) >= 27
    assert terms >= 30
    assert papers >= 20
