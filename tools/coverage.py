"""Write docs/coverage.md: how many of PyTorch's operations and modules Narae has and agrees on.

Run `python -m tools.coverage` (some minutes; needs PyTorch). With `--list` it only writes
tests/parity/eligible_ops.txt and eligible_modules.txt: what PyTorch's test databases hold that is
in scope.
"""

from __future__ import annotations

import importlib
import multiprocessing
import pathlib
import sys
from concurrent.futures import ProcessPoolExecutor
from typing import Any

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "coverage.md"
LIST = ROOT / "tests" / "parity" / "eligible_ops.txt"
MODULES = ROOT / "tests" / "parity" / "eligible_modules.txt"

# Out of scope by what they are: other layouts, other devices, kernels behind public functions.
OUT_OF_SCOPE = (
    "sparse.",
    "to_sparse",
    "jiterator_",
    "torch.ops.",
    "torch._",
    "fft.hfft",
    "fft.irfft",
)
# Their meaning is complex, though they accept or return something real in passing.
COMPLEX = {"cdouble", "cfloat", "chalf", "complex", "fft.ihfft", "imag", "istft", "polar", "stft"}

HEAD = """# Coverage

<!-- Written by `python -m tools.coverage`. -->

What of PyTorch's own test databases Narae has, and where it agrees. An operation is *eligible* when
it is not complex-only, sparse, quantized, nested, private, or bound to another device; it *agrees*
when at least 99 of 100 of the samples that PyTorch tests it with give the same values, dtype, shape
and gradients (in float64 second gradients, too), in float32, float64, float16, bfloat16, int64 and
bool, as function, method, operator and in place, and when its bad inputs are refused. Of random
functions dtype and shape are compared, and statistics apart. What is known to differ does not count
as agreeing; `tests/parity/known_deviations.toml` says why. See also [differences](differences.md).
"""


# ------------------------------------------------------------------------------------ what counts
def is_private(name: str) -> bool:
    """Whether some part of a dotted name is private; `__radd__` is not.

    >>> is_private("_chunk_cat"), is_private("__radd__"), is_private("nn.functional.relu")
    (True, False, False)
    """
    return any(part.startswith("_") and not part.endswith("__") for part in name.split("."))


def is_eligible(info: Any) -> bool:
    """Whether an operation of PyTorch's database is in scope for Narae."""
    if is_private(info.name) or info.name.startswith(OUT_OF_SCOPE) or info.name in COMPLEX:
        return False
    harness = importlib.import_module("tests.parity.opinfo")
    dtypes = [dtype for dtype in harness.LIMITS if dtype in info.supported_dtypes("cpu")]
    return any(_has_real_result(harness, info, dtype) for dtype in dtypes[:2])


def _has_real_result(harness: Any, info: Any, dtype: Any) -> bool:
    for _, sample in harness.samples_of(info, dtype, 4):
        try:
            call = harness.Call.of(sample)
            harness.oracle(info.op, call)
        except harness.Unsupported:
            continue
        return True
    return False


def write_list() -> list[str]:
    """Write the names of the eligible operations and modules, one a line; return the operations."""
    modules = importlib.import_module("tests.parity.moduleinfo").database()
    MODULES.write_text("\n".join(sorted(modules)) + "\n", encoding="utf8")
    database = importlib.import_module("tests.parity.opinfo").database()
    names = sorted(name for name, info in database.items() if is_eligible(info))
    LIST.write_text("\n".join(names) + "\n", encoding="utf8")
    return names


# --------------------------------------------------------------------------------------- the page
def checked(kind: str) -> list[Any]:
    """Return the report of every eligible operation, or of every module, by all processors."""
    names = importlib.import_module(f"tests.parity.{kind}").eligible_names()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(_report, [kind] * len(names), names, chunksize=4))


def _report(kind: str, name: str) -> Any:
    importlib.import_module("torch").set_num_threads(1)
    return importlib.import_module(f"tests.parity.{kind}").check(name)


def section(title: str, reports: list[Any]) -> str:
    """Return counts, and the names that are absent or disagree."""
    present = [report for report in reports if not report.absent]
    agreeing = [report for report in present if report.agrees_without_excuse]
    samples = sum(report.samples for report in present)
    lines = [
        f"## {title}",
        "",
        "| eligible | present | agree | samples compared |",
        "|---|---|---|---|",
        f"| {len(reports)} | {len(present)} | {len(agreeing)} | {samples:,} |",
        "",
        _names("Disagree", [r.name for r in present if not r.agrees]),
        _names("With known deviations, on some samples", [r.name for r in present if r.forgiven]),
        _names("Absent", [r.name for r in reports if r.absent]),
    ]
    return "\n".join(lines)


def _names(title: str, names: list[str]) -> str:
    return f"{title} ({len(names)}): {', '.join(f'`{name}`' for name in names) or 'none'}.\n"


def main(arguments: list[str]) -> int:
    """Write the list, or the page."""
    if "--list" in arguments:
        print(len(write_list()), "eligible operations")
        return 0
    operations = section("Operations", checked("opinfo"))
    modules = section("Modules", checked("moduleinfo"))
    PAGE.write_text(f"{HEAD}\n{operations}\n{modules}", encoding="utf8")
    return 0


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT / "src"))
    raise SystemExit(main(sys.argv[1:]))
