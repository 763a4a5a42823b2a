"""Losses in NumPy: fewer passes over memory than their decompositions, and labels checked."""

import math
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import INT64
from narae.base.errors import BoundsError, DataError, explain
from narae.primitives.losses import binary_cross_entropy as bce_record

Array = Any
_largest: Any = np.maximum.reduce
_total: Any = np.add.reduce


def mse_loss(x: Array, y: Array, *, reduction: str) -> Array:
    """(x - y) ** 2, reduced."""
    d = np.subtract(x, y)
    return _reduced(d * d, reduction)


def _reduced(loss: Array, reduction: str) -> Array:
    if reduction == "none":
        return loss
    total = _total(loss, None, loss.dtype)
    if reduction == "sum":
        return total
    return total / loss.size if loss.size else total * math.nan


def binary_cross_entropy(x: Array, y: Array, weight: Array, *, reduction: str) -> Array:
    """The decomposition, for probabilities that are probabilities.

    Raises:
        DataError: if an element of x is not between 0 and 1.
    """
    outside = (x < 0) | (x > 1)
    if outside.any():
        where = tuple(int(i) for i in np.argwhere(outside)[0])
        raise DataError(
            explain(
                "binary_cross_entropy",
                f"input is {float(x[where])} at position {where}",
                "all elements of input should be between 0 and 1",
                "apply a sigmoid first, or use binary_cross_entropy_with_logits",
            )
        )
    with np.errstate(divide="ignore"):
        return bce_record.decompose(x, y, weight, reduction=reduction)


def binary_cross_entropy_with_logits(
    x: Array, y: Array, weight: Array, pos_weight: Array, *, reduction: str
) -> Array:
    """(1 - y) x - log sigmoid(x) times weights, reduced."""
    log_odds = np.minimum(x, 0) - np.log1p(np.exp(-np.absolute(x)))
    if pos_weight is not None:
        log_odds = log_odds * ((pos_weight - 1) * y + 1)
    loss = (1 - y) * x - log_odds
    return _reduced(loss if weight is None else loss * weight, reduction)


def gaussian_nll_loss(x: Array, y: Array, var: Array, **attrs: Any) -> Array:
    """The decomposition, for variances that are variances.

    Raises:
        DataError: if a variance is negative.
    """
    negative = var < 0
    if negative.any():
        where = tuple(int(i) for i in np.argwhere(negative)[0])
        raise DataError(
            explain(
                "gaussian_nll_loss",
                f"var is {float(var[where])} at position {where}",
                "var has negative entry/entries",
                "let the model give its logarithm, or apply softplus",
            )
        )
    return p.gaussian_nll_loss.decompose(x, y, var, **attrs)


def multi_margin_loss(x: Array, target: Array, weight: Array, **attrs: Any) -> Array:
    """The decomposition, for labels that are classes."""
    _check_labels(target, x.shape[-1], target, "multi_margin_loss")
    return p.multi_margin_loss.decompose(x, target, weight, **attrs)


def multilabel_margin_loss(x: Array, target: Array, **attrs: Any) -> Array:
    """The decomposition, for labels that are classes, up to the first -1."""
    if target.size:
        listed = np.logical_and.accumulate(target >= 0, -1)
        _check_labels(np.where(listed, target, 0), x.shape[-1], target, "multilabel_margin_loss")
    return p.multilabel_margin_loss.decompose(x, target, **attrs)


# --- class scores ---------------------------------------------------------------------------

_CROSS = "cross_entropy"


def log_softmax(x: Array, dim: int) -> Array:
    """log(e^x / sum of e^x) along a dimension."""
    shifted = x - _largest(x, dim, None, None, True)
    total = _total(np.exp(shifted), dim, x.dtype, None, True)
    return np.subtract(shifted, np.log(total, total), shifted)


