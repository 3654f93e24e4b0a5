"""The house rules that a syntax tree can hold, and that neither ruff nor mypy does."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "trainers", "sweeper")
SOURCES = sorted(file for package in PACKAGES for file in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
MOST_FILE_LINES = 350
MOST_UNTESTED_LINES = 120  # of a module without tests of its own name
MOST_FUNCTION_LINES = 50  # of code: no blank line, comment or docstring
MOST_BROAD_EXCEPTS = 2  # around a member's training, and where torch reads anybody's file
DOCUMENTED = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
LAYOUT = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def tree_of(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))


def place(file: Path, node: ast.AST) -> str:
    name = getattr(node, "name", "")
    return f"{file.relative_to(ROOT)}:{getattr(node, 'lineno', 1)} {name}".rstrip()


def public_parts(node: ast.AST) -> Iterator[DOCUMENTED]:
    """Yield a node that wants a docstring and those below it; functions hide what is in them."""
    if isinstance(node, DOCUMENTED):
        if getattr(node, "name", "").startswith("_"):
            return
        yield node
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        for child in ast.iter_child_nodes(node):
            yield from public_parts(child)


def docstring_lines(tree: ast.Module) -> set[int]:
    nodes = [node for node in ast.walk(tree) if isinstance(node, DOCUMENTED)]
    literals = [node.body[0] for node in nodes if ast.get_docstring(node) is not None]
    return {n for e in literals for n in range(e.lineno, (e.end_lineno or e.lineno) + 1)}


def code_lines(source: str) -> set[int]:
    """Return the numbers of the lines that hold more than a comment or a docstring."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    spans = [(t.start[0], t.end[0]) for t in tokens if t.type not in LAYOUT]
    lines = {number for first, last in spans for number in range(first, last + 1)}
    return lines - docstring_lines(ast.parse(source))


def long_functions(file: Path) -> Iterator[str]:
    code = code_lines(file.read_text(encoding="utf-8"))
    for node in ast.walk(tree_of(file)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = len(code.intersection(range(node.lineno, (node.end_lineno or 0) + 1)))
            if length > MOST_FUNCTION_LINES:
                yield f"{place(file, node)}: {length} code lines"


def is_broad(handler: ast.ExceptHandler) -> bool:
    caught = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(
        kind is None or (isinstance(kind, ast.Name) and kind.id in {"Exception", "BaseException"})
        for kind in caught
    )


def test_every_module_public_class_and_public_function_is_documented() -> None:
    missing = [
        place(file, node)
        for file in SOURCES
        for node in public_parts(tree_of(file))
        if ast.get_docstring(node) is None
    ]
    assert not missing


def test_every_test_module_says_what_it_is_about() -> None:
    assert not [str(file) for file in TESTS if ast.get_docstring(tree_of(file)) is None]


def test_no_function_is_longer_than_a_page() -> None:
    assert not [fault for file in SOURCES for fault in long_functions(file)]


@pytest.mark.parametrize("files", [SOURCES, TESTS], ids=["source", "tests"])
def test_no_file_is_longer_than_seven_pages(files: list[Path]) -> None:
    # A revision is as long as what it changes, and is never edited.
    edited = [file for file in files if file.parent.name != "versions"]
    lengths = {file: len(file.read_text(encoding="utf-8").splitlines()) for file in edited}
    assert not {str(file): lines for file, lines in lengths.items() if lines > MOST_FILE_LINES}


@pytest.mark.parametrize("package", ["trainers", "sweeper"])
def test_a_longer_module_has_tests_of_its_name(package: str) -> None:
    # What a revision does is tested by the schema that all of them together make.
    files = [f for f in SOURCES if f.is_relative_to(ROOT / package) and f.parent.name != "versions"]
    long = [f for f in files if len(f.read_text("utf-8").splitlines()) > MOST_UNTESTED_LINES]
    tests = {f: ROOT / "tests" / f.parent.relative_to(ROOT) / f"test_{f.name}" for f in long}
    assert not [str(file.relative_to(ROOT)) for file, test in tests.items() if not test.is_file()]


def test_source_raises_errors_instead_of_asserting() -> None:
    nodes = [(file, node) for file in SOURCES for node in ast.walk(tree_of(file))]
    assert not [place(file, node) for file, node in nodes if isinstance(node, ast.Assert)]


def test_only_one_place_catches_every_exception() -> None:
    nodes = [(file, node) for file in SOURCES for node in ast.walk(tree_of(file))]
    handlers = [(file, node) for file, node in nodes if isinstance(node, ast.ExceptHandler)]
    broad = [place(file, node) for file, node in handlers if is_broad(node)]
    assert len(broad) <= MOST_BROAD_EXCEPTS, broad
