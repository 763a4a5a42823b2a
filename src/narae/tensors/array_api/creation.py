"""The standard's functions that make arrays."""

from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy
from narae.base.errors import DataError, explain

from .. import creation, joining, memory, rearranging
from ..devices import check_device
from ..movement import slice_dim
from ..tensor import Tensor
from .standard import standard


def asarray(obj: Any, /, *, dtype: Any = None, device: Any = None, copy: Any = None) -> Tensor:
    """An array from numbers, nested lists, tensors, or what has a buffer or DLPack.

    Args:
        obj: the data.
        dtype: by default that of the data.
        device: "cpu".
        copy: True always copies, False never does, None copies where it must.

    Raises:
        ValueError: when copy is False and a copy is needed.
    """
    check_device(device)
    if hasattr(obj, "__dlpack__") and not isinstance(obj, (Tensor, np.ndarray, np.generic)):
        obj = memory.from_dlpack(obj)
    shared = isinstance(obj, (Tensor, np.ndarray))
    changes = shared and dtype is not None and as_numpy(dtype) != as_numpy(obj.dtype)
    if copy is False and (not shared or changes):
        raise DataError(
            explain(
                "asarray",
                f"the data is {type(obj).__name__}, dtype is {dtype}, copy is False",
                "the data cannot be shared without a copy",
                "copy=None",
            )
        )
    if not shared:
        return creation.tensor(obj, dtype=dtype)
    x = obj if isinstance(obj, Tensor) else creation.from_numpy(obj)
    out = x if dtype is None else x.to(dtype)
    return memory.clone(out) if copy and out is x else out


def from_dlpack(x: Any, /, *, device: Any = None, copy: Any = None) -> Tensor:
    """An array on the memory of another library's array."""
    check_device(device)
    made = memory.from_dlpack(x)
    return memory.clone(made) if copy else made


def arange(
    start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None
) -> Tensor:
    """start, start + step, … below stop; nothing where stop lies on the other side."""
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step < 0:
        stop = start
        step = 1 if isinstance(step, int) else 1.0
    return creation.arange(start, stop, step, dtype=dtype, device=device)


def linspace(
    start: Any,
    stop: Any,
    /,
    num: int,
    *,
    dtype: Any = None,
    device: Any = None,
    endpoint: bool = True,
) -> Tensor:
    """`num` numbers at equal distance from start to stop, which is the last one or the next."""
    if endpoint:
        return creation.linspace(start, stop, num, dtype=dtype, device=device)
    longer = creation.linspace(start, stop, num + 1, dtype=dtype, device=device)
    return slice_dim(longer, 0, 0, num)


def eye(
    n_rows: int,
    n_cols: int | None = None,
    /,
    *,
    k: int = 0,
    dtype: Any = None,
    device: Any = None,
) -> Tensor:
    """Ones on the k-th diagonal, zeros elsewhere."""
    check_device(device)
    wanted = creation.default_dtype() if dtype is None else as_numpy(dtype)
    return creation.constant(np.eye(n_rows, n_cols, k, dtype=wanted))


def _of_shape(maker: Any, name: str) -> Any:
    def make(shape: Any, /, *, dtype: Any = None, device: Any = None) -> Tensor:
        made: Tensor = maker(shape, dtype=dtype, device=device)
        return made

    make.__name__ = make.__qualname__ = name
    make.__doc__ = maker.__doc__
    return make


def _like(maker: Any, name: str) -> Any:
    def make(x: Tensor, /, *, dtype: Any = None, device: Any = None) -> Tensor:
        made: Tensor = maker(x, dtype=dtype, device=device)
        return made

    make.__name__ = make.__qualname__ = name
    make.__doc__ = maker.__doc__
    return make


empty = _of_shape(creation.empty, "empty")
zeros = _of_shape(creation.zeros, "zeros")
ones = _of_shape(creation.ones, "ones")
empty_like = _like(creation.empty_like, "empty_like")
zeros_like = _like(creation.zeros_like, "zeros_like")
ones_like = _like(creation.ones_like, "ones_like")


def full(shape: Any, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One number everywhere."""
    return creation.full(shape, fill_value, dtype=dtype, device=device)


def full_like(x: Tensor, /, fill_value: Any, *, dtype: Any = None, device: Any = None) -> Tensor:
    """One number everywhere, in the shape of an array."""
    return creation.full_like(x, fill_value, dtype=dtype, device=device)


def meshgrid(*arrays: Tensor, indexing: str = "xy") -> tuple[Tensor, ...]:
    """Coordinates of a grid, x before y unless indexing is "ij"."""
    return joining.meshgrid(*arrays, indexing=indexing)


@standard
def tril(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The lower triangle of matrices, up to the k-th diagonal."""
    return rearranging.tril(x, k)


@standard
def triu(x: Tensor, /, *, k: int = 0) -> Tensor:
    """The upper triangle of matrices, from the k-th diagonal on."""
    return rearranging.triu(x, k)


__all__ = [
    "arange", "asarray", "empty", "empty_like", "eye", "from_dlpack", "full", "full_like",
    "linspace", "meshgrid", "ones", "ones_like", "tril", "triu", "zeros", "zeros_like",
]  # fmt: skip
