"""Global settings: the default dtype, the number of threads."""

import math
import os
import sys
from typing import Any

from narae.base import dtypes
from narae.base.dtypes import set_default_dtype
from narae.base.errors import ConfigError

from .devices import CPU, Device, check_device


def _processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


_threads = [_processors()]


def get_default_dtype() -> dtypes.DType:
    """The dtype that Python floats get."""
    return dtypes.of_numpy(dtypes.default_dtype())


def get_num_threads() -> int:
    """How many threads compiled programs may use."""
    return _threads[0]


def set_num_threads(count: int) -> None:
    """Let compiled programs use that many threads.

    NumPy's matrix products follow their own library's setting (OPENBLAS_NUM_THREADS).
    """
    if not isinstance(count, int) or count < 1:
        raise ConfigError(f"set_num_threads expects a positive integer, not {count!r}")
    _threads[0] = count
    team = sys.modules.get("narae.native.runtime.team")
    if team is not None:  # otherwise it is told when it is loaded
        team.set_threads(count)


def get_num_interop_threads() -> int:
    """1: operations run one after the other."""
    return 1


# --- settings of other machines, which have one answer here ----------------------------------


def get_default_device() -> Device:
    """The CPU, where all tensors are."""
    return CPU


def set_default_device(device: Any = None) -> None:
    """Accepts the CPU.

    Raises:
        RuntimeError: for devices that are not there.
    """
    check_device(device)


def set_default_tensor_type(t: Any) -> None:
    """Choose the default dtype by a type such as "torch.DoubleTensor" (old PyTorch programs)."""
    name = t if isinstance(t, str) else getattr(t, "__name__", str(t))
    short = name.rpartition(".")[2]
    wanted = {"HalfTensor": "float16", "FloatTensor": "float32", "DoubleTensor": "float64",
              "BFloat16Tensor": "bfloat16"}.get(short)  # fmt: skip
    if wanted is None:
        raise ConfigError(f"only floating-point types are supported as the default type: {name}")
    set_default_dtype(dtypes.DTYPES[wanted])


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepts both: every operation is deterministic anyway."""


def are_deterministic_algorithms_enabled() -> bool:
    """Always True: the same program gives the same bits."""
    return True


_PRECISIONS = ("highest", "high", "medium")


def get_float32_matmul_precision() -> str:
    """Always "highest": products of float32 numbers keep 24 bits."""
    return _PRECISIONS[0]


def set_float32_matmul_precision(precision: str) -> None:
    """Accepts PyTorch's three words; products keep 24 bits in all cases.

    Raises:
        ValueError: for other words.
    """
    if precision not in _PRECISIONS:
        raise ConfigError(f"{precision!r} is no precision: it is one of {', '.join(_PRECISIONS)}")


class _Constant:
    """A named choice that PyTorch offers, such as `narae.channels_last`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __repr__(self) -> str:
        return f"narae.{self._name}"

    def __reduce__(self) -> str:
        return self._name


# Tensors are dense, and in row-major order when they are made.
strided = _Constant("strided")
contiguous_format = _Constant("contiguous_format")
preserve_format = _Constant("preserve_format")
channels_last = _Constant("channels_last")
channels_last_3d = _Constant("channels_last_3d")


# Python's own numbers under PyTorch's names; `x[:, newaxis]` inserts a dimension.
e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi


def is_tensor(obj: object) -> bool:
    """Whether something is a tensor."""
    from .tensor import Tensor

    return isinstance(obj, Tensor)


def is_floating_point(input: object) -> bool:
    """Whether a tensor holds floating point numbers."""
    return bool(input.is_floating_point())  # type: ignore[attr-defined]


__all__ = [
    "are_deterministic_algorithms_enabled",
    "channels_last",
    "channels_last_3d",
    "contiguous_format",
    "e",
    "get_default_device",
    "get_default_dtype",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "get_num_threads",
    "inf",
    "is_floating_point",
    "is_tensor",
    "nan",
    "newaxis",
    "pi",
    "preserve_format",
    "set_default_device",
    "set_default_dtype",
    "set_default_tensor_type",
    "set_float32_matmul_precision",
    "set_num_threads",
    "strided",
    "use_deterministic_algorithms",
]
