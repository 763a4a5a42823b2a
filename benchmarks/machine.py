"""The machine under a benchmark: its settings for both sides, its peak, and its description."""

import os
import platform
import sys
import time
from collections.abc import Callable
from typing import Any

# Memory that a step frees stays with the process on both sides: no page faults are timed.
_MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "1000000000",
    "MALLOC_MMAP_THRESHOLD_": "1000000000",
    "MALLOC_TOP_PAD_": "67108864",
}
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def environment(threads: int, keep_memory: bool = True) -> dict[str, str]:
    """The environment of a fair run: one number of threads, one way to keep memory."""
    wanted = {name: value for name, value in os.environ.items() if name not in _UNSET}
    wanted |= dict.fromkeys(_THREADS, str(threads))
    if keep_memory:
        wanted |= _MALLOC
    return wanted


def restart_with(wanted: dict[str, str]) -> None:
    """Start this script again if its environment is another one."""
    if wanted != dict(os.environ):
        sys.stdout.flush()
        os.execve(sys.executable, [sys.executable, *sys.argv], wanted)


def set_threads(threads: int) -> None:
    """Tell both libraries."""
    import torch

    import narae

    torch.set_num_threads(threads)
    narae.set_num_threads(threads)


# --- what a machine can do ------------------------------------------------------------------

SIZE = 2048


class Peak:
    """The fastest product of two 2048 × 2048 matrices of float32 seen so far, in GFLOP/s."""

    def __init__(self) -> None:
        self.best = {"PyTorch": 0.0, "NumPy": 0.0}

    def measure(self, repeats: int = 5) -> None:
        """Look again; what another process took away shall not count."""
        import numpy as np
        import torch

        x = np.ones((SIZE, SIZE), np.float32)
        y, out = torch.from_numpy(x), np.empty_like(x)
        self._note("PyTorch", lambda: torch.mm(y, y), repeats)
        self._note("NumPy", lambda: np.matmul(x, x, out=out), repeats)

    def _note(self, name: str, product: Callable[[], Any], repeats: int) -> None:
        for _ in range(repeats):
            start = time.perf_counter()
            product()
            rate = 2 * SIZE**3 / (time.perf_counter() - start) / 1e9
            self.best[name] = max(self.best[name], rate)

    @property
    def rate(self) -> float:
        """The larger of both."""
        return max(self.best.values())

    def __str__(self) -> str:
        parts = ", ".join(f"{name} {rate:.0f}" for name, rate in self.best.items())
        return f"{SIZE}³ matrix product in float32, GFLOP/s: {parts}"


class Neighbours:
    """How much of the processors other processes take, from now on (on Linux)."""

    def __init__(self) -> None:
        self._busy, self._own, self._start = _busy(), _own(), time.perf_counter()

    @property
    def share(self) -> float | None:
        """Of all processors, 0 to 1; None where it cannot be known."""
        busy = _busy()
        if busy is None or self._busy is None:
            return None
        passed = (time.perf_counter() - self._start) * (os.cpu_count() or 1)
        others = (busy - self._busy) - (_own() - self._own)
        return min(max(others / max(passed, 1e-9), 0.0), 1.0)

    def __str__(self) -> str:
        if self.share is None:
            return "What other processes took of the processors is unknown."
        warning = " **Too much for fair figures.**" if self.share > 0.05 else ""
        return f"Other processes took {self.share:.0%} of the processors meanwhile.{warning}"


def _busy() -> float | None:
    """Seconds that all processors have worked since the start of the system."""
    try:
        with open("/proc/stat", encoding="utf8") as lines:
            user, nice, system, _, _, *rest = map(int, lines.readline().split()[1:])
    except (OSError, ValueError):
        return None
    interrupts_and_stolen = sum(rest[:3])
    return (user + nice + system + interrupts_and_stolen) / os.sysconf("SC_CLK_TCK")


def _own() -> float:
    """Seconds that this process and its finished children have worked."""
    return sum(os.times()[:4])


# --- what it is -----------------------------------------------------------------------------

_FEATURES = ("avx2", "fma", "avx512f", "avx512_bf16", "amx_tile", "amx_bf16", "asimd", "bf16")


def features() -> str:
    """The processor's features that matter here, and how many processors may be used."""
    flags: set[str] = set()
    try:
        with open("/proc/cpuinfo", encoding="utf8") as lines:
            for line in lines:
                if line.startswith(("flags", "Features")):
                    flags = set(line.partition(":")[2].split())
                    break
    except OSError:
        pass
    known = [name for name in _FEATURES if name in flags]
    return f"{platform.machine()}, {os.cpu_count()} processors, {', '.join(known) or 'unknown'}"


def versions() -> str:
    """The libraries' versions."""
    from importlib.metadata import PackageNotFoundError, version

    parts = [f"Python {platform.python_version()}"]
    for label, name in (
        ("Narae", "narae"),
        ("NumPy", "numpy"),
        ("llvmlite", "llvmlite"),
        ("PyTorch", "torch"),
    ):
        try:
            parts.append(f"{label} {version(name)}")
        except PackageNotFoundError:
            parts.append(f"no {label}")
    return ", ".join(parts)
