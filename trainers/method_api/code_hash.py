"""A hash of a method's code, so that a sweep never goes on with code other than it began with."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
NAME = "trainers"  # of the package at ROOT
FOLLOWED = ("methods", "terms", "method_api")  # what decides on a method's losses


def file_hash(file: Path, root: Path = ROOT) -> str:
    """Return the sha256 of the syntax of a method's file and of the files it imports.

    Comments, docstrings and layout do not count, nor does the Python version. Followed are the
    modules of methods, terms and the methods' interface below `root`, and those beside the file.
    """
    trees = _reachable(file, root)
    # Not by their whole paths: the hash must not depend on where the folders lie.
    named = {".".join([*_package_of(path, root), path.stem]): tree for path, tree in trees.items()}
    digest = hashlib.sha256()
    for name, tree in sorted(named.items()):
        digest.update(f"{name}\n{_canonical(tree)}\n".encode())
    return digest.hexdigest()


def _reachable(file: Path, root: Path) -> dict[Path, ast.Module]:
    """Return the syntax trees of a file and of all files that it imports and that are followed."""
    trees: dict[Path, ast.Module] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in trees:
            trees[path] = ast.parse(path.read_text(encoding="utf-8"))
            named = set(_imported(trees[path], _package_of(path, root)))
            inside = {found for module in named for found in _files_of(module, root)}
            beside = {file.parent / f"{module.partition('.')[0]}.py" for module in named if module}
            waiting += [other for other in sorted(inside | beside) if other.is_file()]
    return trees


def _package_of(file: Path, root: Path) -> list[str]:
    """Return the package that a file lies in; nothing for a user's file."""
    return [NAME, *file.relative_to(root).parts[:-1]] if file.is_relative_to(root) else []


def _imported(tree: ast.Module, package: list[str]) -> Iterator[str]:
    """Yield the names of the modules that a tree may import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) + 1 - node.level] if node.level else []
            source = ".".join([*above, *([node.module] if node.module else [])])
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


def _files_of(module: str, root: Path) -> Iterator[Path]:
    """Yield the file of a followed module, or of the one that a dotted name is an attribute of."""
    first, *rest = module.split(".")
    if first == NAME and len(rest) > 1 and rest[0] in FOLLOWED:
        yield root / rest[0] / f"{rest[1]}.py"


def _canonical(node: object) -> str:
    """Return a syntax tree as text that is the same under every Python version.

    `ast.dump` is not: it names fields that later versions added, and keeps or drops empty ones.
    Here whatever is empty is left out (some versions end a nested format with an empty string),
    and so are statements that are a string alone.
    """
    if isinstance(node, ast.JoinedStr):
        node = ast.JoinedStr([part for part in node.values if not _is_empty_string(part)])
    if isinstance(node, list):
        return f"[{','.join(_canonical(item) for item in node if not _is_docstring(item))}]"
    if not isinstance(node, ast.AST):
        return f"{type(node).__name__}:{ascii(node)}"
    fields = [
        f"{field}={_canonical(value)}"
        for field, value in ast.iter_fields(node)
        if field not in ("ctx", "kind", "type_comment") and value not in (None, [])
    ]
    return f"{type(node).__name__}({','.join(sorted(fields))})"


def _is_docstring(node: object) -> bool:
    constant = node.value if isinstance(node, ast.Expr) else None
    return isinstance(constant, ast.Constant) and isinstance(constant.value, str)


def _is_empty_string(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and node.value == ""
