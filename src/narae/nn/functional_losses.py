"""Losses as functions, with PyTorch's signatures.

Every function takes `reduction`: "mean" (the default), "sum", or "none" for one loss an element or
a sample. `size_average` and `reduce` are the arguments of old programs, and warn.
"""

import math
from typing import Any

from narae import primitives as p
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.base.notices import warn_user
from narae.base.shapes import broadcast_shapes
from narae.primitives.elementwise import add, detach, div, mul
from narae.tensors import Tensor
from narae.tensors.autocast import in_float32
from narae.tensors.eager import apply, converted

from .class_checks import (
    check_labels,
    check_probabilities,
    class_count,
    is_probabilities,
    refuse_smoothing,
)
from .loss_checks import (
    REDUCTIONS,
    broadcast_to,
    check_equal_sizes,
    check_floating,
    check_tensors,
    chosen_reduction,
    class_weight,
    in_one_shape,
    no_gradient,
    promoted,
    same_size_pair,
    warn_of_probabilities,
)
from .margin_losses import (
    cosine_embedding_loss,
    hinge_embedding_loss,
    margin_ranking_loss,
    multi_margin_loss,
    multilabel_margin_loss,
    multilabel_soft_margin_loss,
    pairwise_distance,
    triplet_margin_loss,
    triplet_margin_with_distance_loss,
)

Flag = bool | None


# --- differences ----------------------------------------------------------------------------


