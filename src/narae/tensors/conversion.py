"""Dtypes and devices: converting tensors, and facts about dtypes."""

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from narae.base import dtypes
from narae.base.dtypes import DType, as_numpy, category, is_floating
from narae.base.errors import DTypeError
from narae.primitives import cast as cast_primitive
from narae.primitives import copy as copy_primitive

from .devices import Device, check_device
from .eager import apply
from .operands import payload
from .tensor import Tensor

# --- to --------------------------------------------------------------------------------------


def _device_or_dtype(argument: Any) -> tuple[Any, Any]:
    """The dtype and the device that one argument of `to` stands for; one of them is None."""
    if isinstance(argument, Tensor):
        return argument._value.dtype, argument.device
    if isinstance(argument, (str, Device, int)) and not isinstance(argument, bool):
        device = f"cuda:{argument}" if isinstance(argument, int) else argument
        return None, device
    return (None, None) if argument is None else (as_numpy(argument), None)


def to(
    input: Tensor,
    *arguments: Any,
    dtype: Any = None,
    device: Any = None,
    other: Tensor | None = None,
    non_blocking: bool = False,
    copy: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """The tensor in another dtype or on another device; itself if nothing changes.

    Args:
        input: any tensor.
        arguments: a dtype, a device, both in this order (device, dtype), or a tensor to be like.
        dtype: by name.
        device: by name; only "cpu" here.
        other: a tensor to be like.
        non_blocking: has no meaning here.
        copy: copy even if nothing changes.
        memory_format: has no meaning here.

    Raises:
        RuntimeError: for devices that are not there.

    >>> import narae
    >>> narae.tensor([1.5, 2.5]).to(narae.int64)
    tensor([1, 2])
    """
    wanted = None if dtype is None else as_numpy(dtype)
    given = [*arguments, other]
    if len(arguments) > 1 and isinstance(arguments[-1], bool):
        copy = copy or (len(arguments) > 2 and arguments[-1])
        given = [item for item in given if not isinstance(item, bool)]
    for argument in given:
        found_dtype, found_device = _device_or_dtype(argument)
        wanted = found_dtype or wanted
        device = found_device or device
    check_device(device)
    if wanted is not None and wanted != input._value.dtype:
        return apply(cast_primitive, input, dtype=wanted)  # type: ignore[no-any-return]
    return apply(copy_primitive, input) if copy else input


def _to_dtype(name: str, wanted: DType) -> Callable[..., Tensor]:
    numpy_dtype = wanted.numpy

    def function(self: Tensor, memory_format: Any = None) -> Tensor:
        if self._value.dtype == numpy_dtype:
            return self
        return apply(cast_primitive, self, dtype=numpy_dtype)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The tensor as {wanted.name}; itself if it is that already."
    return function


def _to_type(self: Tensor, dtype: Any = None, non_blocking: bool = False) -> Any:
    """The name of the tensor's type, or the tensor in another dtype."""
    if dtype is None:
        return f"narae.{_LEGACY_NAMES[self.dtype.name]}Tensor"
    if isinstance(dtype, str):
        short = dtype.rpartition(".")[2].removesuffix("Tensor")
        dtype = next((name for name, known in _LEGACY_NAMES.items() if known == short), dtype)
    return to(self, getattr(dtype, "dtype", dtype))


_LEGACY_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "uint8": "Byte",
    "int8": "Char",
    "int16": "Short",
    "int32": "Int",
    "int64": "Long",
    "bool": "Bool",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
}


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """The tensor in the dtype of another one."""
    return to(self, other._value.dtype)


def _cpu(self: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself, which is on the CPU."""
    return self


def _cuda(self: Tensor, device: Any = None, non_blocking: bool = False) -> Tensor:
    """Refuses: there is no CUDA device here."""
    check_device("cuda" if device is None else device)
    return self


def _get_device(self: Tensor) -> int:
    """-1: the CPU."""
    return -1


# --- facts about dtypes ----------------------------------------------------------------------


def promote_types(type1: DType, type2: DType) -> DType:
    """The smallest dtype that both convert to.

    >>> import narae
    >>> narae.promote_types(narae.int32, narae.float16)
    narae.float16
    """
    return dtypes.of_numpy(dtypes.promote_types(as_numpy(type1), as_numpy(type2)))


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype that arithmetic on two tensors or numbers gives."""
    return dtypes.of_numpy(dtypes.result_type([payload(tensor1), payload(tensor2)]))


def can_cast(from_: DType, to: DType) -> bool:
    """Whether in-place arithmetic may store one dtype in another: never floats in integers."""
    return category(as_numpy(from_)) <= category(as_numpy(to))


class finfo:
    """Limits of a floating point dtype, such as `narae.finfo(narae.float32).eps`.

    Args:
        type: the dtype; the default one if left out.
    """

    def __init__(self, type: Any = None) -> None:
        wanted = dtypes.default_dtype() if type is None else as_numpy(type)
        if not is_floating(wanted):
            raise DTypeError(f"narae.finfo() requires a floating point input type, got {wanted}")
        limits: Any = ml_dtypes.finfo(wanted)  # type: ignore[no-untyped-call]
        self.bits = wanted.itemsize * 8
        self.eps, self.max, self.min = (float(x) for x in (limits.eps, limits.max, limits.min))
        self.tiny = self.smallest_normal = float(limits.smallest_normal)
        self.resolution = 10.0 ** -int(limits.precision)
        self.dtype = dtypes.of_numpy(wanted).name

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, "
            f"dtype={self.dtype})"
        )


class iinfo:
    """Limits of an integer dtype, such as `narae.iinfo(narae.int64).max`.

    Args:
        type: the dtype.
    """

    def __init__(self, type: Any) -> None:
        wanted = as_numpy(type)
        if wanted.kind not in "iu":
            raise DTypeError(f"narae.iinfo() requires an integer input type, got {wanted}")
        limits = np.iinfo(wanted)
        self.bits, self.min, self.max = limits.bits, int(limits.min), int(limits.max)
        self.dtype = dtypes.of_numpy(wanted).name

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"


_CONVERSIONS = {
    "float": dtypes.float32,
    "double": dtypes.float64,
    "half": dtypes.float16,
    "bfloat16": dtypes.bfloat16,
    "long": dtypes.int64,
    "int": dtypes.int32,
    "short": dtypes.int16,
    "char": dtypes.int8,
    "byte": dtypes.uint8,
    "bool": dtypes.bool_,
}
OPERATORS = {
    **{name: _to_dtype(name, dtype) for name, dtype in _CONVERSIONS.items()},
    "to": to,
    "type": _to_type,
    "type_as": _type_as,
    "cpu": _cpu,
    "cuda": _cuda,
    "get_device": _get_device,
}
__all__ = ["can_cast", "finfo", "iinfo", "promote_types", "result_type"]
