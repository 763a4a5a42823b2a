"""Style rules that no linter knows: sizes, names, leftovers, and what must not be in the tree.

Run `python -m tools.house` to see every place that breaks one.
"""

from __future__ import annotations

import ast
import io
import pathlib
import re
import subprocess
import tokenize
from bisect import bisect_left, bisect_right
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent

FILE_LINES = 500
FUNCTION_LINES = 60

Function = ast.FunctionDef | ast.AsyncFunctionDef

# Words that say "later", spelled so that this file does not break its own rule.
_LATER = [r"TO[D]O", r"FIX[M]E", r"XX[X]", r"HAC[K]", r"not implemented ye[t]", r"coming soo[n]"]
LATER = re.compile(r"\b(" + "|".join(_LATER) + r")\b")

# A folder of one person's or one machine's, and the addresses of package registries.
_PLACES = [
    r"(?<![\w.\])}/-])/(?:hom[e]|roo[t]|User[s]|wor[k]|far[m])/",
    r"/tm[p]/brief",
    r"pyp[i]\.org",
    r"pythonhoste[d]\.org",
    r"registr[y]\.npmjs",
    r"(?:extra-)?inde[x]-url",
]
PLACES = re.compile("|".join(_PLACES))


# ---------------------------------------------------------------------------------- code lines
def code_lines(source: str, tree: ast.Module | None = None) -> frozenset[int]:
    """Return the numbers of lines that hold code: no blanks, comments or docstrings.

    >>> sorted(code_lines('"What."\\n\\nx = 1  # one\\n# two\\ny = 2\\n'))
    [3, 5]
    """
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    return frozenset(lines - set(_docstring_lines(tree or ast.parse(source))))


_NO_CODE = {
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}


def _docstring_lines(tree: ast.Module) -> Iterator[int]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.body and _is_string(node.body[0]):
            first = node.body[0]
            yield from range(first.lineno, (first.end_lineno or first.lineno) + 1)


def _is_string(node: ast.stmt) -> bool:
    if not isinstance(node, ast.Expr) or not isinstance(node.value, ast.Constant):
        return False
    return isinstance(node.value.value, str)


# ----------------------------------------------------------------------------------- the rules
def python_faults(source: str) -> list[str]:
    """Return one sentence, beginning with the line number, for each rule that a source breaks."""
    tree = ast.parse(source)
    lines = sorted(code_lines(source, tree))
    faults = []
    if len(lines) > FILE_LINES:
        faults.append(f"1: {len(lines)} code lines in one file, more than {FILE_LINES}")
    for node in ast.walk(tree):
        faults += _node_faults(node, lines)
    return faults + leftovers(source)


def _node_faults(node: ast.AST, lines: list[int]) -> Iterator[str]:
    if isinstance(node, Function):
        size = bisect_right(lines, node.end_lineno or 0) - bisect_left(lines, node.lineno)
        if size > FUNCTION_LINES:
            yield f"{node.lineno}: {node.name} has {size} code lines, more than {FUNCTION_LINES}"
        if not node.name.startswith("_") and "axis" in _parameters(node):
            yield f"{node.lineno}: {node.name} takes `axis`; Narae says `dim` and `keepdim`"
    elif isinstance(node, ast.NamedExpr):
        yield f"{node.lineno}: a walrus hides an assignment; give it a line of its own"
    elif isinstance(node, ast.Raise) and _is_wordless(node):
        yield f"{node.lineno}: NotImplementedError without a message helps nobody"


def _parameters(node: Function) -> set[str]:
    arguments = node.args
    return {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}


def _is_wordless(node: ast.Raise) -> bool:
    return node.exc is not None and ast.unparse(node.exc) in {
        "NotImplementedError",
        "NotImplementedError()",
    }


def leftovers(text: str) -> list[str]:
    """Return the lines of a text that promise work for later."""
    if not LATER.search(text):
        return []
    return [
        f"{number}: `{match.group()}`: finish it or write an issue"
        for number, line in enumerate(text.splitlines(), 1)
        for match in LATER.finditer(line)
    ]


def places(text: str) -> list[str]:
    """Return the lines of a text that name a folder of one machine or a package registry."""
    if not PLACES.search(text):
        return []
    return [
        f"{number}: `{match.group()}` belongs to one machine or registry, not to the project"
        for number, line in enumerate(text.splitlines(), 1)
        for match in PLACES.finditer(line)
    ]


# ------------------------------------------------------------------------------- the real tree
def tracked_files(root: pathlib.Path = ROOT) -> list[pathlib.Path]:
    """Return the files that git knows or would add; without git, all outside hidden folders."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    run = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if run.returncode == 0:
        return sorted(
            root / name for name in set(run.stdout.split("\0")) if (root / name).is_file()
        )
    parts = {path: path.relative_to(root).parts for path in root.rglob("*") if path.is_file()}
    return sorted(p for p, names in parts.items() if not any(n.startswith(".") for n in names))


def check(root: pathlib.Path = ROOT) -> list[str]:
    """Return every broken rule of the tree at `root` as `path:line: sentence`."""
    broken = []
    for path in tracked_files(root):
        name = path.relative_to(root).as_posix()
        try:
            text = path.read_text(encoding="utf8")
        except UnicodeDecodeError:
            continue  # a picture or a data file
        faults = places(text)
        if name.startswith("src/") and path.suffix == ".py":
            faults += python_faults(text)
        broken += [f"{name}:{fault}" for fault in faults]
        if path.name == "uv.lock":
            broken.append(f"{name}:1: uv.lock records registry addresses; leave it untracked")
    return broken


if __name__ == "__main__":
    problems = check()
    print("\n".join(problems) or "the house is in order")
    raise SystemExit(1 if problems else 0)
