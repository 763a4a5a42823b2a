"""Losses of margins and distances as functions, with PyTorch's signatures."""

from typing import Any

from narae import primitives as p
from narae.base.errors import NotSupportedError, ShapeError, explain
from narae.primitives.elementwise import minimum
from narae.tensors import Tensor
from narae.tensors.autocast import in_float32
from narae.tensors.eager import apply, converted

from .class_checks import check_labels, class_count
from .loss_checks import (
    check_equal_sizes,
    check_floating,
    check_tensors,
    chosen_reduction,
    class_weight,
    in_one_shape,
    no_gradient,
)

Flag = bool | None


@in_float32
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
    x, y = in_one_shape("hinge_embedding_loss", input, target)
    return apply(p.hinge_embedding_loss, x, y, margin=float(margin), reduction=reduction)


@in_float32
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
    x, z, y = in_one_shape("margin_ranking_loss", input1, input2, target)
    return apply(p.margin_ranking_loss, x, z, y, margin=float(margin), reduction=reduction)


@in_float32
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
    x, z = in_one_shape("cosine_embedding_loss", input1, input2)
    y = converted(target, x._value.dtype)
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


@in_float32
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
    tensors = in_one_shape("triplet_margin_loss", anchor, positive, negative)
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
    x, z = in_one_shape("pairwise_distance", x1, x2)
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
    x, y = in_one_shape("multilabel_soft_margin_loss", input, target)
    w = None if weight is None else converted(weight, x._value.dtype)
    return apply(p.multilabel_soft_margin_loss, x, y, w, reduction=reduction)


@in_float32
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


@in_float32
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
    check_equal_sizes("multilabel_margin_loss", input, target)
    if input._value.ndim == 0:
        input, target = apply(_unsqueeze, input, dim=0), apply(_unsqueeze, target, dim=0)
    return apply(p.multilabel_margin_loss, input, target, reduction=reduction)


__all__ = [
    "cosine_embedding_loss",
    "hinge_embedding_loss",
    "margin_ranking_loss",
    "multi_margin_loss",
    "multilabel_margin_loss",
    "multilabel_soft_margin_loss",
    "pairwise_distance",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]
