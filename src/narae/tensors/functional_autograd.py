"""Jacobians, Hessians, and their products with vectors, of functions of tensors."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae.base.errors import GraphError, ShapeError, explain
from narae.primitives import concat, reshape
from narae.primitives.elementwise import copy as copy_primitive

from .backward import grad
from .creation import constant, zeros_like
from .modes import enable_grad
from .tensor import Tensor

Tensors = tuple[Tensor, ...]


# --- before and after -----------------------------------------------------------------------


def _as_tuple(items: Any, what: str, function: str) -> Tensors:
    found = tuple(items) if isinstance(items, (tuple, list)) else (items,)
    for place, item in enumerate(found):
        if not isinstance(item, Tensor):
            raise TypeError(
                f"[{function}] The {what} given to {function} must be either a Tensor or a tuple "
                f"of Tensors but the value at index {place} has type {type(item).__name__}"
            )
    return found


def _prepared(inputs: Tensors, create_graph: bool) -> Tensors:
    """Inputs that require gradients: connected to the originals only where that is wanted."""
    prepared = []
    for x in inputs:
        if create_graph and x.requires_grad:
            prepared.append(copy_primitive(x))
        else:
            fresh = x.detach()
            prepared.append(fresh.requires_grad_())
    return tuple(prepared)


def _called(
    func: Callable[..., Any], inputs: Any, create_graph: bool, function: str
) -> tuple[Tensors, Tensors, bool]:
    """The prepared inputs, the outputs, and whether there was a tuple of outputs."""
    prepared = _prepared(_as_tuple(inputs, "inputs", function), create_graph)
    result = func(*prepared)
    outputs = _as_tuple(result, "outputs of the user-provided function", function)
    return prepared, outputs, isinstance(result, (tuple, list))


def _vector(v: Any, like: Tensors, what: str, function: str) -> Tensors:
    """The given vector; 1 where it was left out and there is a single element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise GraphError(
                f"[{function}] The vector v can only be None if the {what} is a single Tensor with "
                "a single element"
            )
        return (constant(np.ones(tuple(like[0].shape), like[0]._value.dtype)),)
    vectors = _as_tuple(v, "v", function)
    if len(vectors) != len(like):
        raise GraphError(f"[{function}] v has {len(vectors)} tensors, the {what} has {len(like)}")
    for place, (vector, x) in enumerate(zip(vectors, like, strict=True)):
        if vector.shape != x.shape:
            raise ShapeError(
                explain(
                    function,
                    f"v[{place}] is {tuple(vector.shape)}, its {what} {tuple(x.shape)}",
                    "they must have the same size",
                )
            )
    return vectors


def _grads(
    outputs: Sequence[Tensor],
    inputs: Tensors,
    weights: Sequence[Any] | None,
    create_graph: bool,
    strict: str = "",
) -> Tensors:
    """Gradients, zeros where there is no dependence; with `strict` an error that says so."""
    pairs = list(zip(outputs, weights or [None] * len(outputs), strict=True))
    connected = [(out, weight) for out, weight in pairs if out.requires_grad]
    if strict and len(connected) != len(pairs):
        raise GraphError(
            f"[{strict}] an output of the user-provided function is independent of "
            "all inputs. This is not allowed in strict mode."
        )
    if not connected:
        return tuple(zeros_like(x) for x in inputs)
    found = grad(
        [out for out, _ in connected],
        inputs,
        [weight for _, weight in connected],
        retain_graph=True,
        create_graph=create_graph,
        allow_unused=True,
    )
    if strict and any(slope is None for slope in found):
        raise GraphError(
            f"[{strict}] the outputs are independent of an input. This is not allowed "
            "in strict mode."
        )
    return tuple(
        zeros_like(x) if slope is None else slope for x, slope in zip(inputs, found, strict=True)
    )


def _finished(results: Tensors, create_graph: bool) -> Tensors:
    if create_graph:
        return results
    return tuple(x.detach() for x in results)


def _shaped(results: Tensors, several: bool) -> Any:
    return results if several else results[0]


def _is_several(items: Any) -> bool:
    return isinstance(items, (tuple, list))


