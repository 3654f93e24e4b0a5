"""A hash of a method's code, so that a sweep never goes on with code other than it began with."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "trainers.methods"
FOLDER = Path(__file__).parent


def file_hash(file: Path, package: Path = FOLDER) -> str:
    """Return the sha256 of the syntax of a method's file and the method files it imports.

    Comments, docstrings and layout do not count, nor does the Python version. Followed are the
    modules of this package, which lie directly in `package`, and those beside the file.
    """
    digest = hashlib.sha256()
    for path, tree in sorted(_reachable(file, package).items()):
        digest.update(f"{path.stem}\n{_canonical(tree)}\n".encode())
    return digest.hexdigest()


def _reachable(file: Path, package: Path) -> dict[Path, ast.Module]:
    """Return the syntax trees of a file and of all files that it imports and that are followed."""
    trees: dict[Path, ast.Module] = {}
    waiting = [file]
    while waiting:
        path = waiting.pop()
        if path not in trees:
            trees[path] = ast.parse(path.read_text(encoding="utf-8"))
            named = set(_imported(trees[path]))
            inside = {package / f"{_stem(module)}.py" for module in named if _stem(module)}
            beside = {file.parent / f"{module.partition('.')[0]}.py" for module in named if module}
            waiting += [other for other in sorted(inside | beside) if other.is_file()]
    return trees


def _imported(tree: ast.Module) -> Iterator[str]:
    """Yield the names of the modules that a tree may import."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            source = _absolute(node)
            yield source
            yield from (f"{source}.{alias.name}" for alias in node.names)


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
