"""The hash of a method's code: what changes it, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.method_api.code_hash import file_hash
from trainers.method_api.registry import code_hash, method_names

METHOD = '''"""A method."""
import math

from trainers.terms.distances import term


class Some:
    """Some method."""

    def loss(self, x: float) -> float:
        """Return twice the term."""
        # the factor is 2
        return 2.0 * term(x, f"{x!r:>{4}}", *[], **{}) + math.pi
'''
TERM = "from .deeper import constant\n\n\ndef term(x: float) -> float:\n    return x * constant\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return what stands for the folder of the package `trainers`."""
    root = tmp_path / "package"
    for package in ("methods", "terms"):
        (root / package).mkdir(parents=True)
    (root / "methods" / "some.py").write_text(METHOD)
    (root / "methods" / "other.py").write_text("unrelated = 1\n")
    (root / "terms" / "distances.py").write_text(TERM)
    (root / "terms" / "deeper.py").write_text("constant = 3\n")
    return root


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("methods/some", "# the factor is 2", "# twice"),
        ("methods/some", "Return twice the term.", "Double it."),
        ("methods/some", '        """Return twice the term."""\n', ""),
        ("methods/some", "2.0 * term", "(2.0 * term"[1:]),
        ("methods/some", "    # the factor is 2\n", "\n\n"),
        ("methods/other", "1", "2"),
    ],
)
def test_comments_docstrings_layout_and_other_files_do_not_count(
    file: str, old: str, new: str, folder: Path
) -> None:
    before = file_hash(folder / "methods" / "some.py", folder)
    edit(folder / f"{file}.py", old, new)
    assert file_hash(folder / "methods" / "some.py", folder) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("methods/some", "2.0", "2"),
        ("methods/some", "2.0", "2.5"),
        ("methods/some", "!r:>{4}", "!s:>{4}"),
        ("methods/some", "class Some", "class Other"),
        ("terms/distances", "x * constant", "constant * x"),
        ("terms/deeper", "3", "4"),
    ],
)
def test_code_counts_that_of_imported_files_as_well(
    file: str, old: str, new: str, folder: Path
) -> None:
    before = file_hash(folder / "methods" / "some.py", folder)
    edit(folder / f"{file}.py", old, new)
    assert file_hash(folder / "methods" / "some.py", folder) != before


@pytest.mark.parametrize(
    "statement",
    [
        "from trainers.terms.distances import term",
        "from trainers.terms import distances",
        "import trainers.terms.distances",
        "from ..terms import distances",
        "from ..terms.distances import term",
    ],
)
def test_every_form_of_import_is_followed(statement: str, folder: Path) -> None:
    edit(folder / "methods" / "some.py", "from trainers.terms.distances import term", statement)
    before = file_hash(folder / "methods" / "some.py", folder)
    edit(folder / "terms" / "deeper.py", "3", "4")
    assert file_hash(folder / "methods" / "some.py", folder) != before


def test_the_hash_does_not_depend_on_the_version_of_python(folder: Path) -> None:
    known = "20c1e1526a0a1005d2a69750df98af4fc86c6f57317c3d3e8680ed74ebef25cc"
    assert file_hash(folder / "methods" / "some.py", folder) == known


def test_the_hash_does_not_depend_on_where_the_folders_lie(folder: Path, tmp_path: Path) -> None:
    hashes = set()
    for name in ("a", "z"):  # before and after the folder of the package, in the order of paths
        own = tmp_path / name
        own.mkdir()
        (own / "mine.py").write_text("import parts\nfrom trainers.methods import some\n")
        (own / "parts.py").write_text("factor = 1\n")
        hashes.add(file_hash(own / "mine.py", folder))
    assert len(hashes) == 1


def test_every_method_has_a_hash_of_its_own() -> None:
    hashes = {code_hash(name) for name in method_names()}
    assert len(hashes) == len(method_names())
    assert {len(each) for each in hashes} == {64}


def test_what_lies_beside_a_users_method_counts_as_well(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text("import parts\nfrom trainers.terms.distances import term\n")
    (own / "parts.py").write_text("factor = 1\n")
    hashes = {file_hash(own / "mine.py", folder)}
    edit(own / "parts.py", "1", "2")
    hashes.add(file_hash(own / "mine.py", folder))
    edit(folder / "terms" / "deeper.py", "3", "4")
    hashes.add(file_hash(own / "mine.py", folder))
    assert len(hashes) == 3
