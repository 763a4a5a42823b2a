"""Losses of counts, distances and margins; their gradients are those of their decompositions.

All of them take `reduction`, as the losses of `losses` do. max(x, 0) has the gradient 1 at 0 here,
as PyTorch's `clamp_min` has.
"""

import math
from typing import Any

from .composite import Composite
from .cumulative import cumprod
from .elementwise import (
    abs_,
    add,
    cast,
    detach,
    div,
    eq,
    exp,
    le,
    log,
    lt,
    maximum,
    minimum,
    mul,
    ne,
    neg,
    or_,
    pow_,
    sqrt,
    sub,
    where,
)
from .generators import iota, zeros
from .indexing import gather, scatter_add, take
from .losses import log_sigmoid, reduced, weighted
from .movement import expand, reshape
from .record import Rule, shape_of
from .reductions import amax, sum_


def _loss(
    name: str, operands: str, formula: str, decompose: Rule, grad_name: str = ""
) -> Composite:
    return Composite(
        name,
        operands,
        formula,
        decompose,
        by_decomposition=True,
        grad_name=grad_name or "MeanBackward0",
    )


def positive_part(x: Any) -> Any:
    """max(x, 0), whose gradient at 0 is 1."""
    return where(lt(x, 0), 0.0, x)


def _last_sum(x: Any, keepdim: bool = False) -> Any:
    return sum_(x, dim=(len(shape_of(x)) - 1,), keepdim=keepdim)


# --- likelihoods ----------------------------------------------------------------------------


def _poisson(x: Any, y: Any, *, log_input: bool, full: bool, eps: float, reduction: str) -> Any:
    loss = sub(exp(x), mul(y, x)) if log_input else sub(x, mul(y, log(add(x, eps))))
    if full:
        large = lt(1, y)
        safe = where(large, y, 2.0)
        stirling = add(sub(mul(safe, log(safe)), safe), mul(log(mul(safe, 2 * math.pi)), 0.5))
        loss = add(loss, where(large, stirling, 0.0))
    return reduced(loss, reduction)


poisson_nll_loss = _loss(
    "poisson_nll_loss",
    "x y",
    "e^x - y x, or x - y log(x + eps); full adds Stirling's y log y - y + log(2 pi y) / 2",
    _poisson,
)


def _gaussian(x: Any, y: Any, var: Any, *, full: bool, eps: float, reduction: str) -> Any:
    # The bound changes the value and leaves the gradient alone, as in PyTorch.
    bounded = add(var, detach(sub(maximum(var, eps), var)))
    d = sub(x, y)
    loss = mul(add(log(bounded), div(mul(d, d), bounded)), 0.5)
    if full:
        loss = add(loss, 0.5 * math.log(2 * math.pi))
    return reduced(loss, reduction)


gaussian_nll_loss = _loss(
    "gaussian_nll_loss",
    "x y var",
    "(log var + (x - y)² / var) / 2, var at least eps; full adds log(2 pi) / 2",
    _gaussian,
)


# --- margins of two classes -----------------------------------------------------------------


def _hinge_embedding(x: Any, y: Any, *, margin: float, reduction: str) -> Any:
    far = where(ne(y, 1), positive_part(sub(margin, x)), 0.0)
    return reduced(add(far, where(ne(y, -1), x, 0.0)), reduction)


hinge_embedding_loss = _loss(
    "hinge_embedding_loss",
    "x y",
    "x where y is 1, max(0, margin - x) where y is -1",
    _hinge_embedding,
)


def _margin_ranking(x: Any, z: Any, y: Any, *, margin: float, reduction: str) -> Any:
    return reduced(positive_part(add(neg(mul(y, sub(x, z))), margin)), reduction)


margin_ranking_loss = _loss(
    "margin_ranking_loss", "x z y", "max(0, -y (x - z) + margin)", _margin_ranking
)


def _cosine_embedding(x: Any, z: Any, y: Any, *, margin: float, reduction: str) -> Any:
    size_x, size_z = add(_last_sum(mul(x, x)), 1e-12), add(_last_sum(mul(z, z)), 1e-12)
    cosine = div(_last_sum(mul(x, z)), sqrt(mul(size_x, size_z)))
    alike = where(eq(y, 1), sub(1.0, cosine), 0.0)
    different = where(eq(y, -1), positive_part(sub(cosine, margin)), 0.0)
    return reduced(add(alike, different), reduction)


cosine_embedding_loss = _loss(
    "cosine_embedding_loss",
    "x z y",
    "1 - cos(x, z) where y is 1, max(0, cos(x, z) - margin) where y is -1",
    _cosine_embedding,
)


# --- triplets -------------------------------------------------------------------------------


