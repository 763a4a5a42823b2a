"""Derivatives by differences: slow and independent of every backward rule."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from narae.base.dtypes import is_floating
from narae.base.errors import DTypeError, GraphError, explain
from narae.base.upstairs import ask

Array = np.ndarray[Any, Any]


class Numbers(Protocol):
    """What comparing gradients asks of whoever has tensors."""

    def is_tensor(self, x: Any) -> bool:
        """Whether x is a tensor."""

    def array_of(self, x: Any) -> Array:
        """The numbers of a tensor, in its own memory."""

    def tensor_of(self, array: Array, requires_grad: bool = False) -> Any:
        """A tensor on this array."""

    def evaluate(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Call a function without recording gradients."""

    def grad(self, outputs: Any, inputs: Any, weights: Any, create_graph: bool) -> Any:
        """The gradients of outputs; None where an input is not used."""


def numbers() -> Numbers:
    """The floor of tensors."""
    return ask("autograd", "numbers")  # type: ignore[no-any-return]


def numerical_gradient(f: Callable[[Any], Any], x: Any, eps: float | None = None) -> Any:
    """Approximate the gradient of a function with one number as its result.

    grad[i] = (f(x + eps·e_i) − f(x − eps·e_i)) / (2·eps), where e_i is 1 at i and 0 elsewhere: two
    evaluations for each element of x, so this is for checking and not for training.

    Args:
        f: takes x, which is changed in place one element at a time and put back, and returns a
            single number (so `f` may also ignore its argument and read x where it belongs).
        x: a floating point tensor or array, any shape.
        eps: the step; the cube root of the dtype's precision by default (6e-6 for float64).

    Returns:
        The gradient: a tensor or array like x.

    Raises:
        TypeError: for integers.
        RuntimeError: when f returns more than one number.

    >>> import narae
    >>> x = narae.tensor([3.0, 4.0], dtype=narae.float64)
    >>> grad = numerical_gradient(lambda x: (x * x).sum(), x)
    >>> [round(slope, 6) for slope in grad.tolist()]
    [6.0, 8.0]
    """
    world = numbers()
    array = world.array_of(x) if world.is_tensor(x) else np.asarray(x)
    _check_floating(array)
    step = eps if eps is not None else float(np.cbrt(_precision(array)))
    grad = np.zeros_like(array, order="C")

    def value() -> float:
        result = world.evaluate(f, x)
        return _single(world.array_of(result) if world.is_tensor(result) else np.asarray(result))

    for index, (above, below) in differences(array, value, step):
        grad[index] = (above - below) / (2 * step)
    return world.tensor_of(grad) if world.is_tensor(x) else grad


def differences(
    array: Array, evaluate: Callable[[], Any], step: float
) -> Iterator[tuple[Any, tuple[Any, Any]]]:
    """For each index: what `evaluate()` gives with that element a step larger, and smaller."""
    for index in np.ndindex(array.shape):
        before = array[index]
        try:
            array[index] = before + step
            above = evaluate()
            array[index] = before - step
            below = evaluate()
        finally:
            array[index] = before
        yield index, (above, below)


def _single(result: Array) -> float:
    if result.size != 1:
        raise GraphError(
            explain(
                "numerical_gradient",
                f"f returned {result.size} numbers of shape {result.shape}",
                "a gradient belongs to a function with one number as its result",
                "reduce it with .sum(), or use gradcheck, which compares whole Jacobians",
            )
        )
    return float(result.reshape(())[()])


def _precision(array: Array) -> float:
    import ml_dtypes

    return float(ml_dtypes.finfo(array.dtype).eps)  # type: ignore[no-untyped-call]


def _check_floating(array: Array) -> None:
    if not is_floating(array.dtype):
        raise DTypeError(
            explain(
                "numerical_gradient",
                f"x is {array.dtype} {array.shape}",
                "differences need a floating point dtype",
                "convert it, with .double()",
            )
        )
