"""Losses of class scores: negative log-likelihood and cross entropy.

Scores are (classes,), (batch, classes) or (batch, classes, d1, d2, ..); targets are class indices
of that shape without the dimension of the classes, or probabilities of the same shape.
"""

import math
from collections.abc import Sequence
from typing import Any

from .composite import Composite
from .elementwise import add, cast, div, eq, exp, log, mul, neg, not_, sub, where
from .generators import zeros
from .indexing import gather, scatter_add, take
from .losses import reduced, shared
from .movement import reshape
from .record import shape_of
from .reductions import amax, sum_


def class_dim(x: Any) -> int:
    """The dimension of the classes: the second one, or the only one."""
    return min(1, len(shape_of(x)) - 1)


def _with_class_dim(target: Any, x: Any) -> Any:
    """Put a dimension of size 1 where the classes are."""
    dim, shape = class_dim(x), shape_of(target)
    return reshape(target, shape=(*shape[:dim], 1, *shape[dim:]))


def _over_classes(x: Any, value: Any) -> Any:
    """Shape a value for each class so that it broadcasts against the scores."""
    shape = shape_of(x)
    return reshape(value, shape=(shape[class_dim(x)],) + (1,) * (len(shape) - class_dim(x) - 1))


def _samples(x: Any) -> int:
    """How many losses there are."""
    dim, shape = class_dim(x), shape_of(x)
    return math.prod(size for place, size in enumerate(shape) if place != dim)


def _class_sum(x: Any) -> Any:
    return sum_(x, dim=(class_dim(x),), keepdim=False)


def log_softmax(x: Any) -> Any:
    """log(e^x / sum of e^x) over the classes, without overflow."""
    dim = (class_dim(x),)
    shifted = sub(x, amax(x, dim=dim, keepdim=True))
    return sub(shifted, log(sum_(exp(shifted), dim=dim, keepdim=True)))


class _Labels:
    """Class indices: what counts, where, and how much.

    Attributes:
        index: a class for every sample, 0 where it is ignored.
        ignored: which samples are ignored.
        weights: the weight of each sample's class, 0 where it is ignored.
    """

    def __init__(self, x: Any, target: Any, weight: Any, ignore_index: int) -> None:
        self.ignored = eq(target, ignore_index)
        self.index = where(self.ignored, 0, target)
        if weight is None:
            self.weights = cast(not_(self.ignored), dtype=x.dtype)
        else:
            self.weights = where(self.ignored, 0.0, take(weight, self.index, dim=0))

    def picked(self, x: Any) -> Any:
        """The score of each sample's class."""
        found = gather(x, _with_class_dim(self.index, x), dim=class_dim(x))
        return reshape(found, shape=shape_of(self.index))

    def placed(self, x: Any, values: Any) -> Any:
        """Zeros of the shape of x with a value at each sample's class."""
        index, values = _with_class_dim(self.index, x), _with_class_dim(values, x)
        return scatter_add(zeros(shape_of(x), x.dtype), index, values, dim=class_dim(x))

    def total(self) -> Any:
        """The sum of the weights: what "mean" divides by."""
        dims = tuple(range(len(shape_of(self.weights))))
        return sum_(self.weights, dim=dims, keepdim=False)

    def reduced(self, loss: Any, reduction: str) -> Any:
        """The losses, their sum, or their weighted mean."""
        if reduction != "mean":
            return reduced(loss, reduction)
        return div(reduced(loss, "sum"), self.total())

    def grad(self, grad: Any, reduction: str) -> Any:
        """The gradient of each sample's loss before its weight, 0 where it is ignored."""
        share = div(grad, self.total()) if reduction == "mean" else grad
        return where(self.ignored, 0.0, share)


# --- nll_loss -------------------------------------------------------------------------------


def _nll(x: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int) -> Any:
    labels = _Labels(x, target, weight, ignore_index)
    loss = neg(mul(labels.picked(x), labels.weights))
    return labels.reduced(where(labels.ignored, 0.0, loss), reduction)


def _nll_grad(
    grad: Any, x: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int
) -> Any:
    labels = _Labels(x, target, weight, ignore_index)
    share = mul(labels.weights, labels.grad(grad, reduction))
    return labels.placed(x, neg(share))


nll_loss_grad = Composite(
    "nll_loss_grad",
    "grad x target weight",
    "the gradient of nll_loss: -weight[target] at the target; x gives the shape",
    _nll_grad,
    by_decomposition=True,
    grad_name="NllLossBackwardBackward0",
)


def _nll_record(name: str, grad_name: str) -> Composite:
    return Composite(
        name,
        "x target weight",
        "-weight[target] * x[target], 0 where the target is ignore_index",
        _nll,
        saves="x target weight",
        grads=(nll_loss_grad, None, None),
        grad_name=grad_name,
    )


nll_loss = _nll_record("nll_loss", "NllLossBackward0")
nll_loss_2d = _nll_record("nll_loss_2d", "NllLoss2DBackward0")


# --- cross_entropy of class indices ---------------------------------------------------------


