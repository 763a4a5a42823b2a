"""Who may import whom: imports point down, and rooms on one floor never meet.

Run `python -m tools.layering` to see every import that breaks the plan. Imports inside functions
count as much as those at the top of a file; so do `import_module("narae.…")` and
`require("matplotlib", "train", …)`, which must name an extra that installs the library.
"""

from __future__ import annotations

import ast
import functools
import itertools
import pathlib
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = "narae"

FLOORS: dict[str, int] = {
    "base": 0,
    "ir": 1,
    "primitives": 2,
    "autograd": 3,
    "reference": 4,
    "native": 4,
    "xla": 4,
    "tensors": 5,
    "nn": 6,
    "optim": 6,
    "data": 6,
    "io": 6,
    "vision": 7,
    "text": 7,
    "series": 7,
    "train": 8,
    "explain": 9,
    "cli": 10,
}

# Outside the house: they may look at every room, and no room may look at them.
# "" is narae/__init__.py itself.
FACADES = frozenset(
    {
        "",
        "__main__",
        "amp",
        "array_api",
        "einops",
        "errors",
        "fft",
        "func",
        "linalg",
        "masked",
        "ops",
        "signal",
        "special",
        "testing",
        "utils",
    }
)

# What may be imported when a module is loaded, besides the standard library and Narae.
AT_IMPORT = frozenset({"numpy", "ml_dtypes"})

# An oracle for tests; the package itself never sees it.
FORBIDDEN = frozenset({"torch", "torchvision", "tensorflow"})

# Import names that differ from the name of the distribution.
DISTRIBUTION = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "huggingface_hub": "huggingface-hub",
    "jaxlib": "jax",
    "mlflow": "mlflow-skinny",
    "mpl_toolkits": "matplotlib",
}


@dataclass(frozen=True)
class Import:
    """One import statement: the full dotted name, where it stands, and when it runs."""

    name: str
    path: str
    line: int
    lazy: bool  # inside a function, or only for the type checker
    binds_root: bool = False  # `import narae.x` puts the name `narae` into the module
    extra: str | None = None  # what `require` tells the user to install

    def __str__(self) -> str:
        return f"{self.path}:{self.line} imports {self.name}"


# ------------------------------------------------------------------------------ reading imports
def imports_of(source: str, module: str, path: str, is_package: bool = False) -> list[Import]:
    """Return every import in a module's source, with relative names made absolute."""
    found: list[Import] = []
    package = module if is_package else module.rpartition(".")[0]
    for node, lazy in _walk(ast.parse(source)):
        for name, binds_root in _names(node, package):
            found.append(Import(name, path, node.lineno, lazy, binds_root, _extra(node)))
    return found


def _walk(tree: ast.AST) -> Iterator[tuple[ast.stmt | ast.expr, bool]]:
    """All statements and expressions in their order, and whether each runs later, if at all."""
    waiting = [(tree, False)]
    while waiting:
        node, lazy = waiting.pop()
        if isinstance(node, ast.stmt | ast.expr):
            lazy = lazy or isinstance(node, _LATER) or _is_type_checking(node)
            yield node, lazy
        waiting += [(child, lazy) for child in reversed([*ast.iter_child_nodes(node)])]


_LATER = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and _last_name(node.test) == "TYPE_CHECKING"


def _names(node: ast.AST, package: str) -> Iterator[tuple[str, bool]]:
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield alias.name, alias.asname is None
    elif isinstance(node, ast.ImportFrom):
        base = _absolute(node.module or "", node.level, package)
        for alias in node.names:
            yield f"{base}.{alias.name}", False
    elif isinstance(node, ast.Call) and _is_import_call(node):
        target = _literal_start(node.args[0])
        level = len(target) - len(target.lstrip("."))
        yield _absolute(target.lstrip("."), level, package), False


def _absolute(name: str, level: int, package: str) -> str:
    if level == 0:
        return name
    parts = package.split(".")
    parent = ".".join(parts[: len(parts) - level + 1])
    return f"{parent}.{name}" if name else parent


def _is_import_call(node: ast.Call) -> bool:
    return bool(node.args) and _last_name(node.func) in {"import_module", "__import__", "require"}


