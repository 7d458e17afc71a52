"""The version of a stage's code: a digest of its module and of all toolkit modules that it imports.

It changes with the code and not with comments, docstrings or blank lines, so that nobody has to
remember to raise a number.
"""

import ast
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

from toolkit.run.folder import digest

ROOT = Path(__file__).resolve().parents[3]  # the folder that holds the package `toolkit`


def code_version(*functions: Callable) -> str:
    """Digest of the modules in which functions are defined, and of what these import.

    Args:
        functions: module-level functions or classes.
    """
    seen: set[Path] = set()
    queue = [Path(sys.modules[function.__module__].__file__) for function in functions]
    while queue:
        path = queue.pop()
        if path not in seen:
            seen.add(path)
            queue += _read(path)[1]
    return digest(*(_read(path)[0] for path in sorted(seen)))


@cache
def _read(path: Path) -> tuple[str, tuple[Path, ...]]:
    """A module's code without its comments and docstrings, and the toolkit modules it imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = []
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("toolkit"):
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
            imported += [p for name in names if (p := _file_of(name)).is_file()]
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and _is_text(body[0]):
            body[0] = ast.Pass()
    return ast.dump(tree), tuple(imported)


def _file_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")).with_suffix(".py")


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
