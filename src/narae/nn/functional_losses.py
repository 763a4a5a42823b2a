"""Losses as functions, with PyTorch's signatures.

Every function takes `reduction`: "mean" (the default), "sum", or "none" for one loss an element or
a sample. `size_average` and `reduce` are the arguments of old programs, and warn.
"""

import math
from typing import Any

from narae import primitives as p
from narae.base.dtypes import default_dtype, is_floating
from narae.base.errors import ConfigError, DTypeError, NotSupportedError, ShapeError, explain
from narae.base.notices import warn_user
from narae.base.shapes import broadcast_shapes
from narae.primitives.elementwise import add, detach, div, minimum, mul
from narae.tensors import Tensor
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
    check_floating,
    check_tensors,
    chosen_reduction,
    class_weight,
    no_gradient,
    promoted,
    same_size_pair,
)

Flag = bool | None


# --- differences ----------------------------------------------------------------------------


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
    no_gradient("nll_loss_forward", "weight", weight)
    record = p.nll_loss if input._value.ndim <= 2 else p.nll_loss_2d
    ignored = int(ignore_index)
    return apply(record, input, target, weight, reduction=reduction, ignore_index=ignored)


# --- binary ---------------------------------------------------------------------------------


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
    _check_equal_sizes("binary_cross_entropy", input, target)
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
    _check_equal_sizes(what, input, target)
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


def _check_equal_sizes(what: str, input: Tensor, target: Tensor) -> None:
    check_tensors(what, input=input, target=target)
    if input._value.shape != target._value.shape:
        raise ShapeError(
            explain(
                what,
                f"Target size ({list(target.shape)}) must be the same as input size "
                f"({list(input.shape)})",
                "every element of the input has one target",
                _unequal_fix(tuple(input.shape), tuple(target.shape)),
            )
        )


