"""Global settings: the default dtype, the number of threads."""

import os

from narae.base import dtypes
from narae.base.dtypes import set_default_dtype
from narae.base.errors import ConfigError

_threads = [os.cpu_count() or 1]


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


def is_tensor(obj: object) -> bool:
    """Whether something is a tensor."""
    from .tensor import Tensor

    return isinstance(obj, Tensor)


def is_floating_point(input: object) -> bool:
    """Whether a tensor holds floating point numbers."""
    return bool(input.is_floating_point())  # type: ignore[attr-defined]


__all__ = [
    "get_default_dtype",
    "get_num_threads",
    "is_floating_point",
    "is_tensor",
    "set_default_dtype",
    "set_num_threads",
]
