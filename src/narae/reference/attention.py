"""Attention in NumPy: nothing larger than one matrix of scores is made, forward and backward."""

from collections.abc import Callable
from typing import Any

import numpy as np

from narae import primitives as p

Array = Any
_largest: Any = np.maximum.reduce
_total: Any = np.add.reduce


def attention(
    q: Array,
    k: Array,
    v: Array,
    mask: Array | None,
    keep: Array | None,
    *,
    scale: float,
    causal: bool,
    keep_scale: float,
) -> tuple[Array, Array]:
    """softmax(scale * q kᵀ + mask) v, and the weights before dropout."""
    scores = np.matmul(q * q.dtype.type(scale), np.swapaxes(k, -1, -2))  # (.., queries, keys)
    if causal:
        earlier: Array = np.tri(*scores.shape[-2:])
        np.copyto(scores, -np.inf, where=earlier == 0)
    if mask is not None:
        scores = _masked(scores, mask)
    weights = _softmax(scores)
    return np.matmul(_dropped(weights, keep, keep_scale), v), weights


def _masked(scores: Array, mask: Array) -> Array:
    """Bool: True may be looked at; numbers are added."""
    if mask.dtype == bool:
        np.copyto(scores, -np.inf, where=~mask)
    else:
        scores += mask
    return scores


def _softmax(scores: Array) -> Array:
    """In place; zeros where every score is -inf."""
    if scores.shape[-1] == 0:
        return scores
    largest = _largest(scores, -1, None, None, True)
    hidden = largest == -np.inf
    largest[hidden] = 0
    scores -= largest
    np.exp(scores, out=scores)
    total = _total(scores, -1, None, None, True)
    total[hidden] = 1
    scores /= total
    return scores


def _dropped(weights: Array, keep: Array | None, keep_scale: float) -> Array:
    if keep is None:
        return weights
    noise = keep.astype(weights.dtype)
    noise *= weights.dtype.type(keep_scale)
    noise *= weights
    return noise


def attention_grad(
    grad: Array,
    q: Array,
    k: Array,
    v: Array,
    weights: Array,
    keep: Array | None,
    *,
    scale: float,
    keep_scale: float,
) -> tuple[Array, Array, Array, Array]:
    """Gradients of q, k and v, and of the scores after the mask."""
    kept = _dropped(weights, keep, keep_scale)
    grad_v = np.matmul(np.swapaxes(kept, -1, -2), grad)
    scores = np.matmul(grad, np.swapaxes(v, -1, -2))  # gradients of the kept weights, to begin with
    scores *= kept
    scores -= weights * _total(scores, -1, None, None, True)
    grad_q = np.matmul(scores, k)
    grad_q *= q.dtype.type(scale)
    grad_k = np.matmul(np.swapaxes(scores, -1, -2), q)
    grad_k *= q.dtype.type(scale)
    return grad_q, grad_k, grad_v, scores


LOWERINGS: dict[Any, Callable[..., Any]] = {
    p.attention: attention,
    p.attention_grad: attention_grad,
}
