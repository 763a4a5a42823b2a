"""Training steps and predictions: Narae and every mode of PyTorch in turn, in one run.

    python benchmarks/vs_torch.py [--only cnn,lstm] [--rounds 10] [--threads 2] [--write]
    python benchmarks/vs_torch.py --compile-times [--only cnn] [--write]
    python benchmarks/vs_torch.py --memory [--only cnn,lstm] [--write]

A step begins with NumPy arrays and ends with a number of Python's. All contenders take turns of a
few steps, so that a noisy machine disturbs them alike; the medians of all steps are compared, and
the rival is PyTorch's best mode. A ratio stands in the table only if both sides began with the same
weights and their losses over 20 steps agree. `--write` puts the tables into benchmarks/RESULTS.md.
"""

import argparse
import gc
import math
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import fresh_tables
from contenders import (
    Contender,
    TorchMode,
    executors_of,
    first_weights,
    narae_contender,
    products_of,
    torch_contender,
    torch_contenders,
)
from machine import Neighbours, Peak, environment, features, restart_with, set_threads, versions
from results import write_table
from workloads import BFLOAT16_ROWS, ROWS, Array, Workload

STEPS_TO_AGREE = 20
TOLERANCE = 1e-3  # of a loss: relative above 1, absolute below
TOLERANCE_BFLOAT16 = 1e-2  # 8 bits of precision, rounded in other places: 5e-3 was measured
REST_SECONDS = 0.3
TURN_SECONDS = 0.1  # how long a turn lasts, if a step is shorter
GEOMETRIC_TARGET = 0.50
PEAK_TARGET = 0.60  # of ResNet-18


@dataclass
class Result:
    """One row, measured.

    Attributes:
        medians: milliseconds of a step, by side and mode.
        difference: the largest between the losses of both sides over 20 steps.
        products: floating-point operations of a step's products.
        executors: who ran Narae's compiled step.
        notes: what did not run, and why.
    """

    workload: Workload
    medians: dict[tuple[str, str], float] = field(default_factory=dict)
    difference: float = math.inf
    products: int = 0
    executors: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)

    def of(self, side: str) -> dict[str, float]:
        """The medians of one side by mode."""
        return {label: ms for (who, label), ms in self.medians.items() if who == side}

    @property
    def compiled(self) -> float | None:
        """Milliseconds of Narae's compiled step."""
        return self.medians.get(("narae", "compiled"))

    @property
    def rival(self) -> tuple[str, float]:
        """PyTorch's best mode and its milliseconds."""
        return min(self.of("torch").items(), key=lambda entry: entry[1])

    @property
    def agrees(self) -> bool:
        """Whether both sides computed the same."""
        limit = TOLERANCE_BFLOAT16 if self.workload.autocast else TOLERANCE
        return self.difference <= limit

    @property
    def ratio(self) -> float | None:
        """Narae's time for PyTorch's, if they computed the same."""
        return self.compiled / self.rival[1] if self.compiled and self.agrees else None


# --- the same numbers -----------------------------------------------------------------------


def largest_difference(ours: Contender, theirs: Contender, batches: Sequence[Any]) -> float:
    """Between losses (or outputs), one step for each batch: relative above 1, absolute below."""
    import numpy as np

    worst = 0.0
    for arrays in batches:
        got, wanted = ours.values(arrays), theirs.values(arrays)
        apart = np.abs(got - wanted) / np.maximum(1.0, np.abs(wanted))
        if not np.isfinite(apart).all():
            return math.inf
        worst = max(worst, float(apart.max()))
    return worst


def batches_to_agree(workload: Workload) -> list[list[Array]]:
    """Training learns one batch by heart; predictions see another one each time.

    Learning new random labels in every step is chaotic: with ResNet-18, PyTorch's own layouts part
    by 6e-2 within 20 steps, and by 3e-4 with one batch.
    """
    seeds = [0] * STEPS_TO_AGREE if workload.trains else range(STEPS_TO_AGREE)
    return [workload.batch.arrays(seed) for seed in seeds]


# --- time -----------------------------------------------------------------------------------