class _Labels:
    """Checked class indices, as flat rows: scores (.., classes, ..) are seen as (rows, classes).

    Attributes:
        index: the class of each row, 0 where it is ignored.
        ignored: which rows are ignored, or None when none is.
        weights: the weight of each row, or None when all are 1.
    """

    def __init__(
        self, target: Array, classes: int, weight: Array, ignore_index: int, what: str = _CROSS
    ) -> None:
        self.index, self.ignored = target, None
        if not _all_below(target, classes) or 0 <= ignore_index < classes:
            ignored = target == ignore_index
            if ignored.any():
                self.ignored, self.index = ignored, np.where(ignored, 0, target)
            _check_labels(self.index, classes, target, what)
        self.weights = None if weight is None else weight[self.index]
        if self.ignored is not None:
            ones = np.ones(target.shape) if self.weights is None else self.weights
            self.weights = np.where(self.ignored, 0, ones)

    def total(self, dtype: Any) -> Any:
        """The sum of the weights."""
        if self.weights is None:
            return self.index.size
        return _total(self.weights, None, dtype)


_UINT64 = np.dtype(np.uint64)


def _all_below(index: Array, classes: int) -> bool:
    """Whether every label is a class; seen as unsigned, a negative one is too large as well."""
    if index.size == 0:
        return True
    unsigned = index.view(_UINT64) if index.dtype == INT64 else index
    return bool(_largest(unsigned, None) < classes)


def _check_labels(index: Array, classes: int, target: Array, what: str) -> None:
    if _all_below(index, classes):
        return
    wrong = (index < 0) | (index >= classes)
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    place = f"at position {where}" if where else "given"
    raise BoundsError(
        explain(
            what,
            f"Target {int(target[where])} is out of bounds: it is {place}, and the scores have "
            f"{classes} classes",
            f"a target is a class from 0 to {classes - 1}, or ignore_index",
            "count classes from 0, give the model as many outputs as there are classes, or set "
            "ignore_index",
        )
    )


def _picker(x: Array, index: Array) -> tuple[Any, ...]:
    """What selects one class for each sample."""
    if x.ndim == 2:
        return (_rows(len(index)), index)
    if x.ndim == 1:
        return (index,)
    grid = np.indices(index.shape, sparse=True)
    return (grid[0], index, *grid[1:])


_arange = np.arange(1024)


def _rows(count: int) -> Array:
    return _arange[:count] if count <= 1024 else np.arange(count)


def _labels_reduced(loss: Array, labels: _Labels, reduction: str) -> Array:
    if reduction == "none":
        return loss
    total = _total(loss, None, loss.dtype)
    if reduction == "sum":
        return total
    return _divided(total, labels.total(loss.dtype))


def _divided(x: Array, count: Any) -> Array:
    """x / count in the dtype of x; without a warning when there is nothing to count."""
    if count != 0:
        return x / count  # a number takes the dtype of x
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.divide(x, count, dtype=x.dtype)


def _picked_loss(log_probs: Array, labels: _Labels) -> Array:
    loss = -log_probs[_picker(log_probs, labels.index)]
    if labels.weights is not None:
        loss = (loss * labels.weights).astype(loss.dtype, copy=False)
    return loss


def _masked(loss: Array, labels: _Labels) -> Array:
    return loss if labels.ignored is None else np.where(labels.ignored, 0, loss)


def nll_loss(x: Array, target: Array, weight: Array, *, reduction: str, ignore_index: int) -> Array:
    """-weight[target] * x[target], reduced.

    Raises:
        IndexError: if a target is not a class.
    """
    labels = _Labels(target, x.shape[min(1, x.ndim - 1)], weight, ignore_index, "nll_loss")
    return _labels_reduced(_masked(_picked_loss(x, labels), labels), labels, reduction)


def nll_loss_grad(
    grad: Array, x: Array, target: Array, weight: Array, *, reduction: str, ignore_index: int
) -> Array:
    """-weight[target] at the target, 0 elsewhere."""
    labels = _Labels(target, x.shape[min(1, x.ndim - 1)], weight, ignore_index, "nll_loss")
    share = grad
    if reduction == "mean":
        share = _divided(grad, labels.total(x.dtype))
    share = _masked(share, labels)
    out = np.zeros(x.shape, x.dtype)
    out[_picker(x, labels.index)] = -share if labels.weights is None else -share * labels.weights
    return out


