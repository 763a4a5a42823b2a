"""Making tensors: from data, constants, ranges."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from narae.base import dtypes
from narae.base.dtypes import INT64, as_numpy, default_dtype
from narae.base.errors import DTypeError, ShapeError, explain
from narae.primitives import copy as copy_primitive

from .devices import check_device
from .modes import modes
from .tensor import Tensor, wrap


def constant(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor around an array that is not shared; in a trace, a constant of the program."""
    trace = modes.trace
    if trace is None:
        tensor = wrap(array)
        if modes.inference:
            tensor._inference = True
        return tensor
    return wrap(trace.builder_add(copy_primitive, (array,), {}))


def _finished(tensor: Tensor, requires_grad: bool, out: Tensor | None = None) -> Tensor:
    if out is not None:
        from .operands import deliver

        return deliver(tensor, out, "out=")
    return tensor.requires_grad_() if requires_grad else tensor


def _wanted(dtype: Any, out: Tensor | None, natural: Any) -> Any:
    """The dtype asked for, that of `out`, or the natural one."""
    if dtype is not None:
        return as_numpy(dtype)
    return natural if out is None else out._value.dtype


def array_from(data: Any, dtype: Any) -> np.ndarray[Any, Any]:
    """A new array from nested lists, numbers, arrays or tensors, with PyTorch's default dtypes."""
    wanted = None if dtype is None else as_numpy(dtype)
    if isinstance(data, (np.ndarray, np.generic)):
        return np.array(data, dtype=wanted or dtypes.of_numpy(np.asarray(data).dtype).numpy)
    if isinstance(data, (list, tuple)):
        data = _without_tensors(data)
    try:
        array = np.array(data)
    except ValueError as error:
        raise ShapeError(
            explain("tensor", "nested lists of unequal length", "all rows must be equally long")
        ) from error
    if array.dtype.kind not in "biuf" and array.dtype != dtypes.BFLOAT16:
        raise DTypeError(
            explain(
                "tensor",
                f"could not infer dtype of {type(data).__name__} holding {array.dtype}",
                "elements must be numbers",
            )
        )
    return array.astype(wanted or _natural(array.dtype, data), copy=False)


def _natural(dtype: Any, data: Any) -> Any:
    if dtype.kind == "f" and not _holds_arrays(data):
        return default_dtype()
    return INT64 if dtype.kind in "iu" and not _holds_arrays(data) else dtype


def _holds_arrays(data: Any) -> bool:
    while isinstance(data, (list, tuple)) and data:
        data = data[0]
    return isinstance(data, (np.ndarray, np.generic))


def _without_tensors(data: Any) -> Any:
    if isinstance(data, Tensor):
        return data._array if data._array.ndim else data._array[()]
    if isinstance(data, (list, tuple)):
        return [_without_tensors(item) for item in data]
    return data


def tensor(
    data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor that copies its data.

    Args:
        data: a number, nested lists, an array, or a tensor.
        dtype: by default bool, int64, or the default floating point dtype, by content.
        device: only "cpu" here.
        requires_grad: record what is computed from it.

    >>> import narae
    >>> narae.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    """
    check_device(device)
    if isinstance(data, Tensor):
        copied = data.detach().clone()
        return _finished(copied if dtype is None else copied.to(dtype), requires_grad)
    return _finished(constant(array_from(data, dtype)), requires_grad)


def as_tensor(data: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """A tensor that shares memory with its data where that is possible."""
    check_device(device)
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and dtype is None:
        return from_numpy(data)
    return tensor(data, dtype=dtype)


asarray = as_tensor


def from_numpy(array: np.ndarray[Any, Any]) -> Tensor:
    """A tensor on the memory of an array: writes to one show in the other.

    Raises:
        TypeError: for what is not an array, or for dtypes that Narae does not have.
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"expected np.ndarray (got {type(array).__name__})")
    dtype = array.dtype
    if dtype not in _NATIVE:
        dtypes.of_numpy(dtype)
        raise DTypeError(_foreign_message())
    for stride in array.strides:
        if stride < 0:
            raise DTypeError(_foreign_message())
    return wrap(array) if modes.plain or modes.trace is None else constant(array)


