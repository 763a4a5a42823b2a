"""Comparing the gradients of backward with differences, element by element or by projection."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae.base.errors import DTypeError, GraphError, explain

from .numerical import Array, Numbers, differences, numbers


class GradcheckError(GraphError):
    """Numerical and analytical derivatives differ."""


@dataclass(frozen=True)
class _Tolerance:
    """The step of the differences, and how far numbers may lie apart: atol + rtol·|numerical|."""

    eps: float
    atol: float
    rtol: float
    nondet: float


def gradcheck(
    func: Callable[..., Any],
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Check the gradients of a function against central differences.

    Every element of the Jacobian ∂out[i]/∂x[j] of every floating point output with respect to every
    input that requires gradients is compared. With `fast_mode`, a random number uᵀJv is compared
    instead, which takes two evaluations for each input, whatever its size.

    Args:
        func: takes the inputs and returns a tensor or several.
        inputs: a tensor or several; those that require gradients must be float64.
        eps: the step of the differences.
        atol: allowed absolute difference.
        rtol: allowed difference relative to the numerical derivative.
        raise_exception: raise when they differ, instead of returning False.
        nondet_tol: allowed difference between two runs of backward.
        fast_mode: compare random projections.

    Raises:
        RuntimeError: (GradcheckError) naming output, input, index and both numbers.
        TypeError: for inputs that are not float64.

    >>> import narae
    >>> x = narae.tensor([0.5, 2.0], dtype=narae.float64, requires_grad=True)
    >>> gradcheck(lambda x: x * x, x)
    True
    """
    world = numbers()
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    checked = _checked_inputs(world, arguments)
    tolerance = _Tolerance(eps, atol, rtol, nondet_tol)
    try:
        results = _floating_outputs(world, func(*arguments))
        _check_same_when_repeated(world, results, [arguments[i] for i in checked], tolerance)
        compare = _compare_projection if fast_mode else _compare_jacobian
        for place in range(len(results)):
            for index in checked:
                compare(world, func, arguments, index, place, tolerance)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Callable[..., Any],
    inputs: Any,
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    fast_mode: bool = False,
) -> bool:
    """Check second derivatives: `gradcheck` of the gradients themselves.

    Args:
        func: as in `gradcheck`.
        inputs: as in `gradcheck`.
        grad_outputs: the gradients of the outputs that backward starts from; random by default.
        eps: as in `gradcheck`, like all that follows.
        atol: see there.
        rtol: see there.
        raise_exception: see there.
        nondet_tol: see there.
        fast_mode: see there.

    >>> import narae
    >>> x = narae.tensor([0.5, 2.0], dtype=narae.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: x * x * x, x)
    True
    """
    world = numbers()
    arguments = tuple(inputs) if isinstance(inputs, (tuple, list)) else (inputs,)
    checked = _checked_inputs(world, arguments)
    outputs = _floating_outputs(world, func(*arguments))
    weights = _starting_grads(world, outputs, grad_outputs)

    def gradients(*values: Any) -> tuple[Any, ...]:
        given = values[: len(arguments)]
        results = _floating_outputs(world, func(*given))
        chosen = [given[index] for index in checked]
        found = world.grad(results, chosen, values[len(arguments) :], True)
        return tuple(grad for grad in found if grad is not None)

    return gradcheck(
        gradients,
        (*arguments, *weights),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        fast_mode=fast_mode,
    )


def _starting_grads(world: Numbers, outputs: Sequence[Any], given: Any) -> Sequence[Any]:
    if given is not None:
        return tuple(given) if isinstance(given, (tuple, list)) else (given,)
    random = np.random.default_rng(0)
    return [
        world.tensor_of(_normal(random, world.array_of(out).shape), requires_grad=True)
        for out in outputs
    ]