def cross_entropy(
    x: Array,
    target: Array,
    weight: Array,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> tuple[Array, Array]:
    """The loss, and log_softmax(x) for the backward pass.

    Raises:
        IndexError: if a target is not a class.
    """
    if weight is None and label_smoothing == 0 and ignore_index < 0 and reduction == "mean":
        if x.ndim == 2 and _all_below(target, x.shape[1]):  # the usual case, written out
            log_probs = log_softmax(x, 1)
            loss = -log_probs[_rows(len(target)), target]
            return _divided(_total(loss, None, loss.dtype), target.size), log_probs
    dim = min(1, x.ndim - 1)
    labels = _Labels(target, x.shape[dim], weight, ignore_index)
    log_probs = log_softmax(x, dim)
    loss = _picked_loss(log_probs, labels)
    if label_smoothing > 0:
        every = log_probs if weight is None else log_probs * _over_classes(x, weight)
        share = label_smoothing / x.shape[dim]
        loss = loss * (1 - label_smoothing) - _total(every, dim, x.dtype) * share
    return _labels_reduced(_masked(loss, labels), labels, reduction), log_probs


def _over_classes(x: Array, weight: Array) -> Array:
    return weight.reshape((-1,) + (1,) * max(0, x.ndim - 2))


def cross_entropy_grad(
    grad: Array,
    target: Array,
    weight: Array,
    log_probs: Array,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> Array:
    """softmax(x) * (sum of q) - q, where q holds the target's weight for each class."""
    dim, dtype = min(1, log_probs.ndim - 1), log_probs.dtype
    labels = _Labels(target, log_probs.shape[dim], weight, ignore_index)
    share = grad
    if reduction == "mean":
        share = _divided(grad, labels.total(dtype))
    share = _masked(share, labels)
    hits = share if labels.weights is None else (share * labels.weights).astype(dtype, copy=False)
    if label_smoothing > 0:
        with np.errstate(invalid="ignore"):  # infinite where there is nothing to count
            hits = hits * (1 - label_smoothing)
    out = np.exp(log_probs)
    if label_smoothing > 0:
        _subtract_smoothing(out, log_probs, labels, weight, share, hits, label_smoothing)
    else:
        out *= np.expand_dims(hits, dim) if hits.ndim else hits
    out[_picker(out, labels.index)] -= hits
    return out


def _subtract_smoothing(
    out: Array,
    log_probs: Array,
    labels: _Labels,
    weight: Array,
    share: Array,
    hits: Array,
    label_smoothing: float,
) -> None:
    """Turn probabilities into probabilities * (sum of q) - what every class has of q."""
    dim, classes = min(1, out.ndim - 1), out.shape[min(1, out.ndim - 1)]
    each = np.broadcast_to(share * (label_smoothing / classes), labels.index.shape)
    each = np.expand_dims(each, dim)
    scale = np.ones(classes, out.dtype) if weight is None else weight
    spread = each * _over_classes(out, scale)
    mass = np.expand_dims(np.broadcast_to(hits, labels.index.shape), dim)
    out *= mass + _total(spread, dim, None, None, True)
    out -= spread


LOWERINGS: dict[Any, Any] = {
    p.mse_loss: mse_loss,
    p.gaussian_nll_loss: gaussian_nll_loss,
    p.multi_margin_loss: multi_margin_loss,
    p.multilabel_margin_loss: multilabel_margin_loss,
    p.binary_cross_entropy: binary_cross_entropy,
    p.binary_cross_entropy_with_logits: binary_cross_entropy_with_logits,
    p.nll_loss: nll_loss,
    p.nll_loss_2d: nll_loss,
    p.nll_loss_grad: nll_loss_grad,
    p.cross_entropy: cross_entropy,
    p.cross_entropy_2d: cross_entropy,
    p.cross_entropy_grad: cross_entropy_grad,
}