_NATIVE = frozenset(dtype.numpy for dtype in dtypes.DTYPES.values())


def _foreign_message() -> str:
    given = "the array has negative strides or foreign byte order"
    return explain("from_numpy", given, "tensors have neither", "array.copy()")


def legacy_value(arguments: Sequence[Any], dtype: Any) -> Any:
    """What `Tensor(2, 3)`, `Tensor([1, 2])` and `FloatTensor(...)` hold."""
    if len(arguments) == 1 and not isinstance(arguments[0], int):
        data = arguments[0]
        if isinstance(data, tuple) and hasattr(data, "numel"):
            return np.zeros(tuple(data), dtype)
        return constant(array_from(data, dtype))._value
    if not arguments:
        return np.zeros(0, dtype)
    return constant(np.zeros(_sizes(arguments), dtype))._value


class LegacyType:
    """An old constructor such as `narae.FloatTensor`: sizes or data, of one dtype."""

    def __init__(self, name: str, dtype: dtypes.DType) -> None:
        self.name, self.dtype = name, dtype

    def __call__(self, *arguments: Any) -> Tensor:
        return wrap(legacy_value(arguments, self.dtype.numpy))

    def __repr__(self) -> str:
        return f"<class 'narae.{self.name}'>"

    def __instancecheck__(self, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype is self.dtype


FloatTensor = LegacyType("FloatTensor", dtypes.float32)
DoubleTensor = LegacyType("DoubleTensor", dtypes.float64)
HalfTensor = LegacyType("HalfTensor", dtypes.float16)
LongTensor = LegacyType("LongTensor", dtypes.int64)
IntTensor = LegacyType("IntTensor", dtypes.int32)
ShortTensor = LegacyType("ShortTensor", dtypes.int16)
CharTensor = LegacyType("CharTensor", dtypes.int8)
ByteTensor = LegacyType("ByteTensor", dtypes.uint8)
BoolTensor = LegacyType("BoolTensor", dtypes.bool_)


# --- constants ------------------------------------------------------------------------------


def _sizes(size: Any) -> tuple[int, ...]:
    """`(2, 3)` from `f(2, 3)`, `f((2, 3))` or `f([2, 3])`."""
    if len(size) == 1 and isinstance(size[0], (tuple, list)):
        size = size[0]
    sizes = tuple(int(item) for item in size)
    if any(item < 0 for item in sizes):
        raise ShapeError(
            f"Trying to create tensor with negative dimension {min(sizes)}: {list(sizes)}"
        )
    return sizes


def _constant_function(name: str, value: int, text: str) -> Any:
    def make(
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        out: Any = None,
        layout: Any = None,
    ) -> Tensor:
        check_device(device)
        from narae.primitives import full as full_primitive

        from .eager import apply

        wanted = _wanted(dtype, out, default_dtype())
        made = apply(full_primitive, shape=_sizes(size), value=value, dtype=wanted)
        return _finished(made, requires_grad, out)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = text
    return make


zeros = _constant_function("zeros", 0, "Zeros of a shape: `zeros(2, 3)` or `zeros((2, 3))`.")
ones = _constant_function("ones", 1, "Ones of a shape: `ones(2, 3)` or `ones((2, 3))`.")
empty = _constant_function("empty", 0, "A tensor to be written to; its elements start at zero.")


def full(
    size: Any,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """One number everywhere; its type decides the dtype unless one is given."""
    check_device(device)
    if isinstance(fill_value, Tensor):
        fill_value = fill_value.item()
    wanted = _wanted(dtype, out, dtypes.scalar_dtype(fill_value))
    sizes = _sizes((size,) if isinstance(size, int) else size)
    return _finished(constant(np.full(sizes, fill_value, wanted)), requires_grad, out)


def _like(name: str, maker: Any, text: str) -> Any:
    def make(
        input: Tensor,
        *,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        memory_format: Any = None,
        layout: Any = None,
    ) -> Tensor:
        wanted = input._value.dtype if dtype is None else dtype
        made: Tensor = maker(input.shape, dtype=wanted, device=device, requires_grad=requires_grad)
        return made

    make.__name__ = make.__qualname__ = name
    make.__doc__ = text
    return make


zeros_like = _like("zeros_like", zeros, "Zeros with the shape and dtype of a tensor.")
ones_like = _like("ones_like", ones, "Ones with the shape and dtype of a tensor.")
empty_like = _like("empty_like", empty, "A tensor to be written to, like another one.")


def full_like(
    input: Tensor,
    fill_value: Any,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """One number everywhere, with the shape and dtype of a tensor."""
    wanted = input._value.dtype if dtype is None else dtype
    return full(input.shape, fill_value, dtype=wanted, device=device, requires_grad=requires_grad)


# --- ranges ---------------------------------------------------------------------------------


def arange(
    start: Any,
    end: Any = None,
    step: Any = 1,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """start, start + step, … below end; `arange(5)` counts from 0.

    >>> import narae
    >>> narae.arange(1, 2.5, 0.5)
    tensor([1.0000, 1.5000, 2.0000])
    """
    check_device(device)
    if end is None:
        start, end = 0, start
    start, end, step = (x.item() if isinstance(x, Tensor) else x for x in (start, end, step))
    if not (math.isfinite(start) and math.isfinite(end)):
        raise ShapeError(f"unsupported range: {start} -> {end}")
    if _wanted(dtype, out, default_dtype()).kind in "iu":
        start, end, step = int(start), int(end), int(step)
    if step == 0:
        raise ShapeError("step must be nonzero")
    if (end - start) * step < 0:
        raise ShapeError("upper bound and lower bound inconsistent with step sign")
    whole = all(isinstance(x, int) for x in (start, end, step))
    wanted = _wanted(dtype, out, INT64 if whole else default_dtype())
    count = math.ceil((end - start) / step)
    if whole:
        array = np.arange(start, start + count * step, step, dtype=np.int64)
    else:
        array = start + step * np.arange(count, dtype=np.float64)
    return _finished(constant(array.astype(wanted)), requires_grad, out)


def linspace(
    start: Any,
    end: Any,
    steps: int,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """`steps` numbers at equal distance from start to end, both included."""
    check_device(device)
    start, end = (x.item() if isinstance(x, Tensor) else x for x in (start, end))
    if steps < 0:
        raise ShapeError("number of steps must be non-negative")
    wanted = _wanted(dtype, out, default_dtype())
    if wanted.kind in "iu":
        start, end = int(start), int(end)
    array = np.linspace(start, end, steps, dtype=np.float64)
    if wanted.kind in "iu":
        array = np.trunc(array)
    return _finished(constant(array.astype(wanted)), requires_grad, out)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Tensor | None = None,
) -> Tensor:
    """base ** x for `steps` values of x at equal distance from start to end."""
    check_device(device)
    start, end = (x.item() if isinstance(x, Tensor) else x for x in (start, end))
    if steps < 0:
        raise ShapeError("number of steps must be non-negative")
    wanted = _wanted(dtype, out, default_dtype())
    if wanted.kind in "iu":
        start, end = int(start), int(end)  # the exponents have the dtype of the result
    array = np.power(float(base), np.linspace(start, end, steps, dtype=np.float64))
    return _finished(constant(array.astype(wanted)), requires_grad, out)


def eye(
    n: int,
    m: int | None = None,
    *,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere."""
    check_device(device)
    if n < 0 or (m is not None and m < 0):
        raise ShapeError(f"eye(): n and m must be greater or equal to 0, got {n} and {m}")
    wanted = _wanted(dtype, out, default_dtype())
    return _finished(constant(np.eye(n, m, dtype=wanted)), requires_grad, out)


__all__ = [
    "BoolTensor",
    "ByteTensor",
    "CharTensor",
    "DoubleTensor",
    "FloatTensor",
    "HalfTensor",
    "IntTensor",
    "LongTensor",
    "ShortTensor",
    "arange",
    "as_tensor",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_numpy",
    "full",
    "full_like",
    "linspace",
    "logspace",
    "ones",
    "ones_like",
    "tensor",
    "zeros",
    "zeros_like",
]
