"""Methods are found by their pair of files, without torch."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from search_spaces import space_names
from trainers.errors import MethodError
from trainers.method_api.loading import load_method
from trainers.method_api.method import Method
from trainers.method_api.registry import method_names

FOLDER = Path(__file__).parents[3] / "trainers" / "methods"


def defines_a_method(stem: str) -> bool:
    module = import_module(f"trainers.methods.{stem}")
    own = [x for x in vars(module).values() if getattr(x, "__module__", "") == module.__name__]
    return any(isinstance(x, type) and issubclass(x, Method) and x is not Method for x in own)


def test_every_search_space_has_its_method_and_every_method_its_search_space() -> None:
    stems = {file.stem for file in FOLDER.glob("*.py")} - {"__init__"}
    assert {stem for stem in stems if defines_a_method(stem)} == set(space_names())
    assert set(method_names()) == set(space_names())


@pytest.mark.parametrize("name", method_names())
def test_a_method_file_defines_exactly_one_method(name: str) -> None:
    assert load_method(name).__module__ == f"trainers.methods.{name}"


@pytest.mark.parametrize("name", ["rdddd", "base", "../methods/kd", ""])
def test_an_unknown_method_is_refused_with_the_near_miss_or_the_list(name: str) -> None:
    with pytest.raises(MethodError, match=f"no method '{name}'; (did you mean|known: )"):
        load_method(name)


def test_the_registry_imports_no_torch() -> None:
    code = (
        "import sys; from trainers.method_api.registry import *; "
        "[(read_space(n), resolve(n, {}), code_hash(n)) for n in method_names()]; "
        "sys.exit('torch' in sys.modules)"
    )
    root = FOLDER.parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_terms_name_alone_is_refused_with_the_way_to_study_it() -> None:
    with pytest.raises(MethodError, match="no method 'pixel_kl'; did you mean 'term:pixel_kl'"):
        load_method("pixel_kl")
