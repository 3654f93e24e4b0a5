"""Methods are found by their pair of files, without torch."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module
from pathlib import Path

from search_spaces import space_names
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


def test_the_registry_imports_no_torch() -> None:
    code = (
        "import sys; from trainers.method_api.registry import *; "
        "[(read_space(n), resolve(n, {}), code_hash(n)) for n in method_names()]; "
        "sys.exit('torch' in sys.modules)"
    )
    root = FOLDER.parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0
