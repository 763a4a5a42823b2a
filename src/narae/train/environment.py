"""What decides on the last bits of a run beside its settings: versions, executor, processor."""

import importlib
import importlib.util
import os
import platform
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from narae.tensors.executors import executor_named
from narae.tensors.settings import get_num_threads

from .versions import versions_of

_LIBRARIES = ("narae", "numpy", "ml-dtypes", "llvmlite", "pillow", "scikit-learn")
_THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


def environment() -> dict[str, Any]:
    """All of it, as a checkpoint keeps it.

    Machine code gives the same bits for any number of threads; NumPy's matrix products do not, so
    the threads of their library (BLAS) are here too, 0 where they cannot be found out.
    """
    executor = executor_named(None).name
    return {
        "versions": _versions(),
        "executor": executor,
        "processor": _processor(executor),
        "threads": get_num_threads(),
        "blas": _blas(),
    }


def restore_threads(saved: Mapping[str, Any]) -> None:
    """Let BLAS have as many threads as it had, where threadpoolctl is there to tell it so."""
    wanted = int(saved["blas"]["threads"])
    if wanted and wanted != _blas()["threads"]:
        control = _threadpoolctl()
        if control is not None:
            control.threadpool_limits(limits=wanted, user_api="blas")


def differences(saved: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What may change the last bits, in words; empty if nothing does.

    >>> here = environment()
    >>> differences(here, here)
    []
    >>> differences({**here, "executor": "abacus"}, {**here, "executor": "native"})
    ['the executor was abacus, is native']
    """
    both = [_flat(each) for each in (saved, now)]
    names = dict.fromkeys((*both[0], *both[1]))
    return [
        _words(name, *(each.get(name, "unknown") for each in both))
        for name in names
        if both[0].get(name) != both[1].get(name)
    ]


def _flat(found: Mapping[str, Any]) -> dict[str, Any]:
    versions = {f"the version of {name}": x for name, x in found["versions"].items()}
    blas = {f"the {name} of BLAS": x for name, x in found["blas"].items()}
    return {
        **versions,
        "the executor": found["executor"],
        "the processor": found["processor"],
        **blas,
    }


def _words(name: str, before: Any, now: Any) -> str:
    if name == "the processor":  # its features are a long list: only some that differ are named
        odd = sorted(set(str(before).split()) ^ set(str(now).split()))
        more = ", …" if len(odd) > 3 else ""
        return f"the processor is another one ({', '.join(odd[:3])}{more})"
    text = f"{name} was {before}, is {now}"
    if name == "the threads of BLAS":
        text += f" (start with OPENBLAS_NUM_THREADS={before}, or install threadpoolctl)"
    return text


@cache
def _versions() -> dict[str, str]:
    return versions_of(_LIBRARIES)


@cache
def _processor(executor: str) -> str:
    """What kernels are chosen by: the features that machine code uses, or those NumPy found."""
    if executor == "native":
        machine = importlib.import_module("narae.native.runtime.machine")
        here = machine.host_machine()
        return " ".join([f"{8 * here.vector_bytes}-bit", *sorted(here.features)])
    found: Any = np.show_config(mode="dicts")
    extensions = found.get("SIMD Extensions", {})
    return " ".join([platform.machine(), *extensions.get("found", ())])


def _blas() -> dict[str, Any]:
    """The threads and the kernel of NumPy's matrix products."""
    pools = [pool for pool in _pools() if pool["user_api"] == "blas"]
    if not pools:
        said = next((os.environ[name] for name in _THREADS if name in os.environ), "")
        return {"threads": int(said) if said.isdigit() else 0, "kernel": "unknown"}
    # SciPy brings a library of its own; what counts is NumPy's.
    pool = next((each for each in pools if "numpy" in each["filepath"]), pools[0])
    words = (pool["internal_api"], pool.get("version"), pool.get("architecture"))
    return {"threads": pool["num_threads"], "kernel": " ".join(str(x) for x in words if x)}


def _pools() -> list[dict[str, Any]]:
    libraries = _libraries()
    return [] if libraries is None else libraries.info()


@cache
def _libraries() -> Any:
    """The libraries with threads that this process has; found once, for that takes milliseconds."""
    control = _threadpoolctl()
    return None if control is None else control.ThreadpoolController()


def _threadpoolctl() -> Any:
    if importlib.util.find_spec("threadpoolctl") is None:
        return None
    return importlib.import_module("threadpoolctl")
