"""The hash of a method's code: what changes it, and what does not."""

from __future__ import annotations

from pathlib import Path

import pytest

from trainers.method_api.code_hash import file_hash
from trainers.method_api.registry import code_hash, method_names

METHOD = '''"""A method."""
import math

from trainers.methods.terms import term


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
    (tmp_path / "some.py").write_text(METHOD)
    (tmp_path / "terms.py").write_text(TERM)
    (tmp_path / "deeper.py").write_text("constant = 3\n")
    (tmp_path / "other.py").write_text("unrelated = 1\n")
    return tmp_path


def edit(file: Path, old: str, new: str) -> None:
    assert old in file.read_text()
    file.write_text(file.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("some", "# the factor is 2", "# twice"),
        ("some", "Return twice the term.", "Double it."),
        ("some", '        """Return twice the term."""\n', ""),
        ("some", "2.0 * term", "(2.0 * term"[1:]),
        ("some", "    # the factor is 2\n", "\n\n"),
        ("other", "1", "2"),
    ],
)
def test_comments_docstrings_layout_and_other_files_do_not_count(
    file: str, old: str, new: str, folder: Path
) -> None:
    before = file_hash(folder / "some.py", folder)
    edit(folder / f"{file}.py", old, new)
    assert file_hash(folder / "some.py", folder) == before


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("some", "2.0", "2"),
        ("some", "2.0", "2.5"),
        ("some", "!r:>{4}", "!s:>{4}"),
        ("some", "class Some", "class Other"),
        ("terms", "x * constant", "constant * x"),
        ("deeper", "3", "4"),
    ],
)
def test_code_counts_that_of_imported_files_as_well(
    file: str, old: str, new: str, folder: Path
) -> None:
    before = file_hash(folder / "some.py", folder)
    edit(folder / f"{file}.py", old, new)
    assert file_hash(folder / "some.py", folder) != before


@pytest.mark.parametrize(
    "statement",
    [
        "from trainers.methods.terms import term",
        "from trainers.methods import terms",
        "import trainers.methods.terms",
        "from . import terms",
        "from .terms import term",
        "from ..methods.terms import term",
    ],
)
def test_every_form_of_import_is_followed(statement: str, folder: Path) -> None:
    edit(folder / "some.py", "from trainers.methods.terms import term", statement)
    before = file_hash(folder / "some.py", folder)
    edit(folder / "deeper.py", "3", "4")
    assert file_hash(folder / "some.py", folder) != before


def test_the_hash_does_not_depend_on_the_version_of_python(folder: Path) -> None:
    known = "7bbdb7433cd4ec017512f82780232a27ef5593103c8184c32eb1c23df7433686"
    assert file_hash(folder / "some.py", folder) == known


def test_every_method_has_a_hash_of_its_own() -> None:
    hashes = {code_hash(name) for name in method_names()}
    assert len(hashes) == len(method_names())
    assert {len(each) for each in hashes} == {64}


def test_what_lies_beside_a_users_method_counts_as_well(folder: Path, tmp_path: Path) -> None:
    own = tmp_path / "own"
    own.mkdir()
    (own / "mine.py").write_text("import parts\nfrom trainers.methods.terms import term\n")
    (own / "parts.py").write_text("factor = 1\n")
    hashes = {file_hash(own / "mine.py", folder)}
    edit(own / "parts.py", "1", "2")
    hashes.add(file_hash(own / "mine.py", folder))
    edit(folder / "deeper.py", "3", "4")
    hashes.add(file_hash(own / "mine.py", folder))
    assert len(hashes) == 3