@in_float32
def mse_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Squared error: (input - target)².

    The half sum of squares of textbooks is `0.5 * mse_loss(input, target, reduction="sum")`.

    Args:
        input: any shape.
        target: the same shape; another one is broadcast, with a warning.
        reduction: "mean", "sum" or "none".
        weight: of each element; the mean is then divided by the sum of the weights.

    >>> import narae
    >>> y = narae.tensor([0.1, 0.6, 0.3])
    >>> t = narae.tensor([0.0, 1.0, 0.0])
    >>> round((0.5 * narae.nn.functional.mse_loss(y, t, reduction="sum")).item(), 4)
    0.13
    """
    return _difference(p.mse_loss, input, target, (size_average, reduce, reduction), weight)


@in_float32
def l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    weight: Tensor | None = None,
) -> Tensor:
    """Absolute error: |input - target|. Arguments as for `mse_loss`."""
    return _difference(p.l1_loss, input, target, (size_average, reduce, reduction), weight)


@in_float32
def smooth_l1_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    beta: float = 1.0,
) -> Tensor:
    """A parabola near 0, lines elsewhere: d² / (2 beta) where |d| < beta, else |d| - beta / 2.

    Source: Girshick 2015, Fast R-CNN, equation 3.
    """
    if beta < 0:
        raise ConfigError(
            f"smooth_l1_loss does not support negative values for beta: beta is {beta}"
        )
    if beta == 0:
        return l1_loss(input, target, size_average, reduce, reduction)
    legacy = (size_average, reduce, reduction)
    return _difference(p.smooth_l1_loss, input, target, legacy, beta=float(beta))


@in_float32
def huber_loss(
    input: Tensor,
    target: Tensor,
    reduction: str = "mean",
    delta: float = 1.0,
    weight: Tensor | None = None,
) -> Tensor:
    """A parabola near 0, lines elsewhere: d² / 2 where |d| <= delta, else delta (|d| - delta / 2).

    Source: Huber 1964, Robust Estimation of a Location Parameter. With a weight, "mean" divides by
    the number of elements, as PyTorch does here.
    """
    if delta <= 0:
        raise ConfigError(
            f"huber_loss does not support non-positive values for delta: delta is {delta}"
        )
    if weight is None:
        legacy = (None, None, reduction)
        return _difference(p.huber_loss, input, target, legacy, delta=float(delta))
    chosen = chosen_reduction(reduction)
    loss = _difference(p.huber_loss, input, target, (None, None, "none"), None, delta=float(delta))
    _check_weight("huber_loss", weight, input)
    return _reduced(_times(loss, weight), chosen)


def _difference(
    operation: Any,
    input: Tensor,
    target: Tensor,
    legacy: tuple[Flag, Flag, str],
    weight: Tensor | None = None,
    **attrs: Any,
) -> Tensor:
    size_average, reduce, reduction = legacy
    reduction = chosen_reduction(reduction, size_average, reduce)
    x, y = same_size_pair(operation.name, input, target)
    if weight is None:
        return apply(operation, x, y, reduction=reduction, **attrs)
    _check_weight(operation.name, weight, input)
    total = _times(apply(operation, x, y, reduction="none", **attrs), weight)
    if reduction != "mean":
        return _reduced(total, reduction)
    return apply(div, _reduced(total, "sum"), _reduced(converted(weight, _dtype(total)), "sum"))


def _dtype(x: Tensor) -> Any:
    return x._value.dtype


def _check_weight(what: str, weight: Tensor, input: Tensor) -> None:
    check_tensors(what, weight=weight)
    if tuple(weight._value.shape) != tuple(input._value.shape):
        raise ValueError(
            explain(
                what,
                f"weight is {tuple(weight.shape)}, input is {tuple(input.shape)}",
                "Weights and input must have the same size",
                "weight.expand_as(input)",
            )
        )


def _times(x: Tensor, y: Tensor) -> Tensor:
    x, y = promoted(x, y)
    return apply(mul, x, y)


def _reduced(x: Tensor, reduction: str) -> Tensor:
    if reduction == "none":
        return x
    total = apply(p.sum_, x, dim=tuple(range(x._value.ndim)), keepdim=False)
    count = x._value.size
    if reduction == "sum":
        return total
    return apply(div, total, count) if count else apply(mul, total, math.nan)


# --- classes --------------------------------------------------------------------------------


@in_float32
def cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
    label_smoothing: float = 0.0,
) -> Tensor:
    """Cross entropy of scores (logits) with class indices or probabilities.

    loss[n] = -weight[t] log(softmax(input[n])[t]) for the class t = target[n]. The "mean" divides
    by the sum of the weights of the targets that count; with probabilities by their number.

    Args:
        input: scores before softmax: (classes,), (batch, classes) or (batch, classes, d1, ..).
        target: class indices (int64) of that shape without the classes, or probabilities of the
            same shape.
        weight: one for each class.
        ignore_index: samples with this target count nothing.
        reduction: "mean", "sum" or "none".
        label_smoothing: in [0, 1], the share of the target spread evenly over all classes
            (Szegedy 2016, Rethinking the Inception Architecture, section 7).

    Raises:
        IndexError: if a target is not a class.
        ValueError: if the batch sizes differ.

    >>> import narae
    >>> scores = narae.tensor([[2.0, 0.0], [0.0, 2.0]])
    >>> round(narae.nn.functional.cross_entropy(scores, narae.tensor([0, 1])).item(), 4)
    0.1269
    """
    if reduction not in REDUCTIONS or size_average is not None or reduce is not None:
        reduction = chosen_reduction(reduction, size_average, reduce)
    classes = class_count("cross_entropy", input, target)
    if input._node is not None:
        warn_of_probabilities("cross_entropy", input)
    if weight is not None:
        weight = class_weight("cross_entropy", weight, input, classes)
    if not 0 <= label_smoothing <= 1:
        refuse_smoothing(label_smoothing)
    attrs = {"reduction": reduction, "label_smoothing": float(label_smoothing)}
    if is_probabilities(input, target):
        check_probabilities(target, ignore_index)
        return apply(p.cross_entropy_soft, *_one_dtype(input, target), weight, **attrs)[0]
    check_labels("cross_entropy", input, target)
    if weight is not None:
        no_gradient("nll_loss_forward", "weight", weight)
    record = p.cross_entropy if input._value.ndim <= 2 else p.cross_entropy_2d
    return apply(record, input, target, weight, ignore_index=int(ignore_index), **attrs)[0]


def _one_dtype(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if input._value.dtype == target._value.dtype:
        return input, target
    input, target = promoted(input, target)
    return input, target


@in_float32
def nll_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    ignore_index: int = -100,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of class indices: -weight[target[n]] input[n, target[n]].

    Args:
        input: log-probabilities, shaped as for `cross_entropy`; the others as there.

    Raises:
        IndexError: if a target is not a class.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    weight = class_weight("nll_loss", weight, input, class_count("nll_loss", input, target))
    check_labels("nll_loss", input, target)
    warn_of_probabilities("nll_loss", input)
    no_gradient("nll_loss_forward", "weight", weight)
    record = p.nll_loss if input._value.ndim <= 2 else p.nll_loss_2d
    ignored = int(ignore_index)
    return apply(record, input, target, weight, reduction=reduction, ignore_index=ignored)


# --- binary ---------------------------------------------------------------------------------


@in_float32
def binary_cross_entropy(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Cross entropy of probabilities: -weight (y log x + (1 - y) log(1 - x)).

    Logarithms are bounded below by -100. `binary_cross_entropy_with_logits` is the stable form.

    Args:
        input: probabilities in [0, 1], any shape.
        target: the same shape.
        weight: broadcasts against target.

    Raises:
        RuntimeError: if an element of input is not between 0 and 1.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_equal_sizes("binary_cross_entropy", input, target)
    check_floating("binary_cross_entropy", input)
    if input._value.dtype != target._value.dtype:
        raise DTypeError(
            explain(
                "binary_cross_entropy",
                f"Found dtype {target.dtype} but expected {input.dtype}",
                "input and target have one dtype",
                f"target.to({input.dtype})",
            )
        )
    no_gradient("binary_cross_entropy", "weight", weight)
    if weight is not None:
        weight = converted(weight, _dtype(input))
    return apply(p.binary_cross_entropy, input, target, weight, reduction=reduction)


@in_float32
def binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    pos_weight: Tensor | None = None,
) -> Tensor:
    """Sigmoid and binary cross entropy in one step, stable for scores of any size.

    loss = -weight (pos_weight y log s + (1 - y) log(1 - s)) for s = sigmoid(input).

    Args:
        input: scores before the sigmoid, any shape.
        target: the same shape, in [0, 1].
        weight, pos_weight: broadcast against target; pos_weight > 1 raises recall.
    """
    what = "binary_cross_entropy_with_logits"
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_equal_sizes(what, input, target)
    warn_of_probabilities(what, input)
    no_gradient(what, "weight", weight)
    no_gradient(what, "pos_weight", pos_weight)
    input, target = _one_dtype(input, target)
    check_floating(what, input)
    shape, dtype = input._value.shape, _dtype(input)
    for extra in (weight, pos_weight):
        if extra is not None:
            shape = broadcast_shapes(shape, extra._value.shape, what=what)
    weights = [None if x is None else converted(x, dtype) for x in (weight, pos_weight)]
    input, target = broadcast_to(input, shape), broadcast_to(target, shape)
    return apply(p.binary_cross_entropy_with_logits, input, target, *weights, reduction=reduction)


@in_float32
def soft_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """log(1 + e^(-y x)) for targets y of -1 or 1."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_tensors("soft_margin_loss", input=input, target=target)
    check_floating("soft_margin_loss", input)
    x, y = in_one_shape("soft_margin_loss", input, target)
    return apply(p.soft_margin_loss, x, y, reduction=reduction)


