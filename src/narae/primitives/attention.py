"""Attention: every query looks at all keys and takes a weighted mean of their values.

    scores  = scale * query keyᵀ                 (.., queries, keys)
    weights = softmax(scores + mask)             a row that the mask hides entirely is 0
    out     = (weights * keep * keep_scale) value

With g = (grad valueᵀ) * keep * keep_scale, the gradient of the weights, softmax sends back

    grad_scores = weights * (g - sum over keys of g * weights)

Source: Vaswani et al., Attention is all you need (2017), equation 1.
"""

import math
from collections.abc import Sequence
from typing import Any

from narae.base.dtypes import FLOAT32, INT64, is_half

from .composite import Composite
from .contractions import matmul, transpose_last
from .elementwise import add, cast, div, eq, exp, le, mul, sub, where
from .generators import iota
from .movement import reshape
from .record import shape_of
from .reductions import amax, sum_


def _below_diagonal(queries: int, keys: int) -> Any:
    """True where the key is not later than the query: (queries, keys)."""
    query = reshape(iota(size=queries, dtype=INT64), shape=(queries, 1))
    return le(reshape(iota(size=keys, dtype=INT64), shape=(1, keys)), query)


def _masked(scores: Any, mask: Any, causal: bool) -> Any:
    if causal:
        scores = where(_below_diagonal(*shape_of(scores)[-2:]), scores, -math.inf)
    if mask is None:
        return scores
    if mask.dtype.kind == "b":
        return where(mask, scores, -math.inf)
    return add(scores, mask)


def _total(x: Any) -> Any:
    return sum_(x, dim=(len(shape_of(x)) - 1,), keepdim=True)


def _safe_softmax(scores: Any) -> Any:
    """Softmax over the keys; zeros where every score is -inf, or where there is no key."""
    if shape_of(scores)[-1] == 0:
        return exp(scores)
    largest = amax(scores, dim=(len(shape_of(scores)) - 1,), keepdim=True)
    hidden = eq(largest, -math.inf)
    powers = exp(sub(scores, where(hidden, 0.0, largest)))
    return div(powers, where(hidden, 1.0, _total(powers)))


def _dropped(weights: Any, keep: Any, keep_scale: float) -> Any:
    if keep is None:
        return weights
    return mul(weights, mul(cast(keep, dtype=weights.dtype), keep_scale))


def _attention(
    q: Any, k: Any, v: Any, mask: Any, keep: Any, *, scale: float, causal: bool, keep_scale: float
) -> tuple[Any, Any]:
    scores = matmul(mul(q, scale), transpose_last(k))  # (.., queries, keys)
    weights = _safe_softmax(_masked(scores, mask, causal))
    return matmul(_dropped(weights, keep, keep_scale), v), weights


def _attention_backward(
    grad: Any, q: Any, k: Any, v: Any, weights: Any, keep: Any, *, scale: float, keep_scale: float
) -> tuple[Any, Any, Any, Any]:
    grad_v = matmul(transpose_last(_dropped(weights, keep, keep_scale)), grad)
    grad_weights = _dropped(matmul(grad, transpose_last(v)), keep, keep_scale)
    weighted = mul(grad_weights, weights)
    grad_scores = sub(weighted, mul(weights, _total(weighted)))  # (.., queries, keys)
    grad_q = mul(matmul(grad_scores, k), scale)
    grad_k = mul(matmul(transpose_last(grad_scores), q), scale)
    return grad_q, grad_k, grad_v, grad_scores


attention_grad: Composite = Composite(
    "attention_grad",
    "grad q k v weights keep",
    "the gradients of attention: of q, k, v, and of the scores after the mask",
    _attention_backward,
    by_decomposition=True,
    outputs=4,
    grad_name="ScaledDotProductFlashAttentionForCpuBackwardBackward0",
)


def _attention_grads(
    needs: Sequence[bool],
    grads: Sequence[Any],
    q: Any,
    k: Any,
    v: Any,
    mask: Any,
    keep: Any,
    weights: Any,
    *,
    scale: float,
    causal: bool,
    keep_scale: float,
) -> tuple[Any, ...]:
    options = {"scale": scale, "keep_scale": keep_scale}
    dtype, grad = q.dtype, grads[0]
    if is_half(dtype):  # the saved weights were rounded: compute them again in float32
        grad, q, k, v = (cast(x, dtype=FLOAT32) for x in (grad, q, k, v))
        mask = mask if mask is None or mask.dtype.kind == "b" else cast(mask, dtype=FLOAT32)
        _, weights = attention(q, k, v, mask, keep, causal=causal, **options)
    found = attention_grad(grad, q, k, v, weights, keep, **options)
    if is_half(dtype):
        found = tuple(cast(x, dtype=dtype) for x in found)
    wanted = [x if needed else None for x, needed in zip(found, needs, strict=False)]
    return (*wanted, None)


attention: Composite = Composite(
    "attention",
    "q k v mask keep",
    "softmax(scale * q kᵀ + mask) v, with dropped weights where keep is False; gives the result, "
    "and the weights before dropout",
    _attention,
    saves="q k v mask keep out1",
    joint_grad=_attention_grads,
    outputs=2,
    broadcasts=True,
    grad_name="ScaledDotProductFlashAttentionForCpuBackward0",
)
