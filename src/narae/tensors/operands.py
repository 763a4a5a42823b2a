"""What functions do with arguments before they compute, and with `out=` after."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae.base.dtypes import as_numpy, category, default_dtype, is_floating, of_numpy, result_type
from narae.base.errors import DTypeError, GraphError, explain
from narae.ir import Value

from .creation import constant
from .eager import apply, as_operand, converted
from .tensor import Tensor

NUMBERS = (bool, int, float)
OPERATOR_KINDS = (Tensor, bool, int, float, np.ndarray, np.generic)


def require_tensor(input: Any, name: str) -> Tensor:
    """The argument itself.

    Raises:
        TypeError: when it is not a tensor.
    """
    if isinstance(input, Tensor):
        return input
    raise TypeError(
        f"{name}(): argument 'input' (position 1) must be Tensor, not {type(input).__name__}"
    )


def require_tensors(
    name: str, input: Any, other: Any, number_first: bool, number_second: bool
) -> None:
    """Refuse numbers where a function wants tensors; two numbers are always refused.

    Raises:
        TypeError: naming the argument.
    """
    first, second = isinstance(input, NUMBERS), isinstance(other, NUMBERS)
    if first and (second or not number_first):
        require_tensor(input, name)
    if second and not number_second:
        raise TypeError(
            f"{name}(): argument 'other' (position 2) must be Tensor, not {type(other).__name__}"
        )


def as_float(x: Tensor) -> Tensor:
    """A floating point tensor: integers and bools become the default dtype."""
    dtype = x._value.dtype
    return x if is_floating(dtype) else converted(x, default_dtype())


def as_dtype(x: Tensor, dtype: Any) -> Tensor:
    """The tensor in that dtype; itself when the dtype is None or its own."""
    return x if dtype is None else converted(x, as_numpy(dtype))


def payload(operand: Any) -> Any:
    """What promotion looks at: the payload of a tensor; a number for a number of the host."""
    if isinstance(operand, Tensor):
        return 1.0 if operand._weak else operand._value
    return operand


def common(name: str, *operands: Any, floating: bool = False) -> list[Any]:
    """All operands in their common dtype; None stays None, numbers stay numbers.

    Args:
        name: of the function, for messages.
        floating: integers become the default floating point dtype.
    """
    checked = [None if x is None else as_operand(x, name) for x in operands]
    dtype = result_type([payload(x) for x in checked if x is not None])
    if floating and not is_floating(dtype):
        dtype = default_dtype()
    ready = [None if x is None else converted(x, dtype) for x in checked]
    if not any(isinstance(x, Tensor) for x in ready):
        ready[0] = constant(np.asarray(ready[0], dtype))
    return ready


def apply_common(operation: Any, *operands: Any, floating: bool = False, **attrs: Any) -> Any:
    """Apply an operation to operands in their common dtype."""
    return apply(operation, *common(operation.name, *operands, floating=floating), **attrs)


def numbers(x: Any) -> Any:
    """The array of a tensor; None while it is symbolic."""
    value = x._value if isinstance(x, Tensor) else x
    return None if type(value) is Value else value


def dtype_name(dtype: Any) -> str:
    """PyTorch's name of a dtype in messages, such as "Float" or "Long"."""
    names = {
        "float32": "Float",
        "float64": "Double",
        "float16": "Half",
        "bfloat16": "BFloat16",
        "int64": "Long",
        "int32": "Int",
        "int16": "Short",
        "int8": "Char",
        "uint8": "Byte",
        "bool": "Bool",
    }
    name = of_numpy(dtype).name
    return names.get(name, name)


def check_castable(found: Any, wanted: Any, name: str) -> None:
    """Refuse to store floats in integers, or numbers in bools, in place.

    Raises:
        RuntimeError: naming both dtypes.
    """
    if category(found) > category(wanted):
        raise DTypeError(
            f"[{name}] result type {dtype_name(found)} can't be cast to the desired output type "
            f"{dtype_name(wanted)}. Fix: convert the tensor first, or use the form that is not in "
            "place"
        )


def refuse_dtype(name: str, x: Tensor, rule: str) -> DTypeError:
    """The error for a dtype that a function does not take."""
    return DTypeError(
        explain(name, f"\"{name}\" not implemented for '{dtype_name(x._value.dtype)}'", rule)
    )


def refuse_overlap(out: Tensor, name: str, *inputs: Any) -> None:
    """Refuse to write a result over what it was computed from.

    Raises:
        RuntimeError: when `out` is one of the inputs or shares memory with one.
    """
    for x in inputs:
        if x is out or (isinstance(x, Tensor) and _share_memory(numbers(x), numbers(out))):
            raise GraphError(
                explain(
                    name,
                    f"out= {tuple(out.shape)} shares memory with an input {tuple(x.shape)}",
                    "unsupported operation: some elements of the input tensor and the written-to "
                    "tensor refer to a single memory location",
                    "clone() the input, or leave out= away",
                )
            )


_LIMIT: Any = 1000  # steps of NumPy's search, which takes long for strange strides


def _share_memory(first: Any, second: Any) -> bool:
    if first is None or second is None or not np.may_share_memory(first, second):
        return False
    try:
        return bool(np.shares_memory(first, second, max_work=_LIMIT))
    except np.exceptions.TooHardError:
        return False  # as in PyTorch, what takes long to find out is let through


def deliver(result: Tensor, out: Tensor | None, name: str) -> Tensor:
    """Write a result into `out`, resized to fit; the result itself when `out` is None."""
    if out is None:
        return result
    from .views import write

    if out.requires_grad or result.requires_grad:
        raise GraphError(
            f"{name}(): functions with out=... arguments don't support automatic differentiation, "
            "but one of the arguments requires grad. Fix: leave out= away"
        )
    check_castable(result._value.dtype, out._value.dtype, name)
    if out.shape != result.shape:
        out._log()
        out._value = np.empty(result.shape, out._value.dtype)
    return write(out, result, name)


def operator(function: Callable[[Any, Any], Any], reflected: bool = False) -> Callable[..., Any]:
    """A method such as `__add__` that leaves operands it does not know to the other side."""

    def forward(self: Tensor, other: Any) -> Any:
        return function(self, other) if isinstance(other, OPERATOR_KINDS) else NotImplemented

    def backward(self: Tensor, other: Any) -> Any:
        return function(other, self) if isinstance(other, OPERATOR_KINDS) else NotImplemented

    return backward if reflected else forward