def _normal(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return np.asarray(random.standard_normal(shape))


# --- what is compared -----------------------------------------------------------------------


def _checked_inputs(world: Numbers, arguments: Sequence[Any]) -> list[int]:
    """The places of the inputs that require gradients."""
    places = [place for place, x in enumerate(arguments) if world.is_tensor(x) and x.requires_grad]
    if not places:
        raise GraphError(
            "[gradcheck] expects at least one input tensor to require gradient. Fix: "
            "narae.tensor(..., dtype=narae.float64, requires_grad=True)"
        )
    for place in places:
        array = world.array_of(arguments[place])
        _check_input(array, place)
    return places


def _check_input(array: Array, place: int) -> None:
    if array.dtype != np.float64:
        raise DTypeError(
            explain(
                "gradcheck",
                f"input {place} is {array.dtype} {array.shape}",
                "differences need the precision of float64",
                "pass it as x.double()",
            )
        )
    repeated = zip(array.strides, array.shape, strict=True)
    if array.size and any(stride == 0 and size > 1 for stride, size in repeated):
        raise GraphError(
            explain(
                "gradcheck",
                f"input {place} is an expanded tensor {array.shape}",
                "each element needs memory of its own to be changed alone",
                "pass x.contiguous()",
            )
        )


def _as_tuple(result: Any) -> tuple[Any, ...]:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def _floating_outputs(world: Numbers, result: Any) -> list[Any]:
    """The outputs that depend on something that requires gradients."""
    outputs = [out for out in _as_tuple(result) if world.is_tensor(out) and out.requires_grad]
    if not outputs:
        raise GradcheckError(
            "[gradcheck] no output requires gradients. Fix: does func detach its inputs, or read "
            "them as numbers?"
        )
    return outputs


def _check_same_when_repeated(
    world: Numbers, outputs: Sequence[Any], inputs: Sequence[Any], tolerance: _Tolerance
) -> None:
    """Backward twice over one tape must give the same numbers."""
    weights = [np.ones(world.array_of(out).shape) for out in outputs]
    runs = [
        world.grad(outputs, inputs, [world.tensor_of(weight) for weight in weights], False)
        for _ in range(2)
    ]
    for place, (first, second) in enumerate(zip(*runs, strict=True)):
        if first is None or second is None:
            continue
        apart = np.abs(world.array_of(first) - world.array_of(second))
        if apart.size and apart.max() > tolerance.nondet:
            raise GradcheckError(
                "[gradcheck] Backward is not reentrant, i.e., running backward with same input and "
                f"grad_output multiple times gives different values: input {place} differs by "
                f"{apart.max():.3g}"
            )


def _analytical(world: Numbers, out: Any, x: Any, weight: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of one output, weighted, with respect to one input."""
    (grad,) = world.grad([out], [x], [world.tensor_of(weight)], False)
    if grad is None:
        return np.zeros(shape)
    found = world.array_of(grad)
    if found.shape != shape:
        raise GradcheckError(f"[gradcheck] the gradient is {found.shape}, its input {shape}")
    return found


def _compare_jacobian(
    world: Numbers,
    func: Callable[..., Any],
    arguments: Sequence[Any],
    index: int,
    place: int,
    tolerance: _Tolerance,
) -> None:
    x = arguments[index]
    array = world.array_of(x)
    out = _floating_outputs(world, func(*arguments))[place]
    out_shape = world.array_of(out).shape
    analytical = np.zeros((*out_shape, *array.shape))
    for position in np.ndindex(out_shape):
        weight = np.zeros(out_shape)
        weight[position] = 1.0
        analytical[position] = _analytical(world, out, x, weight, array.shape)
    numerical = _numerical_jacobian(world, func, arguments, array, place, out_shape, tolerance.eps)
    _compare(numerical, analytical, len(out_shape), place, index, tolerance)


def _numerical_jacobian(
    world: Numbers,
    func: Callable[..., Any],
    arguments: Sequence[Any],
    array: Array,
    place: int,
    out_shape: tuple[int, ...],
    eps: float,
) -> Array:
    keep = _places_of_outputs(world, func(*arguments))

    def evaluate() -> Array:
        result = _as_tuple(func(*arguments))[keep[place]]
        return np.array(world.array_of(result), np.float64)

    jacobian = np.zeros((*out_shape, *array.shape))
    for position, (above, below) in differences(array, evaluate, eps):
        jacobian[(..., *position)] = (above - below) / (2 * eps)
    return jacobian


def _places_of_outputs(world: Numbers, result: Any) -> list[int]:
    """Where the outputs that require gradients stand among all results."""
    return [
        place
        for place, out in enumerate(_as_tuple(result))
        if world.is_tensor(out) and out.requires_grad
    ]


def _compare_projection(
    world: Numbers,
    func: Callable[..., Any],
    arguments: Sequence[Any],
    index: int,
    place: int,
    tolerance: _Tolerance,
) -> None:
    """Compare uᵀJv for random u and v: a wrong Jacobian gives the same number almost never."""
    random = np.random.default_rng([index, place])
    x = arguments[index]
    array = world.array_of(x)
    result = func(*arguments)
    keep = _places_of_outputs(world, result)
    out = _as_tuple(result)[keep[place]]
    weight = _normal(random, world.array_of(out).shape)
    direction = _normal(random, array.shape)

    def evaluate() -> Array:
        return world.array_of(_as_tuple(func(*arguments))[keep[place]])

    above, below = _along(array, direction, evaluate, tolerance.eps)
    numerical = np.asarray(np.sum(weight * (above - below)) / (2 * tolerance.eps))
    slope = _analytical(world, out, x, weight, array.shape)
    _compare(numerical, np.asarray(np.sum(slope * direction)), 0, place, index, tolerance)


def _along(
    array: Array, direction: Array, evaluate: Callable[[], Array], step: float
) -> tuple[Array, Array]:
    """Results a step forward and a step backward along a direction."""
    before = array.copy()
    try:
        array[...] = before + step * direction
        above = evaluate().copy()
        array[...] = before - step * direction
        below = evaluate().copy()
    finally:
        array[...] = before
    return above, below


def _compare(
    numerical: Array, analytical: Array, rank: int, place: int, index: int, tolerance: _Tolerance
) -> None:
    allowed = tolerance.atol + tolerance.rtol * np.abs(numerical)
    close = np.abs(numerical - analytical) <= allowed
    close |= np.isnan(numerical) & np.isnan(analytical)
    if np.all(close):
        return
    worst = np.where(close, 0.0, np.nan_to_num(np.abs(numerical - analytical), nan=np.inf))
    position = np.unravel_index(int(np.argmax(worst)), worst.shape)
    where = tuple(int(i) for i in position)
    element = (
        f"at index {where[:rank]} of the output and index {where[rank:]} of the input"
        if where or rank
        else "along a random direction"
    )
    raise GradcheckError(
        f"[gradcheck] Jacobian mismatch for output {place} with respect to input {index}: {element}"
        f" the numerical derivative is {numerical[position]:.8g}, the analytical "
        f"{analytical[position]:.8g}; {int((~close).sum())} of {close.size} differ by more than "
        f"{tolerance.atol:g} + {tolerance.rtol:g}·|numerical|. Fix: the backward rule of func, or, "
        "near a kink, another input"
    )
