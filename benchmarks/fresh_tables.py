"""Tables of what fresh processes measured: first calls, and the memory of steps."""

import json
import math
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from machine import environment, features, versions
from results import write_table
from workloads import Workload

SCRIPT = Path(__file__).parent / "fresh_process.py"
# Seconds of a first call: without and with what earlier processes left in the cache.
COMPILE_TARGETS = {"cnn": (1.5, 0.3), "resnet18": (6.0, 1.0)}
MEGABYTE = 1e6


def in_fresh_process(what: str, workload: str, side: str, options: Any, caches: Path) -> Any:
    """What `fresh_process.py` says; None, with its last words printed, if it failed.

    Memory is measured with the system's own way to keep it.
    """
    wanted = environment(options.threads, keep_memory=what == "compile")
    if what == "memory":
        wanted = {name: value for name, value in wanted.items() if not name.startswith("MALLOC_")}
    wanted["NARAE_CACHE"] = str(caches / "narae")
    wanted["TORCHINDUCTOR_CACHE_DIR"] = str(caches / "inductor")
    command = [sys.executable, str(SCRIPT), what, workload, side, "--threads", str(options.threads)]
    command += ["--executor", options.executor] if options.executor else []
    done = subprocess.run(command, env=wanted, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{what} of {workload} on {side} failed: {last}", flush=True)
        return None
    return json.loads(done.stdout.splitlines()[-1])


def _show(name: str, lines: list[str], heading: str, options: Any) -> None:
    lines += [
        "",
        f"Measured with {versions()}, threads: {options.threads}, on {features()}.",
    ]
    print("\n".join(lines), flush=True)
    if options.write:
        command = ["", f"`python benchmarks/vs_torch.py {' '.join(sys.argv[1:])}`", ""]
        write_table(name, [*command, *lines], heading)


# --- first calls ----------------------------------------------------------------------------


def compile_times(options: Any) -> None:
    """Seconds of the first call beyond a later one, without and with a filled cache."""
    lines = [
        "| workload | Narae cold s | target | warm s | target | torch.compile cold s | warm s |",
        "|---|---|---|---|---|---|---|",
    ]
    names = options.only.split(",") if options.only else list(COMPILE_TARGETS)
    for name in names:
        cold_target, warm_target = COMPILE_TARGETS.get(name, (math.inf, math.inf))
        cold, warm = _cold_and_warm(name, "narae", options)
        theirs = (None, None)
        if options.torch_compile:
            theirs = _cold_and_warm(name, "torch.compile", options)
        cells = [name, _judged(cold, cold_target), _limit(cold_target)]
        cells += [_judged(warm, warm_target), _limit(warm_target), *map(_seconds, theirs)]
        lines.append(f"| {' | '.join(cells)} |")
    _show("vs_torch_compile", lines, "The first call of a compiled step", options)


def _cold_and_warm(name: str, side: str, options: Any) -> tuple[float | None, float | None]:
    with tempfile.TemporaryDirectory() as caches:
        found = [in_fresh_process("compile", name, side, options, Path(caches)) for _ in range(2)]
    cold, warm = (None if one is None else one["seconds"] for one in found)
    return cold, warm


def _seconds(found: float | None) -> str:
    return "—" if found is None else f"{found:.2f}"


def _limit(target: float) -> str:
    return "—" if math.isinf(target) else f"≤ {target:g}"


def _judged(found: float | None, target: float) -> str:
    missed = " **missed**" if found is not None and found > target else ""
    return _seconds(found) + missed


# --- memory ---------------------------------------------------------------------------------


def memory(workloads: Sequence[Workload], options: Any) -> None:
    """Megabytes at the peak of a step above those after the model was made."""
    lines = ["| workload | Narae compiled MB | PyTorch eager MB | ratio |", "|---|---|---|---|"]
    for workload in workloads:
        with tempfile.TemporaryDirectory() as caches:
            in_fresh_process("compile", workload.name, "narae", options, Path(caches))
            ours, theirs = (
                _bytes(in_fresh_process("memory", workload.name, side, options, Path(caches)))
                for side in ("narae", "torch")
            )
        ratio = f"{ours / theirs:.2f}" if ours and theirs else "—"
        cells = [workload.title, *(_megabytes(found) for found in (ours, theirs)), ratio]
        lines.append(f"| {' | '.join(cells)} |")
    _show("vs_torch_memory", lines, "Memory of a step", options)


def _bytes(found: Any) -> int | None:
    return None if found is None else int(found["bytes"])


def _megabytes(found: int | None) -> str:
    return "—" if found is None else f"{found / MEGABYTE:.1f}"
