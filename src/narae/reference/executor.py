"""Running primitives and programs on NumPy arrays.

float16 and bfloat16 are computed in float32 and rounded once for each primitive.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BFLOAT16, FLOAT32, is_half
from narae.base.errors import NotSupportedError, explain
from narae.ir import Program, Value, evaluate
from narae.ir.executor import Array, Report, Update
from narae.primitives import Composite

from . import (
    composites,
    convolution,
    elementwise,
    indexing,
    linear_algebra,
    movement,
    ordering,
    philox,
    pooling,
    reductions,
    special_functions,
)
from .control import call, scan


def _index_add(x: Array, index: Array, src: Array, *, dim: int) -> Array:
    return x + indexing.take_grad(src, index, dim=dim, x_shape=x.shape)


LOWERINGS: dict[Any, Callable[..., Any]] = {
    **elementwise.LOWERINGS,
    **movement.LOWERINGS,
    **reductions.LOWERINGS,
    **composites.LOWERINGS,
    **linear_algebra.LOWERINGS,
    **special_functions.LOWERINGS,
    p.matmul: np.matmul,
    p.conv: convolution.conv,
    p.conv_grad_x: convolution.conv_grad_x,
    p.conv_grad_w: convolution.conv_grad_w,
    p.max_pool: pooling.max_pool,
    p.max_pool_grad: pooling.max_pool_grad,
    p.window_sum: pooling.window_sum,
    p.window_sum_grad: pooling.window_sum_grad,
    p.take: indexing.take,
    p.index_add: _index_add,
    p.gather: indexing.gather,
    p.scatter: indexing.scatter,
    p.scatter_add: indexing.scatter_add,
    p.sort: ordering.sort,
    p.topk: ordering.topk,
    p.cummax: ordering.cummax,
    p.cummin: ordering.cummin,
    p.random_bits: philox.random_bits,
    p.call: call,
    p.scan: scan,
}
_EXACT_KINDS = {"movement", "generator", "control", "ordering"}
_EXACT = {p.cast, p.copy, p.detach, p.take, p.gather, p.scatter, p.nextafter}


_HALVES = np.dtype(np.float16).char + BFLOAT16.char  # the quickest way to ask
ndarray = np.ndarray


def execute(operation: Any, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """One operation on arrays; results are arrays, never NumPy scalars."""
    lowering = LOWERINGS.get(operation)
    if lowering is None:
        if not isinstance(operation, Composite):
            raise NotSupportedError(
                explain("reference", f"{operation.name} has no lowering", "it cannot run here")
            )
        lowering = operation.decompose
    for operand in operands:
        if operand.__class__ is ndarray and operand.dtype.char in _HALVES:
            return _execute_half(operation, lowering, operands, attrs, operand.dtype)
    result = lowering(*operands, **attrs)
    return result if result.__class__ is ndarray else as_arrays(result)


def as_arrays(result: Any) -> Any:
    """NumPy gives scalars for 0-d results; make them arrays again."""
    if type(result) is np.ndarray:
        return result
    if isinstance(result, (tuple, list)):
        return tuple([x if x.__class__ is ndarray else np.asarray(x) for x in result])
    return np.asarray(result)


def _execute_half(
    operation: Any, lowering: Any, operands: Sequence[Any], attrs: dict[str, Any], dtype: Any
) -> Any:
    """Compute in float32, round once."""
    moves_only = (
        operation.kind in _EXACT_KINDS or operation in _EXACT or operation.unview is not None
    )
    if moves_only and operation is not p.fold_windows:
        return as_arrays(lowering(*operands, **attrs))
    result = as_arrays(lowering(*(_widen(operand) for operand in operands), **attrs))
    if isinstance(result, tuple):
        return tuple(_narrow(item, dtype) for item in result)
    return _narrow(result, dtype)


def _widen(operand: Any) -> Any:
    if type(operand) is np.ndarray and is_half(operand.dtype):
        return operand.astype(FLOAT32)
    return operand


def _narrow(result: Array, dtype: Any) -> Array:
    return result.astype(dtype) if result.dtype == FLOAT32 else result


_PLAIN: list[np.dtype[Any]] = [np.dtype(name) for name in ("float32", "float64")]
_PLAIN_INTEGERS: list[np.dtype[Any]] = [
    np.dtype(name) for name in ("int64", "int32", "uint8", "int16", "int8")
]
_INTEGER_OPERATIONS = {p.add, p.sub, p.mul, p.neg, p.eq, p.ne, p.lt, p.le, p.maximum, p.minimum}


def lowered(operation: Any) -> dict[Any, Callable[..., Any]]:
    """The NumPy functions that can be called directly, by dtype of the operands."""
    function = LOWERINGS[operation]
    dtypes = list(_PLAIN)
    if operation in _INTEGER_OPERATIONS:
        dtypes += _PLAIN_INTEGERS
    return dict.fromkeys(dtypes, function)


class ReferenceRunner:
    """Interprets a program; what updates an input is kept until `write`."""

    def __init__(self, program: Program, updates: Sequence[Update]) -> None:
        self._program, self._updates = program, tuple(updates)
        self._pending: list[tuple[Array, Array]] = []

    def __call__(self, inputs: Sequence[Array]) -> list[Any]:
        """The outputs; None for those that update an input."""
        known = {id(array) for array in inputs}
        results = zip(self._program.outputs, evaluate(self._program, inputs), strict=True)
        outputs: list[Any] = [_owned(source, result, inputs, known) for source, result in results]
        self._pending = [(inputs[place], outputs[output]) for output, place in self._updates]
        for output, _ in self._updates:
            outputs[output] = None
        return outputs

    def write(self) -> None:
        """Copy the new contents."""
        for target, new in self._pending:
            np.copyto(target, new)
        self._pending = []

    def report(self) -> Report:
        """The listing: each of its lines is one call of NumPy, or a few."""
        facts = {"operations": len(self._program.nodes), "updates": len(self._updates)}
        return Report(str(self._program), facts)


class ReferenceExecutor:
    """Runs a program node by node, each exactly as eager mode does."""

    name = "reference"

    def compile(self, program: Program, updates: Sequence[Update] = ()) -> ReferenceRunner:
        """An interpreter of the program."""
        return ReferenceRunner(program, updates)

    def unsupported(self, operation: Any) -> str | None:
        """Everything has a lowering or a decomposition."""
        if operation in LOWERINGS or isinstance(operation, Composite):
            return None
        return f"{operation.name} has no NumPy lowering"


def _owned(source: Any, result: Any, inputs: Sequence[Array], known: set[int]) -> Array:
    """Outputs are fresh: what is a constant, or shares memory with an input, is copied."""
    array: Array = np.asarray(result)
    if type(source) is Value and array.base is None and id(array) not in known:
        return array  # made just now, on memory of its own
    shared = array is result and type(source) is not Value
    if shared or any(np.may_share_memory(array, argument) for argument in inputs):
        return array.copy()
    return array
