"""What only a fresh process can tell: the time of a first call, and the memory of a step.

    python benchmarks/fresh_process.py compile cnn narae

`vs_torch.py` starts it. It prints one line of JSON.
"""

import argparse
import ctypes
import gc
import json
import resource
import statistics
import time
from typing import Any

from contenders import Contender, TorchMode, first_weights, narae_contender, torch_contender
from machine import set_threads
from workloads import BFLOAT16_ROWS, ROWS, Workload

STEPS = 5


def contender_of(workload: Workload, side: str, executor: str | None) -> Contender:
    """A contender by the name of its side."""
    weights = first_weights(workload)
    if side == "narae":
        return narae_contender(workload, weights, compiled=True, executor=executor)
    mode = TorchMode(compiled=side == "torch.compile", fused=workload.trains)
    return torch_contender(workload, weights, mode)


def first_call(contender: Contender, arrays: Any) -> dict[str, float]:
    """Seconds that the first call takes more than a later one."""
    times = []
    for _ in range(1 + STEPS):
        start = time.perf_counter()
        contender.step(arrays)
        times.append(time.perf_counter() - start)
    return {"seconds": times[0] - statistics.median(times[1:])}


# --- memory ---------------------------------------------------------------------------------


def _status(field: str) -> int | None:
    """Bytes of a field of this process's status, on Linux."""
    try:
        with open("/proc/self/status", encoding="utf8") as lines:
            for line in lines:
                if line.startswith(field + ":"):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return None


def _peak() -> int:
    high = _status("VmHWM")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 if high is None else high


def _reset_peak() -> bool:
    try:
        with open("/proc/self/clear_refs", "w", encoding="utf8") as file:
            file.write("5")
    except OSError:
        return False
    return True


def _give_back() -> None:
    """Return free memory to the system, so that it does not count."""
    gc.collect()
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError):
        pass


def peak_of_step(contender: Contender, arrays: Any) -> dict[str, Any]:
    """Bytes at the peak of a step above those after the model was made.

    The first steps, which compile, come before the peak is reset, where that can be.
    """
    _give_back()
    before = _status("VmRSS") or _peak()
    for _ in range(2):
        contender.step(arrays)
    _give_back()
    reset = _reset_peak()
    for _ in range(STEPS):
        contender.step(arrays)
    return {"bytes": _peak() - before, "reset": reset}


def main() -> None:
    """Measure one thing of one workload on one side."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("compile", "memory"))
    parser.add_argument("workload")
    parser.add_argument("side", choices=("narae", "torch", "torch.compile"))
    parser.add_argument("--executor")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    set_threads(options.threads)
    (workload,) = (row for row in [*ROWS, *BFLOAT16_ROWS] if row.name == options.workload)
    contender = contender_of(workload, options.side, options.executor)
    measure = first_call if options.what == "compile" else peak_of_step
    print(json.dumps(measure(contender, workload.batch.arrays())))


if __name__ == "__main__":
    main()