def _unequal_fix(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    if x == (*y, 1):
        return f"target.unsqueeze({len(y)}), or input.squeeze({len(y)})"
    return "give both one shape; nothing is broadcast here"


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
    x, y = _broadcast("soft_margin_loss", input, target)
    return apply(p.soft_margin_loss, x, y, reduction=reduction)


def _broadcast(what: str, *tensors: Tensor) -> list[Tensor]:
    """The tensors in one floating point dtype and one shape."""
    check_tensors(what, **{f"argument {place}": x for place, x in enumerate(tensors)})
    found = promoted(*tensors)
    if not is_floating(_dtype(found[0])):
        found = [converted(x, default_dtype()) for x in found]
    shape = broadcast_shapes(*(x._value.shape for x in found), what=what)
    return [broadcast_to(x, shape) for x in found]


# --- distributions --------------------------------------------------------------------------


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
    x, y = _broadcast("kl_div", input, target)
    loss = apply(p.kl_div, x, y, log_target=bool(log_target), reduction=chosen)
    if batch_mean and input._value.ndim:
        return apply(div, loss, input._value.shape[0])
    return loss


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
    x, y = _broadcast("poisson_nll_loss", input, target)
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
    x, y, spread = _broadcast("gaussian_nll_loss", input, target, var)
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


# --- margins --------------------------------------------------------------------------------


def hinge_embedding_loss(
    input: Tensor,
    target: Tensor,
    margin: float = 1.0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Distances of pairs: x where the target is 1, max(0, margin - x) where it is -1."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    x, y = _broadcast("hinge_embedding_loss", input, target)
    return apply(p.hinge_embedding_loss, x, y, margin=float(margin), reduction=reduction)


def margin_ranking_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Which of two is larger: max(0, -target (input1 - input2) + margin)."""
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_tensors("margin_ranking_loss", input1=input1, input2=input2, target=target)
    ranks = {x._value.ndim for x in (input1, input2, target)}
    if len(ranks) > 1:
        raise ShapeError(
            explain(
                "margin_ranking_loss",
                f"sizes: input1: {tuple(input1.shape)}, input2: {tuple(input2.shape)}, target: "
                f"{tuple(target.shape)}",
                "All input tensors should have same dimension",
                "insert dimensions of size 1 with unsqueeze",
            )
        )
    x, z, y = _broadcast("margin_ranking_loss", input1, input2, target)
    return apply(p.margin_ranking_loss, x, z, y, margin=float(margin), reduction=reduction)


def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Angles of pairs: 1 - cos where the target is 1, max(0, cos - margin) where it is -1.

    Args:
        input1, input2: (batch, features) or (features,).
        target: (batch,) or ().
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_tensors("cosine_embedding_loss", input1=input1, input2=input2, target=target)
    _check_cosine(input1, input2, target)
    x, z = _broadcast("cosine_embedding_loss", input1, input2)
    y = converted(target, _dtype(x))
    return apply(p.cosine_embedding_loss, x, z, y, margin=float(margin), reduction=reduction)


def _check_cosine(input1: Tensor, input2: Tensor, target: Tensor) -> None:
    rank = target._value.ndim
    if rank > 1:
        rule = "0D or 1D target tensor expected, multi-target not supported"
    elif input1._value.ndim != rank + 1 or input2._value.ndim != rank + 1:
        rule = f"{rank}D target tensor expects {rank + 1}D input tensors"
    else:
        return
    shapes = ", ".join(str(tuple(x.shape)) for x in (input1, input2, target))
    raise ShapeError(
        explain("cosine_embedding_loss", f"shapes {shapes}", rule, "one target for each pair")
    )


def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, |anchor - positive| - |anchor - negative| + margin), with p-norms of features.

    Args:
        anchor, positive, negative: (batch, features) or (features,).
        swap: use the nearer of |anchor - negative| and |positive - negative|
            (Balntas 2016, Learning shallow convolutional feature descriptors with triplet losses).
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    _check_margin(margin)
    tensors = _broadcast("triplet_margin_loss", anchor, positive, negative)
    attrs: dict[str, Any] = {"margin": float(margin), "p": p, "eps": float(eps)}
    return apply(_triplet, *tensors, swap=bool(swap), reduction=reduction, **attrs)


_triplet = p.triplet_margin_loss  # the function above has a parameter called p
_distance, _triplet_hinge = p.pairwise_distance, p.triplet_hinge


def _check_margin(margin: float) -> None:
    if margin <= 0:
        raise ValueError(f"margin must be greater than 0, got {margin}")


def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps over the last dimension."""
    x, z = _broadcast("pairwise_distance", x1, x2)
    out = apply(_distance, x, z, p=p, eps=float(eps))
    return apply(_reshape, out, shape=(*out._value.shape, 1)) if keepdim else out


_reshape = p.reshape


def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Any = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with any distance; None means `pairwise_distance`."""
    chosen = chosen_reduction(reduction)
    _check_margin(margin)
    distance = pairwise_distance if distance_function is None else distance_function
    near, far = distance(anchor, positive), distance(anchor, negative)
    if swap:
        far = apply(minimum, far, distance(positive, negative))
    return apply(_triplet_hinge, near, far, margin=float(margin), reduction=chosen)


# --- many classes ---------------------------------------------------------------------------


def multilabel_soft_margin_loss(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """The mean over classes of binary cross entropies with logits.

    Args:
        input: scores (batch, classes).
        target: 0 or 1, the same shape.
        weight: of each class.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    x, y = _broadcast("multilabel_soft_margin_loss", input, target)
    w = None if weight is None else converted(weight, _dtype(x))
    return apply(p.multilabel_soft_margin_loss, x, y, w, reduction=reduction)


def multi_margin_loss(
    input: Tensor,
    target: Tensor,
    p: int = 1,
    margin: float = 1.0,
    weight: Tensor | None = None,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Sum over classes j other than y of weight[y] max(0, margin - x[y] + x[j])^p / classes.

    Args:
        input: scores (batch, classes) or (classes,).
        target: class indices (batch,) or ().
        p: 1 or 2.

    Raises:
        IndexError: if a target is not a class.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"only p == 1 and p == 2 supported: p is {p}")
    what = "multi_margin_loss"
    input, target = _rows_of_scores(input, target)
    weight = class_weight(what, weight, input, class_count(what, input, target))
    check_labels(what, input, target)
    no_gradient("multi_margin_loss", "weight", weight)
    attrs: dict[str, Any] = {"p": int(p), "margin": float(margin)}
    return apply(_multi_margin, input, target, weight, reduction=reduction, **attrs)


def _rows_of_scores(input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """One score is one class; one label of one sample may have a dimension or not."""
    check_tensors("multi_margin_loss", input=input, target=target)
    if input._value.ndim == 0:
        input = apply(_unsqueeze, input, dim=0)
    if input._value.ndim == 1 and target._value.shape == (1,):
        target = apply(_reshape, target, shape=())
    return input, target


_multi_margin, _unsqueeze = p.multi_margin_loss, p.unsqueeze


def multilabel_margin_loss(
    input: Tensor,
    target: Tensor,
    size_average: Flag = None,
    reduce: Flag = None,
    reduction: str = "mean",
) -> Tensor:
    """Sum over listed classes y and other classes j of max(0, 1 - x[y] + x[j]) / classes.

    Args:
        input: scores (batch, classes) or (classes,).
        target: int64 of the same shape: the listed classes, then -1.

    Raises:
        IndexError: if a listed class does not exist.
    """
    reduction = chosen_reduction(reduction, size_average, reduce)
    check_tensors("multilabel_margin_loss", input=input, target=target)
    check_floating("multilabel_margin_loss", input)
    if target._value.dtype.kind not in "iu":
        raise NotSupportedError(
            explain("multilabel_margin_loss", f"target is {target.dtype}", "classes are int64")
        )
    _check_equal_sizes("multilabel_margin_loss", input, target)
    if input._value.ndim == 0:
        input, target = apply(_unsqueeze, input, dim=0), apply(_unsqueeze, target, dim=0)
    return apply(p.multilabel_margin_loss, input, target, reduction=reduction)


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