# --- Jacobian and Hessian -------------------------------------------------------------------


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """All derivatives of all outputs: J[i, j] = ∂out[i] / ∂x[j], where i and j are indices.

    Args:
        func: takes the inputs, returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        create_graph: make the Jacobian differentiable.
        strict: raise when an output does not depend on an input, instead of giving zeros.
        vectorize: accepted for PyTorch's sake; rows are computed one by one.
        strategy: likewise; the result is the same.

    Returns:
        A tensor of shape (*output shape, *input shape); a tuple over inputs, or over outputs, or
        a tuple of tuples (outputs first) when there are several.

    >>> import narae
    >>> jacobian(lambda x: x * x, narae.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    name = "jacobian" if strict else ""
    with enable_grad():
        prepared, outputs, several_out = _called(func, inputs, create_graph, "jacobian")
        rows = [_jacobian_of(out, prepared, create_graph, name) for out in outputs]
    found = [_finished(row, create_graph) for row in rows]
    shaped = tuple(_shaped(row, _is_several(inputs)) for row in found)
    return _shaped(shaped, several_out)


def _jacobian_of(out: Tensor, inputs: Tensors, create_graph: bool, strict: str) -> Tensors:
    """The Jacobian of one output with respect to each input, row by row."""
    size, shape = out.numel(), tuple(out.shape)
    rows = []
    for place in range(size):
        weight = np.zeros(size, out._value.dtype)
        weight[place] = 1
        rows.append(_grads([out], inputs, [constant(weight.reshape(shape))], create_graph, strict))
    return tuple(_stacked([row[index] for row in rows], shape, x) for index, x in enumerate(inputs))


def _stacked(rows: list[Tensor], out_shape: tuple[int, ...], x: Tensor) -> Tensor:
    """Rows, each of the shape of x, as (*out_shape, *x.shape)."""
    wanted = (*out_shape, *x.shape)
    if not rows:
        return constant(np.zeros(wanted, x._value.dtype))
    parts = [reshape(row, shape=(1, *row.shape)) for row in rows]
    joined = concat(*parts, dim=0)  # (outputs, *x.shape)
    return reshape(joined, shape=wanted)  # type: ignore[no-any-return]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """All second derivatives of a function with one number as its result: H = ∂²f / ∂x∂x.

    Args:
        func: takes the inputs, returns a tensor with a single element.
        inputs: a tensor or a tuple of tensors.
        create_graph: make the Hessian differentiable.
        strict: raise when the result does not depend on an input, instead of giving zeros.
        vectorize: accepted for PyTorch's sake.
        outer_jacobian_strategy: likewise.

    Returns:
        A tensor of shape (*input shape, *input shape), or a tuple of tuples for several inputs.

    >>> import narae
    >>> hessian(lambda x: (x * x * x).sum(), narae.tensor([1.0, 2.0]))
    tensor([[ 6.,  0.],
            [ 0., 12.]])
    """
    given = _as_tuple(inputs, "inputs", "hessian")

    def gradient(*values: Tensor) -> Tensors:
        out = _single(func(*values), "hessian")
        return _grads([out], values, None, True, "hessian" if strict else "")

    found = jacobian(gradient, given, create_graph=create_graph, strict=strict)
    return found if _is_several(inputs) else found[0][0]


def _single(result: Any, function: str) -> Tensor:
    if isinstance(result, (tuple, list)) and len(result) == 1:
        (result,) = result
    if not isinstance(result, Tensor) or result.numel() != 1:
        given = tuple(result.shape) if isinstance(result, Tensor) else type(result).__name__
        raise GraphError(
            f"[{function}] The Tensor returned by the function given to {function} should contain "
            f"a single element; it is {given}"
        )
    return result


# --- products with vectors ------------------------------------------------------------------


def vjp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and vᵀJ: one backward pass.

    Args:
        func: takes the inputs, returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: of the outputs' shapes; may be left out for a single element.
        create_graph: make both results differentiable.
        strict: raise when something does not depend on an input, instead of giving zeros.

    >>> import narae
    >>> x = narae.tensor([1.0, 2.0])
    >>> vjp(lambda x: x * x, x, narae.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    with enable_grad():
        prepared, outputs, several = _called(func, inputs, create_graph, "vjp")
        weights = _vector(v, outputs, "output", "vjp")
        found = _grads(outputs, prepared, weights, create_graph, "vjp" if strict else "")
    return (
        _shaped(_finished(outputs, create_graph), several),
        _shaped(_finished(found, create_graph), _is_several(inputs)),
    )


def jvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The outputs, and Jv, the derivative along a direction: by backward of backward.

    uᵀJ is linear in u; its own vector-Jacobian product with v is Jv, whatever u is.

    Args:
        func: takes the inputs, returns a tensor or a tuple of tensors.
        inputs: a tensor or a tuple of tensors.
        v: the direction, of the inputs' shapes; may be left out for a single element.
        create_graph: make both results differentiable.
        strict: raise when something does not depend on an input, instead of giving zeros.

    >>> import narae
    >>> x = narae.tensor([1.0, 2.0])
    >>> jvp(lambda x: x * x, x, narae.tensor([1.0, 10.0]))
    (tensor([1., 4.]), tensor([ 2., 40.]))
    """
    name = "jvp" if strict else ""
    with enable_grad():
        prepared, outputs, several = _called(func, inputs, create_graph, "jvp")
        directions = _vector(v, prepared, "input", "jvp")
        anything = tuple(zeros_like(out).requires_grad_() for out in outputs)
        backward = _grads(outputs, prepared, anything, True, name)
        found = _grads(backward, anything, directions, create_graph, name)
    return (
        _shaped(_finished(outputs, create_graph), several),
        _shaped(_finished(found, create_graph), several),
    )


def vhp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of a function, and vᵀH: backward of the gradient weighted with v.

    Args:
        func: takes the inputs, returns a tensor with a single element.
        inputs: a tensor or a tuple of tensors.
        v: of the inputs' shapes; may be left out for a single element.
        create_graph: make both results differentiable.
        strict: raise when something does not depend on an input, instead of giving zeros.

    >>> import narae
    >>> x = narae.tensor([1.0, 2.0])
    >>> vhp(lambda x: (x * x * x).sum(), x, narae.ones(2))
    (tensor(9.), tensor([ 6., 12.]))
    """
    name = "vhp" if strict else ""
    with enable_grad():
        prepared, outputs, _ = _called(func, inputs, create_graph, "vhp")
        out = _single(outputs, "vhp")
        vectors = _vector(v, prepared, "input", "vhp")
        slopes = _grads([out], prepared, None, True, name)
        found = _grads(slopes, prepared, vectors, create_graph, name)
    return (
        _finished((out,), create_graph)[0],
        _shaped(_finished(found, create_graph), _is_several(inputs)),
    )


def hvp(
    func: Callable[..., Any],
    inputs: Any,
    v: Any = None,
    create_graph: bool = False,
    strict: bool = False,
) -> tuple[Any, Any]:
    """The value of a function, and Hv; the same numbers as `vhp`, since H is symmetric.

    Args:
        func: takes the inputs, returns a tensor with a single element.
        inputs: a tensor or a tuple of tensors.
        v: of the inputs' shapes; may be left out for a single element.
        create_graph: make both results differentiable.
        strict: raise when something does not depend on an input, instead of giving zeros.
    """
    return vhp(func, inputs, v, create_graph, strict)