def turn(contender: Contender, arrays: Sequence[Array], steps: int) -> list[float]:
    """Milliseconds of each step of one turn, after a rest and two steps that only warm up.

    Threads of the side whose turn is over go on spinning for a while, in wait for more work; they
    would take the processors from the side that is measured.
    """
    time.sleep(REST_SECONDS)
    for _ in range(2):
        contender.step(arrays)
    found = []
    for _ in range(steps):
        start = time.perf_counter()
        contender.step(arrays)
        found.append((time.perf_counter() - start) * 1e3)
    return found


def steps_of_a_turn(contender: Contender, arrays: Sequence[Array]) -> int:
    """As many steps as a turn has time for, 2 to 200."""
    usual = statistics.median(turn(contender, arrays, 3)) / 1e3
    return max(2, min(200, round(TURN_SECONDS / usual)))


def medians(contenders: dict[Any, Contender], arrays: Any, rounds: int) -> dict[Any, float]:
    """Median milliseconds of each contender's step, all in turn."""
    steps = {key: steps_of_a_turn(contender, arrays) for key, contender in contenders.items()}
    times: dict[Any, list[float]] = {key: [] for key in contenders}
    for _ in range(rounds):
        for key, contender in contenders.items():
            times[key] += turn(contender, arrays, steps[key])
    return {key: statistics.median(found) for key, found in times.items()}


def measure(workload: Workload, options: Any) -> Result:
    """Everything about one workload."""
    result = Result(workload)
    weights = first_weights(workload)
    arrays = workload.batch.arrays()
    rivals, result.notes = torch_contenders(workload, weights, arrays, options.torch_compile)
    contenders = {("torch", rival.label): rival for rival in rivals}
    for compiled in (True,) if options.no_eager else (True, False):
        try:
            ours = narae_contender(workload, weights, compiled, options.executor)
            if compiled:
                compare(result, ours, weights)
                ours.step(arrays)
        except Exception as error:  # a row without Narae says why
            said = str(error).strip().splitlines() or [""]
            result.notes.append(f"Narae failed: {type(error).__name__}: {said[0]}")
            continue
        contenders["narae", ours.label] = ours
    # NumPy's threads of a matrix product spin for long after it, so eager Narae comes by itself.
    eager = {key: contenders.pop(key) for key in list(contenders) if key == ("narae", "eager")}
    result.medians = medians(contenders, arrays, options.rounds)
    result.medians |= medians(eager, arrays, options.rounds)
    return result


def compare(result: Result, ours: Contender, weights: Any) -> None:
    """Note how far Narae's losses are from PyTorch's, and how large its program is."""
    workload = result.workload
    theirs = torch_contender(workload, weights, TorchMode())
    batches = batches_to_agree(workload)
    result.difference = largest_difference(ours, theirs, batches)
    result.products = products_of(ours, batches[0])
    result.executors = executors_of(ours)


# --- the table ------------------------------------------------------------------------------

HEADER = """\
| workload | Narae eager ms | Narae compiled ms | PyTorch eager ms | PyTorch's best ms | its mode \
| ratio | target | GFLOP/s | of the peak | losses differ by |
|---|---|---|---|---|---|---|---|---|---|---|"""


def line(result: Result, peak: Peak) -> str:
    """A row of the table."""
    mode, best = result.rival
    cells = [
        result.workload.title,
        _milliseconds(result.of("narae").get("eager")),
        _milliseconds(result.compiled),
        _milliseconds(result.of("torch")["eager"]),
        _milliseconds(best),
        mode,
        _ratio(result),
        f"≤ {result.workload.target:g}",
        *_rates(result, peak),
        f"{result.difference:.0e}" if math.isfinite(result.difference) else "—",
    ]
    return f"| {' | '.join(cells)} |"


def _milliseconds(time_of_step: float | None) -> str:
    if time_of_step is None:
        return "—"
    return f"{time_of_step:.3g}" if time_of_step < 1000 else f"{time_of_step:.0f}"


def _ratio(result: Result) -> str:
    if result.compiled is None:
        return "—"
    if result.ratio is None:
        return "none: the losses do not agree"
    missed = " **missed**" if result.ratio > result.workload.target else ""
    return f"{result.ratio:.2f}{missed}"


