"""Move modules as moves.txt says, and rewrite every import of them; nothing else is changed.

python docs/restructuring/move.py
"""

from __future__ import annotations

import ast
import subprocess
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def read(name: str) -> list[str]:
    """Return the lines of a list."""
    lines = (HERE / name).read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


MOVES = dict(line.split() for line in read("moves.txt"))


def file_of(module: str) -> Path:
    """Return where a module lies now."""
    base = ROOT.joinpath(*module.split("."))
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def statement(node: ast.ImportFrom | ast.Import) -> list[str]:
    """Return the statements that import the same from where it lies now."""
    found: list[str] = []
    if isinstance(node, ast.Import):
        for alias in node.names:
            new = MOVES.get(alias.name, alias.name)
            found.append(f"import {new}" + (f" as {alias.asname}" if alias.asname else ""))
        return found
    by_module: dict[str, list[str]] = {}
    for alias in node.names:
        whole = f"{node.module}.{alias.name}"
        if whole in MOVES and whole != "trainers.methods":
            module, _, name = MOVES[whole].rpartition(".")
            kept = alias.asname or (alias.name if alias.name != name else None)
        elif (ROOT.joinpath(*whole.split(".")).with_suffix(".py")).is_file():
            module, name, kept = str(node.module), alias.name, alias.asname
        else:
            module, name, kept = (
                MOVES.get(str(node.module), str(node.module)),
                alias.name,
                alias.asname,
            )
        by_module.setdefault(module, []).append(f"{name} as {kept}" if kept else name)
    return [f"from {module} import {', '.join(names)}" for module, names in by_module.items()]


def rewritten(source: str) -> str:
    """Return a source text whose imports name the new modules."""
    lines = source.splitlines(keepends=True)
    nodes = [n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Import | ast.ImportFrom)]
    for node in sorted(nodes, key=lambda n: -n.lineno):
        new = statement(node)
        old = "".join(lines[node.lineno - 1 : node.end_lineno])
        if sorted(ast.dump(x) for x in ast.parse("\n".join(new)).body) == [ast.dump(node)]:
            continue
        note = old.partition("#")[2].strip() if "\n" not in old.strip() else ""
        indent = " " * node.col_offset
        text = [f"{indent}{line}" for line in new]
        if note:
            text[-1] += f"  # {note}"
        lines[node.lineno - 1 : node.end_lineno] = ["\n".join(text) + "\n"]
    return "".join(lines)


def main() -> None:
    """Move everything."""
    sources = subprocess.run(
        ["git", "ls-files", "*.py"], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    changed = {}
    for name in sources:
        if not name.startswith("docs/"):
            text = (ROOT / name).read_text()
            changed[name] = rewritten(text)
    files = {old: file_of(old) for old in MOVES}
    for name, text in changed.items():
        (ROOT / name).write_text(text)
    for old, new in MOVES.items():
        target = ROOT.joinpath(*new.split(".")).with_suffix(".py")
        target.parent.mkdir(exist_ok=True)
        if files[old] != target:
            subprocess.run(["git", "mv", files[old], target], check=True, cwd=ROOT)
    for line in read("packages.txt"):
        package, _, about = line.partition(" ")
        start = ROOT.joinpath(*package.split("."), "__init__.py")
        if not start.exists():
            start.write_text(f'"""{about}"""\n')


main()
