"""A hash of a method's code, so that a sweep never goes on with code other than it began with."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

from trainers.errors import MethodError, near_miss

PACKAGE = "trainers.methods"
FOLDER = Path(__file__).parent


def code_hash(name: str, folder: Path = FOLDER) -> str:
    """Return the sha256 of the syntax of a method's file and the method files it imports.

    Comments, docstrings and layout do not count, nor does the Python version. Only files directly
    in `folder` are followed. MethodError where `folder` has no such file.
    """
    digest = hashlib.sha256()
    for stem, tree in sorted(_reachable(name, folder).items()):
        digest.update(f"{stem}\n{_canonical(tree)}\n".encode())
    return digest.hexdigest()


def _reachable(name: str, folder: Path) -> dict[str, ast.Module]:
    """Return the syntax trees of a file and of all files beside it that it imports, by stem."""
    stems = {file.stem for file in folder.glob("*.py")} - {"__init__"}
    if name not in stems:
        raise MethodError(f"no method file {name!r} in {folder}{near_miss(name, stems)}")
    trees: dict[str, ast.Module] = {}
    waiting = [name]
    while waiting:
        stem = waiting.pop()
        if stem not in trees:
            trees[stem] = ast.parse((folder / f"{stem}.py").read_text(encoding="utf-8"))
            waiting += [other for other in _imported(trees[stem]) if other in stems]
    return trees


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the stems of the package's modules that a tree may import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (_stem(alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node)
            yield _stem(source)
            yield from (_stem(f"{source}.{alias.name}") for alias in node.names)


def _absolute(node: ast.ImportFrom) -> str:
    """Return the module an import names; the files lie directly in the package."""
    if node.level == 0:
        return node.module or ""
    above = PACKAGE.split(".")[: 3 - node.level]
    return ".".join([*above, *([node.module] if node.module else [])])


def _stem(module: str) -> str:
    """Return `x` of `trainers.methods.x` or of anything below it, else nothing."""
    inside = module.startswith(f"{PACKAGE}.")
    return module.removeprefix(f"{PACKAGE}.").split(".")[0] if inside else ""


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