def _norm(d: Any, p: float) -> Any:
    """The p-norm over the last dimension, whose gradient at 0 is 0."""
    if p == math.inf:
        return amax(abs_(d), dim=(len(shape_of(d)) - 1,), keepdim=False)
    if p == 0:
        return _last_sum(cast(ne(d, 0), dtype=d.dtype))
    if p == 1:
        return _last_sum(abs_(d))
    total = _last_sum(mul(d, d) if p == 2 else pow_(abs_(d), p))
    at_zero = eq(total, 0)
    safe = where(at_zero, 1.0, total)
    return where(at_zero, 0.0, sqrt(safe) if p == 2 else pow_(safe, 1 / p))


def _distance(x: Any, z: Any, p: float, eps: float) -> Any:
    return _norm(add(sub(x, z), eps), p)


def _triplet(
    x: Any, near: Any, far: Any, *, margin: float, p: float, eps: float, swap: bool, reduction: str
) -> Any:
    d_near, d_far = _distance(x, near, p, eps), _distance(x, far, p, eps)
    if swap:
        d_far = minimum(d_far, _distance(near, far, p, eps))
    return reduced(positive_part(add(sub(d_near, d_far), margin)), reduction)


triplet_margin_loss = _loss(
    "triplet_margin_loss",
    "x near far",
    "max(0, |x - near| - |x - far| + margin), the distances being p-norms of the last dimension",
    _triplet,
)
pairwise_distance = _loss(
    "pairwise_distance",
    "x z",
    "the p-norm of x - z + eps over the last dimension",
    lambda x, z, *, p, eps: _distance(x, z, p, eps),
    grad_name="NormBackward1",
)
triplet_hinge = _loss(
    "triplet_hinge",
    "d_near d_far",
    "max(0, d_near - d_far + margin)",
    lambda d_near, d_far, *, margin, reduction: reduced(
        positive_part(add(sub(d_near, d_far), margin)), reduction
    ),
)


# --- many classes ---------------------------------------------------------------------------


def _multilabel_soft_margin(x: Any, y: Any, weight: Any, *, reduction: str) -> Any:
    hits = mul(y, log_sigmoid(x))
    misses = mul(sub(1, y), log_sigmoid(neg(x)))
    loss = weighted(neg(add(hits, misses)), weight)
    return reduced(div(_last_sum(loss), shape_of(x)[-1]), reduction)


multilabel_soft_margin_loss = _loss(
    "multilabel_soft_margin_loss",
    "x y weight",
    "the mean over classes of -weight (y log sigmoid(x) + (1 - y) log sigmoid(-x))",
    _multilabel_soft_margin,
)


def _multi_margin(
    x: Any, target: Any, weight: Any, *, p: int, margin: float, reduction: str
) -> Any:
    shape, classes = shape_of(x), shape_of(x)[-1]
    index = reshape(target, shape=(*shape[:-1], 1))
    gap = positive_part(add(sub(x, gather(x, index, dim=len(shape) - 1)), margin))
    cost = gap if p == 1 else mul(gap, gap)
    if weight is not None:
        cost = mul(cost, take(weight, index, dim=0))
    others = where(eq(iota(size=classes, dtype=target.dtype), index), 0.0, cost)
    return reduced(div(_last_sum(others), classes), reduction)


multi_margin_loss = _loss(
    "multi_margin_loss",
    "x target weight",
    "sum over j != target of weight[target] max(0, margin - x[target] + x[j])^p / classes",
    _multi_margin,
    "MultiMarginLossBackward0",
)


def _multilabel_margin(x: Any, target: Any, *, reduction: str) -> Any:
    shape = shape_of(x)
    dim, classes = len(shape) - 1, shape[-1]
    listed = cumprod(cast(le(0, target), dtype=x.dtype), dim=dim)  # 1 up to the first -1
    index = where(eq(listed, 0), 0, target)
    counts = scatter_add(zeros(shape, x.dtype), index, listed, dim=dim)
    gap = sub(
        expand(reshape(x, shape=(*shape[:-1], 1, classes)), shape=(*shape, classes)),
        reshape(gather(x, index, dim=dim), shape=(*shape, 1)),
    )  # (.., listed target, class)
    unwanted = or_(
        eq(reshape(listed, shape=(*shape, 1)), 0),
        lt(0, reshape(counts, shape=(*shape[:-1], 1, classes))),
    )
    cost = where(unwanted, 0.0, positive_part(add(gap, 1)))
    return reduced(div(_last_sum(_last_sum(cost)), classes), reduction)


multilabel_margin_loss = _loss(
    "multilabel_margin_loss",
    "x target",
    "sum over listed classes y and others j of max(0, 1 - x[y] + x[j]) / classes",
    _multilabel_margin,
    "MultilabelMarginLossBackward0",
)
