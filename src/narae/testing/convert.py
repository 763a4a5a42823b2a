"""Tensors to arrays and back: values, dtype, strides and `requires_grad` survive."""

import sys
from collections.abc import Sequence
from typing import Any

import ml_dtypes
import numpy as np

from narae.base.dtypes import BFLOAT16, DTYPES
from narae.base.errors import DTypeError, MissingDataError, explain
from narae.tensors import Tensor, from_numpy

Array = np.ndarray[Any, Any]


def dtype_name(dtype: Any) -> str:
    """The bare name of a dtype of Narae, PyTorch or NumPy, such as "float32".

    >>> import narae
    >>> dtype_name(narae.bfloat16), dtype_name(np.dtype("int64"))
    ('bfloat16', 'int64')
    """
    return str(dtype).rpartition(".")[2]


def to_numpy(x: Any) -> Array:
    """The numbers of a tensor of Narae or PyTorch, as an array of the same dtype.

    Args:
        x: a tensor of either, an array, or a number.
    """
    if isinstance(x, Tensor):
        return np.asarray(x._array)
    if not hasattr(x, "detach"):
        return np.asarray(x)
    if dtype_name(x.dtype) == "bfloat16":  # NumPy has no such dtype: by way of float32, exactly
        return x.float().numpy(force=True).astype(ml_dtypes.bfloat16)
    return x.numpy(force=True)  # also of tensors that are zeros without memory


def restrided(array: Array, strides: Sequence[int]) -> Array:
    """A copy of an array whose memory is laid out with the given strides.

    Args:
        array: the numbers, of any layout.
        strides: steps of each dimension, counted in elements; 0 repeats an element.

    >>> restrided(np.ones((2, 3)), (1, 2)).strides
    (8, 16)
    """
    reach = sum((size - 1) * step for size, step in zip(array.shape, strides, strict=True))
    storage = np.zeros(max(reach, 0) + 1 if array.size else 0, array.dtype)
    steps = [step * array.itemsize for step in strides]
    view = np.lib.stride_tricks.as_strided(storage, array.shape, steps)
    view[...] = array
    return view


def to_narae(x: Any) -> Tensor:
    """A tensor with PyTorch's numbers, dtype, strides and `requires_grad`, on its own memory.

    Raises:
        TypeError: for dtypes that Narae does not have, such as complex numbers.
    """
    if dtype_name(x.dtype) not in DTYPES:
        raise DTypeError(explain("to_narae", f"elements are {x.dtype}", "Narae has no such dtype"))
    out = from_numpy(restrided(to_numpy(x), x.stride()))
    return out.requires_grad_() if x.requires_grad else out


def to_torch(x: Tensor) -> Any:
    """A tensor of PyTorch with the same numbers, dtype and `requires_grad`, on its own memory.

    Raises:
        FileNotFoundError: when the caller has not imported PyTorch.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        raise MissingDataError(
            explain("to_torch", "PyTorch is not loaded", "the caller imports it", "import torch")
        )
    array = to_numpy(x)
    wide = array.astype(np.float32) if array.dtype == BFLOAT16 else array.copy()
    out = torch.from_numpy(wide).to(getattr(torch, dtype_name(x.dtype)))
    return out.requires_grad_(x.requires_grad)