def _cross_entropy(
    x: Any, target: Any, weight: Any, *, reduction: str, ignore_index: int, label_smoothing: float
) -> tuple[Any, Any]:
    log_probs = log_softmax(x)
    labels = _Labels(x, target, weight, ignore_index)
    loss = neg(mul(labels.picked(log_probs), labels.weights))
    if label_smoothing > 0:
        share = label_smoothing / shape_of(x)[class_dim(x)]
        every = log_probs if weight is None else mul(log_probs, _over_classes(x, weight))
        loss = sub(mul(loss, 1 - label_smoothing), mul(_class_sum(every), share))
    return labels.reduced(where(labels.ignored, 0.0, loss), reduction), log_probs


def _cross_entropy_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    x: Any,
    target: Any,
    weight: Any,
    log_probs: Any,
    **attrs: Any,
) -> tuple[Any, None, None]:
    return cross_entropy_grad(grads[0], target, weight, log_probs, **attrs), None, None


def _cross_entropy_grad_value(
    grad: Any,
    target: Any,
    weight: Any,
    log_probs: Any,
    *,
    reduction: str,
    ignore_index: int,
    label_smoothing: float,
) -> Any:
    """softmax(x) * (sum of q) - q, where q holds the target's weight for each class."""
    labels = _Labels(log_probs, target, weight, ignore_index)
    share = labels.grad(grad, reduction)
    hits = mul(mul(labels.weights, share), 1 - label_smoothing)
    wanted = labels.placed(log_probs, hits)
    mass = hits
    if label_smoothing > 0:
        spread = _smoothing(log_probs, weight, share, label_smoothing)
        wanted, mass = add(wanted, spread), add(mass, _class_sum(spread))
    return sub(mul(exp(log_probs), _with_class_dim(mass, log_probs)), wanted)


def _smoothing(x: Any, weight: Any, share: Any, label_smoothing: float) -> Any:
    """The part of q that every class gets."""
    shape = shape_of(x)
    each = mul(share, label_smoothing / shape[class_dim(x)])
    classes = zeros((shape[class_dim(x)],), x.dtype)
    classes = add(classes, 1.0) if weight is None else weight
    return mul(_with_class_dim(each, x), _over_classes(x, classes))


cross_entropy_grad: Composite = Composite(
    "cross_entropy_grad",
    "grad target weight log_probs",
    "the gradient of cross_entropy: softmax times the weight of the target, minus the target",
    _cross_entropy_grad_value,
    saves="*xs",
    by_decomposition=True,
    grad_name="NllLossBackwardBackward0",
)


def _cross_entropy_record(name: str, grad_name: str) -> Composite:
    return Composite(
        name,
        "x target weight",
        "-weight[target] * log_softmax(x)[target], smoothed; and log_softmax(x)",
        _cross_entropy,
        saves="x target weight out1",
        joint_grad=_cross_entropy_grad,
        outputs=2,
        grad_name=grad_name,
    )


cross_entropy = _cross_entropy_record("cross_entropy", "NllLossBackward0")
cross_entropy_2d = _cross_entropy_record("cross_entropy_2d", "NllLoss2DBackward0")


# --- cross_entropy of probabilities ---------------------------------------------------------


def _smoothed(target: Any, x: Any, label_smoothing: float) -> Any:
    if label_smoothing == 0:
        return target
    share = label_smoothing / shape_of(x)[class_dim(x)]
    return add(mul(target, 1 - label_smoothing), share)


def _soft(x: Any, target: Any, weight: Any, *, reduction: str, label_smoothing: float) -> Any:
    log_probs = log_softmax(x)
    wanted = _smoothed(target, x, label_smoothing)
    if weight is not None:
        wanted = mul(wanted, _over_classes(x, weight))
    loss = neg(_class_sum(mul(log_probs, wanted)))
    return reduced(loss, reduction), log_probs


def _soft_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    x: Any,
    target: Any,
    weight: Any,
    log_probs: Any,
    reduction: str,
    label_smoothing: float,
) -> tuple[Any, Any, Any]:
    wanted = _smoothed(target, x, label_smoothing)
    scale = None if weight is None else _over_classes(x, weight)
    grad = grads[0]
    share = shared(grad, _samples(x)) if reduction == "mean" else grad
    if reduction == "none":
        share = _with_class_dim(share, x)
    grad_x = grad_target = grad_weight = None
    if needs[0]:
        goal = wanted if scale is None else mul(wanted, scale)
        mass = sum_(goal, dim=(class_dim(x),), keepdim=True)
        grad_x = mul(sub(mul(exp(log_probs), mass), goal), share)
    if needs[1] or needs[2]:
        lost = mul(neg(log_probs), share)
        if needs[1]:
            slope = lost if scale is None else mul(lost, scale)
            grad_target = mul(slope, 1 - label_smoothing)
        if needs[2]:
            dims = tuple(d for d in range(len(shape_of(x))) if d != class_dim(x))
            grad_weight = sum_(mul(lost, wanted), dim=dims, keepdim=False)
    return grad_x, grad_target, grad_weight


cross_entropy_soft: Composite = Composite(
    "cross_entropy_soft",
    "x target weight",
    "-sum over classes of weight * target * log_softmax(x); and log_softmax(x)",
    _soft,
    saves="x target weight out1",
    joint_grad=_soft_grad,
    outputs=2,
    grad_name="DivBackward1",
)