# --- distributions --------------------------------------------------------------------------


@in_float32
def kl_div(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
    log_target: bool = False,
) -> Tensor:
    """Kullback-Leibler divergence of log-probabilities from probabilities: y (log y - x).

    Args:
        input: log-probabilities.
        target: probabilities, or their logarithms with `log_target`.
        reduction: "batchmean" (the mathematical definition), "mean", "sum" or "none".
    """
    batch_mean = reduction == "batchmean" and size_average is None and reduce is None
    if reduction == "mean" and size_average is None and reduce is None:
        warn_user(
            "reduction: 'mean' divides the total loss by both the batch size and the support size."
            "'batchmean' divides only by the batch size, and aligns with the KL div math "
            "definition. 'mean' will be changed to behave the same as 'batchmean' in the next "
            "major release."
        )
    chosen = "sum" if batch_mean else chosen_reduction(reduction, size_average, reduce)
    x, y = in_one_shape("kl_div", input, target)
    loss = apply(p.kl_div, x, y, log_target=bool(log_target), reduction=chosen)
    if batch_mean and input._value.ndim:
        return apply(div, loss, input._value.shape[0])
    return loss


@in_float32
def poisson_nll_loss(
    input: Tensor,
    target: Tensor,
    log_input: bool = True,
    full: bool = False,
    size_average: Flag = None,
    eps: float = 1e-8,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of counts: e^x - y x, or x - y log(x + eps) without `log_input`.

    Args:
        full: add Stirling's y log y - y + log(2 pi y) / 2 where y > 1.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    x, y = in_one_shape("poisson_nll_loss", input, target)
    attrs = {"log_input": bool(log_input), "full": bool(full), "eps": float(eps)}
    return apply(p.poisson_nll_loss, x, y, reduction=reduction, **attrs)


def gaussian_nll_loss(
    input: Tensor,
    target: Tensor,
    var: Tensor | float,
    full: bool = False,
    eps: float = 1e-6,
    reduction: str = "mean",
) -> Tensor:
    """Negative log-likelihood of a normal distribution: (log var + (x - y)² / var) / 2.

    Args:
        input: the mean.
        var: the variance: the shape of input, or with one dimension less or of size 1, or a number.
        full: add the constant log(2 pi) / 2.
        eps: the least variance.

    Raises:
        ValueError: if a variance is negative or of another size.
    """
    check_tensors("gaussian_nll_loss", input=input, target=target)
    var = _variance(input, var)
    chosen = chosen_reduction(reduction)
    x, y, spread = in_one_shape("gaussian_nll_loss", input, target, var)
    return apply(
        p.gaussian_nll_loss, x, y, spread, full=bool(full), eps=float(eps), reduction=chosen
    )


def _variance(input: Tensor, var: Tensor | float) -> Tensor:
    if not isinstance(var, Tensor):
        if var < 0:
            raise ValueError(f"[gaussian_nll_loss] var has negative entry/entries: var is {var}")
        return apply(add, apply(mul, apply(detach, input), 0.0), float(var))
    x, v = tuple(input._value.shape), tuple(var._value.shape)
    if x == v:
        return var
    if x[:-1] == v:
        return apply(p.reshape, var, shape=(*v, 1))
    differing = [b for a, b in zip(x, v, strict=False) if a != b]
    if len(x) == len(v) and sum(differing) == 1:
        return var
    raise ShapeError(
        explain(
            "gaussian_nll_loss",
            f"var is of incorrect size: var is {v}, input is {x}",
            "var has the shape of input, or one dimension less, or one of size 1",
            "one variance an element, or unsqueeze(-1)",
        )
    )


__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cross_entropy",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "nll_loss",
    "pairwise_distance",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
