"""Plant faults, and see that the tests which show a row of the inventory find them.

A test that cannot fail shows nothing. `tests/faults/*.toml` lists, for rows of the inventory, a
small wrong change of the code and the test that must fail under it:

    [[fault]]
    rows = ["A11"]
    test = "tests/reference/test_kernels_convolution.py::test_output_size_counts_the_windows"
    file = "src/narae/base/shapes.py"
    find = "// stride + 1"
    replace = "// stride"

`python -m tools.faults` plants each in a copy of the tree and runs its test there (some minutes);
words after it choose faults by row or file name. `--check` only sees that each can be planted.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass

ROOT = pathlib.Path(__file__).resolve().parent.parent
LISTS = ROOT / "tests" / "faults"
COPIED = ("src", "tests", "examples", "tools", "docs", "pyproject.toml", "README.md")
FAILED, PASSED = 1, 0


@dataclass(frozen=True)
class Fault:
    """A wrong change (`find` becomes `replace` in `file`) and the test that must see it."""

    rows: tuple[str, ...]
    test: str
    file: str
    find: str
    replace: str
    topic: str

    def __str__(self) -> str:
        return f"{' '.join(self.rows)}: {self.test}"

    def problem(self, root: pathlib.Path = ROOT) -> str:
        """Why it cannot be planted; empty if it can."""
        path, test = root / self.file, root / self.test.partition("::")[0]
        if not path.is_file() or not test.is_file():
            return f"there is no {self.file if not path.is_file() else self.test}"
        found = path.read_text(encoding="utf8").count(self.find)
        return "" if found == 1 else f"{self.find!r} stands {found} times in {self.file}, not once"

    def plant(self, root: pathlib.Path) -> str:
        """Change the file under `root`; returns its text before."""
        path = root / self.file
        before = path.read_text(encoding="utf8")
        path.write_text(before.replace(self.find, self.replace), encoding="utf8")
        return before


def read_faults(folder: pathlib.Path = LISTS) -> list[Fault]:
    """Return all faults, by the order of the files' names."""
    faults = []
    for path in sorted(folder.glob("*.toml")):
        for entry in tomllib.loads(path.read_text(encoding="utf8")).get("fault", ()):
            rows = tuple(entry.pop("rows"))
            faults.append(Fault(rows=rows, topic=path.stem, **entry))
    return faults


def result_of(test: str, root: pathlib.Path) -> int:
    """Run one test on the tree under `root`; returns pytest's exit status."""
    environment = dict(os.environ, PYTHONPATH=str(root / "src"), PYTHONDONTWRITEBYTECODE="1")
    command = [sys.executable, "-m", "pytest", "-qx", "-p", "no:cacheprovider", "-m", "", test]
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, check=False)
    return done.returncode


def is_seen(fault: Fault, root: pathlib.Path) -> bool:
    """Whether the test fails with the fault planted under `root`, which is mended again."""
    before = fault.plant(root)
    try:
        return result_of(fault.test, root) == FAILED
    finally:
        (root / fault.file).write_text(before, encoding="utf8")


def chosen(faults: list[Fault], words: list[str]) -> list[Fault]:
    """Return the faults whose rows or topic the words name; all without words."""
    return [f for f in faults if not words or {*f.rows, f.topic} & set(words)]


def main(arguments: list[str]) -> int:
    """Plant the faults and say which are not seen."""
    words = [word for word in arguments if word != "--check"]
    faults = chosen(read_faults(), words)
    unseen = [f"{fault}: {fault.problem()}" for fault in faults if fault.problem()]
    if not unseen and "--check" not in arguments:
        unseen = _plant_all(faults)
    print(*unseen, f"{len(faults)} faults, {len(unseen)} amiss", sep="\n")
    return 1 if unseen else 0


def _plant_all(faults: list[Fault]) -> list[str]:
    unseen, sound = [], set()
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name in COPIED:
            copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
            copy(ROOT / name, root / name)
        for fault in faults:
            if fault.test not in sound and result_of(fault.test, root) != PASSED:
                unseen.append(f"{fault}: fails without the fault")
                continue
            sound.add(fault.test)
            seen = is_seen(fault, root)
            print("seen" if seen else "NOT SEEN", fault, flush=True)
            unseen += [] if seen else [f"{fault}: passes with the fault"]
    return unseen


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
