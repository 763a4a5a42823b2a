"""Run all programs of this path, one after the other, with the same options.

`python examples/scratch/run_all.py --out figures --mnist`
"""

from __future__ import annotations

import pathlib
import subprocess
import sys
import time

FOLDER = pathlib.Path(__file__).resolve().parent
WITH_MNIST = ("09", "13", "16", "17", "18", "23")


def main(argv: list[str]) -> int:
    """Each in a process of its own; options for MNIST go only to those that know them."""
    for program in sorted(FOLDER.glob("[0-9][0-9]_*.py")):
        start = time.perf_counter()
        print(f"\n{'=' * 12} {program.name} {'=' * 12}\n", flush=True)
        known = argv if program.name.startswith(WITH_MNIST) else without_mnist(argv)
        done = subprocess.run([sys.executable, str(program), *known], check=False)
        if done.returncode:
            return done.returncode
        print(f"({time.perf_counter() - start:.1f} s)")
    return 0


def without_mnist(argv: list[str]) -> list[str]:
    """The options that every program knows."""
    kept, skip = [], False
    for word in argv:
        if not skip and not word.startswith(("--mnist", "--full", "--data-dir")):
            kept.append(word)
        skip = word == "--data-dir"
    return kept


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
