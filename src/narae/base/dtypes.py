"""Dtypes: the public `DType` objects, their NumPy counterparts, and PyTorch's promotion rules.

Floors 1 to 4 speak NumPy dtypes only. `DType` is the face that users see (`narae.float32`).
"""

from collections.abc import Iterable
from functools import cache
from typing import Any

import ml_dtypes
import numpy as np

NumpyDType = np.dtype[Any]
Scalar = bool | int | float

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class DType:
    """The type of a tensor's elements, such as `narae.float32`."""

    __slots__ = ("is_floating_point", "name", "numpy")

    def __init__(self, name: str, numpy_dtype: NumpyDType) -> None:
        self.name = name
        self.numpy = numpy_dtype
        self.is_floating_point = is_floating(numpy_dtype)

    @property
    def itemsize(self) -> int:
        """Bytes an element takes."""
        return self.numpy.itemsize

    @property
    def is_complex(self) -> bool:
        """Always False: complex numbers are out of scope."""
        return False

    @property
    def is_signed(self) -> bool:
        """Whether negative numbers can be represented."""
        return self.numpy.kind != "u" and self.numpy.kind != "b"

    def __repr__(self) -> str:
        return f"narae.{self.name}"

    def __reduce__(self) -> tuple[Any, ...]:
        return (dtype_named, (self.name,))


def is_floating(dtype: NumpyDType) -> bool:
    """Whether a NumPy dtype holds real floating point numbers (bfloat16 included)."""
    return dtype.kind == "f" or dtype == BFLOAT16


def is_half(dtype: NumpyDType) -> bool:
    """Whether a NumPy dtype is one of the two 16-bit floating point types."""
    return dtype.itemsize == 2 and is_floating(dtype)


_NAMES = {
    "float16": np.float16,
    "bfloat16": ml_dtypes.bfloat16,
    "float32": np.float32,
    "float64": np.float64,
    "uint8": np.uint8,
    "int8": np.int8,
    "int16": np.int16,
    "int32": np.int32,
    "int64": np.int64,
    "uint16": np.uint16,
    "uint32": np.uint32,
    "uint64": np.uint64,
    "bool": np.bool_,
}
DTYPES: dict[str, DType] = {name: DType(name, np.dtype(kind)) for name, kind in _NAMES.items()}
_BY_NUMPY: dict[NumpyDType, DType] = {dtype.numpy: dtype for dtype in DTYPES.values()}

float16, bfloat16 = DTYPES["float16"], DTYPES["bfloat16"]
float32, float64 = DTYPES["float32"], DTYPES["float64"]
uint8, int8, int16 = DTYPES["uint8"], DTYPES["int8"], DTYPES["int16"]
int32, int64 = DTYPES["int32"], DTYPES["int64"]
uint16, uint32, uint64 = DTYPES["uint16"], DTYPES["uint32"], DTYPES["uint64"]
bool_ = DTYPES["bool"]
half, double, float_, long, int_, short = float16, float64, float32, int64, int32, int16

BOOL, INT64 = bool_.numpy, int64.numpy
FLOAT32, FLOAT64 = float32.numpy, float64.numpy


def dtype_named(name: str) -> DType:
    """The dtype with a name, such as "float32"."""
    return DTYPES[name]


def of_numpy(dtype: NumpyDType) -> DType:
    """The public face of a NumPy dtype.

    Raises:
        TypeError: for dtypes that Narae does not have (complex numbers, strings, objects).
    """
    found = _BY_NUMPY.get(dtype)
    if found is None:
        found = _BY_NUMPY.get(dtype.newbyteorder("="))
    if found is None:
        from .errors import DTypeError, explain

        names = ", ".join(DTYPES)
        raise DTypeError(
            explain("dtype", f"elements are {dtype}", f"Narae has {names}", "convert them first")
        )
    return found


def as_numpy(dtype: Any) -> NumpyDType:
    """The NumPy dtype behind a `DType`, a NumPy dtype, or Python's bool, int and float."""
    if isinstance(dtype, DType):
        return dtype.numpy
    if dtype is float:
        return default_dtype()
    if dtype is int:
        return INT64
    return of_numpy(np.dtype(dtype)).numpy


# --- the default floating point dtype -------------------------------------------------------

_default = [FLOAT32]


def default_dtype() -> NumpyDType:
    """The dtype that Python floats get."""
    return _default[0]


def set_default_dtype(dtype: Any) -> None:
    """Choose the dtype that Python floats get: one of the floating point dtypes."""
    chosen = as_numpy(dtype)
    if not is_floating(chosen):
        from .errors import DTypeError, explain

        raise DTypeError(
            explain("set_default_dtype", f"got {dtype}", "only floating point ones can be default")
        )
    _default[0] = chosen


# --- promotion ------------------------------------------------------------------------------


def category(dtype: NumpyDType) -> int:
    """0 for bool, 1 for integers, 2 for floating point: the higher category wins a promotion."""
    if dtype.kind == "b":
        return 0
    return 2 if is_floating(dtype) else 1


@cache
def promote_types(first: NumpyDType, second: NumpyDType) -> NumpyDType:
    """The smallest dtype that both convert to, by PyTorch's table.

    >>> promote_types(np.dtype("uint8"), np.dtype("int8"))
    dtype('int16')
    >>> promote_types(np.dtype("int64"), np.dtype("float16"))
    dtype('float16')
    """
    if first == second:
        return first
    higher, lower = sorted((first, second), key=category, reverse=True)
    if category(higher) != category(lower):
        return higher
    if category(higher) == 2:
        both_half = first.itemsize == second.itemsize == 2
        return FLOAT32 if both_half else max(first, second, key=lambda dtype: dtype.itemsize)
    return np.promote_types(first, second)


def scalar_dtype(value: Scalar) -> NumpyDType:
    """The dtype that a Python number has when no tensor decides."""
    if isinstance(value, bool):
        return BOOL
    if isinstance(value, int):
        return INT64
    return default_dtype()


@cache
def _combine(dimensioned: Any, zero_dim: Any, scalars: Any) -> NumpyDType:
    """Let a lower-priority group change the result only by a higher category."""
    result = dimensioned
    for group in (zero_dim, scalars):
        if group is None:
            continue
        if result is None or category(group) > category(result):
            result = group
    assert result is not None
    return result  # type: ignore[no-any-return]


def result_type(operands: Iterable[Any]) -> NumpyDType:
    """PyTorch's promotion: tensors with dimensions decide first, then 0-d ones, then numbers.

    Args:
        operands: values with `shape` and `dtype` (a NumPy dtype), and Python numbers.
    """
    groups: list[NumpyDType | None] = [None, None, None]
    for operand in operands:
        if isinstance(operand, (bool, int, float)):
            place, dtype = 2, scalar_dtype(operand)
        else:
            place, dtype = (0 if operand.shape else 1), operand.dtype
        known = groups[place]
        groups[place] = dtype if known is None else promote_types(known, dtype)
    return _combine(*groups)