def _last_name(node: ast.expr) -> str:
    """The name at the end of `a.b.name`; empty for other expressions."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _extra(node: ast.AST) -> str | None:
    if not isinstance(node, ast.Call) or len(node.args) < 2:
        return None
    return _literal_start(node.args[1]) if _last_name(node.func) == "require" else None


def _literal_start(node: ast.expr) -> str:
    """The fixed beginning of a module name: all of a string, the first part of an f-string."""
    if isinstance(node, ast.JoinedStr) and node.values:
        return _literal_start(node.values[0])
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    return ""


# --------------------------------------------------------------------------------- checking them
def faults(found: Iterable[Import], module: str, rooms: frozenset[str]) -> list[str]:
    """Return one sentence for each import of `module` that breaks the plan of the house.

    Args:
        found: the module's imports, as `imports_of` gives them.
        module: its dotted name, such as `narae.nn.linear`.
        rooms: names of the packages and modules directly under `narae`.
    """
    verdicts = [(one, _fault(one, module, rooms)) for one in found]
    return [f"{one}: {fault}" for one, fault in verdicts if fault is not None]


def _fault(one: Import, module: str, rooms: frozenset[str]) -> str | None:
    top = one.name.split(".")[0]
    if top == PACKAGE:
        return _inside_fault(one, module, rooms)
    if top in FORBIDDEN:
        return f"{top} is an oracle for tests and never part of the package"
    outside = bool(top) and top not in sys.stdlib_module_names and top not in AT_IMPORT
    if outside and not one.lazy:
        return f"{top} must be imported inside the function that uses it"
    installed = optional_distributions(one.extra)
    if outside and DISTRIBUTION.get(top, top) not in installed:
        return f"{_spoken(one.extra)} in pyproject.toml installs {top}"
    return None


def _spoken(extra: str | None) -> str:
    return "no extra" if extra is None else f"no extra `{extra}`"


def _inside_fault(one: Import, module: str, rooms: frozenset[str]) -> str | None:
    here = module.split(".")[1] if "." in module else ""
    there = room_of(one.name, rooms)
    if here in FACADES or (here == there and not one.binds_root):
        return None
    if here not in FLOORS:
        return f"{PACKAGE}.{here} has no floor; give it one in tools/layering.py"
    if there in FACADES or one.binds_root:
        return "no room imports the façade; import from the room that defines the name"
    if there not in FLOORS:
        return f"{PACKAGE}.{there} has no floor; give it one in tools/layering.py"
    if FLOORS[there] >= FLOORS[here]:
        way = "up" if FLOORS[there] > FLOORS[here] else "across"
        return f"points {way}: {here} is on floor {FLOORS[here]}, {there} on {FLOORS[there]}"
    return None


def room_of(name: str, rooms: frozenset[str]) -> str:
    """Return the room of a dotted name; `narae.Tensor`, which is no module, is the façade's."""
    parts = name.split(".")
    inside = len(parts) > 1 and (parts[1] in rooms or parts[1] in FLOORS or parts[1] in FACADES)
    return parts[1] if inside else ""


@functools.cache
def optional_distributions(extra: str | None = None) -> frozenset[str]:
    """Return the distributions that an extra of pyproject.toml installs, or that any extra does."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf8"))["project"]
    table: dict[str, list[str]] = project["optional-dependencies"]
    names: set[str] = set()
    for requirement in itertools.chain(*table.values()) if extra is None else table.get(extra, []):
        name, _, inner = requirement.partition("[")
        if name == PACKAGE and extra is not None:
            others = inner.partition("]")[0].split(",")
            names.update(*(optional_distributions(other) for other in others))
        names.add(re.split(r"[\[><=~! ]", requirement)[0])
    return frozenset(names)


# ---------------------------------------------------------------------------- the real package
def modules(src: pathlib.Path) -> Iterator[tuple[str, pathlib.Path]]:
    """Yield dotted name and file of every module of the package under `src`."""
    for path in sorted((src / PACKAGE).rglob("*.py")):
        parts = path.relative_to(src).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def check(src: pathlib.Path = ROOT / "src") -> list[str]:
    """Return every broken rule of the package under `src`."""
    rooms = frozenset(name.split(".")[1] for name, _ in modules(src) if "." in name)
    broken = [
        f"{PACKAGE}.{room} has no floor; give it one in tools/layering.py"
        for room in sorted(rooms - FACADES - FLOORS.keys())
    ]
    for name, path in modules(src):
        is_package = path.name == "__init__.py"
        source = path.read_text(encoding="utf8")
        found = imports_of(source, name, str(path.relative_to(src.parent)), is_package)
        broken += faults(found, name, rooms)
    return broken


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems) or "every import points down")
    raise SystemExit(1 if problems else 0)