def _rates(result: Result, peak: Peak) -> tuple[str, str]:
    """GFLOP/s of the compiled step, and its share of what a large product reaches."""
    if result.compiled is None:
        return "—", "—"
    rate = result.products / result.compiled / 1e6
    share = f"{rate / peak.rate:.0%}"
    if result.workload.name == "resnet18":
        share += f" (target {PEAK_TARGET:.0%})"
        share += " **missed**" if rate < PEAK_TARGET * peak.rate else ""
    return f"{rate:.0f}" if rate >= 10 else f"{rate:.1f}", share


def geometric_mean(results: Sequence[Result]) -> str:
    """The sentence about all rows in float32."""
    plain = [result for result in results if not result.workload.autocast]
    ratios = [result.ratio for result in plain if result.ratio is not None]
    if not ratios:
        return "No row has a ratio."
    mean = statistics.geometric_mean(ratios)
    missed = " **missed**" if mean > GEOMETRIC_TARGET else ""
    rows = f"{len(ratios)} of {len(ROWS)} rows in float32"
    return (
        f"Geometric mean of the ratios: {mean:.2f} ({rows}; target ≤ {GEOMETRIC_TARGET}){missed}."
    )


def remarks(
    results: Sequence[Result], peak: Peak, neighbours: Neighbours, options: Any
) -> list[str]:
    """What stands below the table."""
    lines = ["", geometric_mean(results), "", f"{peak}; the share is of the larger one.", ""]
    notes = [f"* {result.workload.title}: {note}" for result in results for note in result.notes]
    lines += [*notes, ""] if notes else []
    executors = ", ".join(sorted(set().union(*(result.executors for result in results))))
    lines.append(
        f"Measured with {versions()}, threads: {options.threads}, on {features()}; "
        f"{options.rounds} rounds; Narae's executor: {executors or 'none'}. {neighbours}"
    )
    return lines


def table(options: Any) -> None:
    """Measure all rows, and print (and write) the table."""
    peak, neighbours = Peak(), Neighbours()
    peak.measure()
    print(HEADER, flush=True)
    results = []
    for workload in chosen(options):
        results.append(measure(workload, options))
        peak.measure()
        print(line(results[-1], peak), flush=True)
        gc.collect()
    lines = [*HEADER.splitlines(), *(line(result, peak) for result in results)]
    below = remarks(results, peak, neighbours, options)
    print("\n".join(below))
    if options.write:
        command = ["", f"`python benchmarks/vs_torch.py {' '.join(sys.argv[1:])}`", ""]
        write_table("vs_torch", [*command, *lines, *below], "Training steps against PyTorch")


def chosen(options: Any) -> list[Workload]:
    """The rows that are asked for."""
    known = {row.name: row for row in [*ROWS, *BFLOAT16_ROWS]}
    names = options.only.split(",") if options.only else list(known)
    for name in names:
        if name not in known:
            raise SystemExit(f"no workload {name!r}; there are {', '.join(known)}")
    return [known[name] for name in names]


def main() -> None:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", help="names of rows, with commas between them")
    parser.add_argument("--rounds", type=int, default=10, help="turns of each contender")
    parser.add_argument("--threads", type=int, default=2, help="threads of both sides")
    parser.add_argument("--executor", help="Narae's executor; its default without it")
    parser.add_argument("--quick", action="store_true", help="2 rounds, without torch.compile")
    parser.add_argument("--no-eager", action="store_true", help="leave out eager Narae")
    parser.add_argument(
        "--no-torch-compile", dest="torch_compile", action="store_false", help="leave it out"
    )
    parser.add_argument("--compile-times", action="store_true", help="first calls instead")
    parser.add_argument("--memory", action="store_true", help="memory of a step instead")
    parser.add_argument("--write", action="store_true", help="put the tables into RESULTS.md")
    options = parser.parse_args()
    if options.quick:
        options.rounds, options.torch_compile = 2, False
    restart_with(environment(options.threads))
    set_threads(options.threads)
    if options.compile_times:
        fresh_tables.compile_times(options)
    if options.memory:
        fresh_tables.memory(chosen(options), options)
    if not (options.compile_times or options.memory):
        table(options)


if __name__ == "__main__":
    main()
