"""Limiting gradients, and all parameters as one vector."""

import math
from collections.abc import Iterable
from typing import Any

from narae.base.errors import GraphError, ShapeError
from narae.base.notices import warn_user
from narae.tensors import Tensor, cat, no_grad, stack
from narae.tensors.creation import tensor


def _listed(tensors: Any) -> list[Any]:
    return [tensors] if isinstance(tensors, Tensor) else list(tensors)


def _grads(parameters: Any) -> list[Any]:
    return [x.grad for x in _listed(parameters) if x.grad is not None]


def get_total_norm(
    tensors: Any, norm_type: float = 2.0, error_if_nonfinite: bool = False, foreach: Any = None
) -> Tensor:
    """The norm of all tensors together, as if they were one vector."""
    tensors, norm_type = _listed(tensors), float(norm_type)
    if not tensors:
        return tensor(0.0)
    with no_grad():
        dtype = tensors[0].dtype
        norms = [x.norm(norm_type).to(dtype) for x in tensors]
        total = stack(norms).norm(norm_type)
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise GraphError(
            f"The total norm of order {norm_type} for gradients from `parameters` is non-finite, "
            "so it cannot be clipped. To disable this error and scale the gradients by the "
            "non-finite norm anyway, set `error_if_nonfinite=False`"
        )
    return total


def clip_grads_with_norm_(
    parameters: Any, max_norm: float, total_norm: Any, foreach: Any = None
) -> None:
    """Scale gradients by max_norm / (total_norm + 1e-6), if that is less than 1."""
    with no_grad():
        factor: Any = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for grad in _grads(parameters):
            grad.mul_(factor.to(grad.dtype))


def clip_grad_norm_(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Tensor:
    """Scale gradients down, in place, so that their total norm is at most `max_norm`.

    Args:
        parameters: a tensor or several
        max_norm: the largest norm
        norm_type: which norm; infinity for the largest element
        error_if_nonfinite: raise when the norm is NaN or infinite

    Returns:
        The total norm before.

    Source: Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural networks
    (2013), algorithm 1.
    """
    parameters = _listed(parameters)
    total = get_total_norm(_grads(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Any,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: Any = None,
) -> Tensor:
    """The older name of `clip_grad_norm_`."""
    warn_user(
        "`narae.nn.utils.clip_grad_norm` is now deprecated in favor of "
        "`narae.nn.utils.clip_grad_norm_`.",
        FutureWarning,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grad_value_(parameters: Any, clip_value: float, foreach: Any = None) -> None:
    """Limit every element of the gradients to ±clip_value, in place."""
    with no_grad():
        for grad in _grads(parameters):
            grad.clamp_(min=-float(clip_value), max=float(clip_value))


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, one after the other."""
    return cat([x.reshape(-1) for x in _listed(parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Write the elements of a vector into parameters, one after the other.

    Raises:
        RuntimeError: when the vector is shorter or longer than all parameters together.
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected Tensor, but got: {type(vec).__name__}")
    flat: Any = vec
    targets = _listed(parameters)
    count = sum(x.numel() for x in targets)
    if flat.numel() != count:
        raise ShapeError(f"the vector has {flat.numel()} elements, the parameters have {count}")
    place = 0
    with no_grad():
        for target in targets:
            size = target.numel()
            target.copy_(flat[place : place + size].reshape(target.shape))
            place += size


__all__ = [
    "clip_grad_norm",
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "get_total_norm",
    "parameters_to_vector",
    "vector_to_parameters",
]
