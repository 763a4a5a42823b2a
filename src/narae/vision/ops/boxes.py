"""Arithmetic of boxes: forms, areas, overlaps, clipping.

A box is four numbers in pixels, as `(x1, y1, x2, y2)` ("xyxy": two opposite corners), as
`(x1, y1, width, height)` ("xywh") or as `(centre x, centre y, width, height)` ("cxcywh").
"""

from typing import Any

from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor, stack, where
from narae.tensors import maximum as larger
from narae.tensors import minimum as smaller

FORMS = ("xyxy", "xywh", "cxcywh")


def check_boxes(boxes: Tensor, where_from: str) -> None:
    """Refuse what is not a tensor of boxes (..., 4).

    Args:
        boxes: the boxes.
        where_from: the function's name, for the message.

    Raises:
        ShapeError: the last size is not 4.
    """
    if boxes.ndim == 0 or boxes.shape[-1] != 4:
        rule = "boxes are (..., 4)"
        fix = "without boxes, give a tensor (0, 4)"
        raise ShapeError(explain(where_from, f"boxes are {tuple(boxes.shape)}", rule, fix))


def _check_form(form: str, where_from: str) -> None:
    if form not in FORMS:
        rule = f"boxes are given as one of {', '.join(FORMS)}"
        raise ConfigError(explain(where_from, f"the form is {form!r}", rule))


# --- forms and areas --------------------------------------------------------------------------


def box_convert(boxes: Tensor, in_fmt: str, out_fmt: str) -> Tensor:
    """Write boxes in another form.

    Args:
        boxes: (..., 4), in pixels.
        in_fmt: their form: "xyxy", "xywh" or "cxcywh".
        out_fmt: the form to return.

    Raises:
        ConfigError: another form.
        ShapeError: the last size is not 4.

    >>> import narae
    >>> box_convert(narae.tensor([[10.0, 20.0, 30.0, 60.0]]), "xyxy", "cxcywh")
    tensor([[20., 40., 20., 40.]])
    """
    _check_form(in_fmt, "box_convert")
    _check_form(out_fmt, "box_convert")
    check_boxes(boxes, "box_convert")
    if in_fmt == out_fmt:
        return boxes.clone()
    return _from_corners(_to_corners(boxes, in_fmt), out_fmt)


def _to_corners(boxes: Tensor, form: str) -> Tensor:
    if form == "xyxy":
        return boxes
    x, y, width, height = boxes.unbind(-1)
    if form == "cxcywh":
        x, y = x - 0.5 * width, y - 0.5 * height
    return stack((x, y, x + width, y + height), dim=-1)  # (..., 4)


def _from_corners(boxes: Tensor, form: str) -> Tensor:
    if form == "xyxy":
        return boxes
    x1, y1, x2, y2 = boxes.unbind(-1)
    if form == "cxcywh":
        return stack(((x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1), dim=-1)  # (..., 4)
    return stack((x1, y1, x2 - x1, y2 - y1), dim=-1)  # (..., 4)


def box_area(boxes: Tensor, fmt: str = "xyxy") -> Tensor:
    """The area of each box, in square pixels.

    Args:
        boxes: (..., 4).
        fmt: their form.

    >>> import narae
    >>> box_area(narae.tensor([[0.0, 0.0, 2.0, 3.0]]))
    tensor([6.])
    """
    _check_form(fmt, "box_area")
    check_boxes(boxes, "box_area")
    boxes = _wide(boxes)
    if fmt == "xyxy":
        return (boxes[..., 2] - boxes[..., 0]) * (boxes[..., 3] - boxes[..., 1])
    return boxes[..., 2] * boxes[..., 3]


def _wide(values: Tensor) -> Tensor:
    """In a dtype in which products of sides do not overflow."""
    if values.dtype.is_floating_point:
        return values if values.dtype.itemsize >= 4 else values.float()
    return values if values.dtype.itemsize >= 4 else values.int()


def _wide_float(values: Tensor) -> Tensor:
    return _wide(values) if values.dtype.is_floating_point else values.float()


# --- overlaps -----------------------------------------------------------------------------------


def _intersection_and_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    low = larger(boxes1[..., :, None, :2], boxes2[..., None, :, :2])  # (..., n, m, 2)
    high = smaller(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])  # (..., n, m, 2)
    sides = _wide(high - low).clamp(min=0)  # (..., n, m, 2)
    intersection = sides[..., 0] * sides[..., 1]  # (..., n, m)
    areas = box_area(boxes1)[..., :, None] + box_area(boxes2)[..., None, :]  # (..., n, m)
    return intersection, areas - intersection


def box_iou(boxes1: Tensor, boxes2: Tensor, fmt: str = "xyxy") -> Tensor:
    """Intersection over union (Jaccard index) of all pairs; nan for two boxes without area.

    Args:
        boxes1: (..., n, 4).
        boxes2: (..., m, 4).
        fmt: the form of both.

    Returns: (..., n, m), from 0 (apart) to 1 (equal).

    >>> import narae
    >>> box_iou(narae.tensor([[0.0, 0.0, 2.0, 2.0]]), narae.tensor([[1.0, 0.0, 3.0, 2.0]]))
    tensor([[0.3333]])
    """
    _check_form(fmt, "box_iou")
    check_boxes(boxes1, "box_iou")
    check_boxes(boxes2, "box_iou")
    corners1, corners2 = _to_corners(boxes1, fmt), _to_corners(boxes2, fmt)
    intersection, union = _intersection_and_union(corners1, corners2)
    return intersection / union


def generalized_box_iou(boxes1: Tensor, boxes2: Tensor) -> Tensor:
    """IoU less the share of the smallest enclosing box that neither of the two covers.

    Unlike IoU it still says how far apart two boxes are that do not touch: from -1 to 1.
    Rezatofighi et al. 2019, "Generalized Intersection over Union", algorithm 1.

    Args:
        boxes1: (..., n, 4) as corners.
        boxes2: (..., m, 4) as corners.

    Returns: (..., n, m).

    >>> import narae
    >>> generalized_box_iou(narae.tensor([[0.0, 0, 1, 1]]), narae.tensor([[3.0, 0, 4, 1]]))
    tensor([[-0.5000]])
    """
    check_boxes(boxes1, "generalized_box_iou")
    check_boxes(boxes2, "generalized_box_iou")
    intersection, union = _intersection_and_union(boxes1, boxes2)
    low = smaller(boxes1[..., :, None, :2], boxes2[..., None, :, :2])  # (..., n, m, 2)
    high = larger(boxes1[..., :, None, 2:], boxes2[..., None, :, 2:])  # (..., n, m, 2)
    sides = _wide(high - low).clamp(min=0)
    enclosing = sides[..., 0] * sides[..., 1]  # (..., n, m)
    return intersection / union - (enclosing - union) / enclosing


def generalized_box_iou_loss(
    boxes1: Tensor, boxes2: Tensor, reduction: str = "none", eps: float = 1e-7
) -> Tensor:
    """One less the generalized IoU of each pair: a loss with a gradient also for boxes apart.

    Args:
        boxes1: (..., 4) as corners.
        boxes2: (..., 4), the box that belongs to each.
        reduction: "none", "mean" or "sum".
        eps: keeps the quotients finite.

    Returns: (...,) or, reduced, ().

    >>> import narae
    >>> box = narae.tensor([[0.0, 0.0, 1.0, 1.0]])
    >>> generalized_box_iou_loss(box, box, reduction="sum").item() < 1e-6
    True
    """
    check_boxes(boxes1, "generalized_box_iou_loss")
    check_boxes(boxes2, "generalized_box_iou_loss")
    boxes1, boxes2 = _wide_float(boxes1), _wide_float(boxes2)
    low = larger(boxes1[..., :2], boxes2[..., :2])  # (..., 2)
    high = smaller(boxes1[..., 2:], boxes2[..., 2:])  # (..., 2)
    sides = high - low
    meet = (high > low).all(dim=-1)  # (...,)
    product = sides[..., 0] * sides[..., 1]
    intersection = where(meet, product, product.new_zeros(()))
    union = box_area(boxes1) + box_area(boxes2) - intersection
    around = larger(boxes1[..., 2:], boxes2[..., 2:]) - smaller(boxes1[..., :2], boxes2[..., :2])
    enclosing = around[..., 0] * around[..., 1]
    score = intersection / (union + eps) - (enclosing - union) / (enclosing + eps)
    return reduced(1 - score, reduction, "generalized_box_iou_loss")


def reduced(loss: Tensor, reduction: str, where_from: str) -> Tensor:
    """A loss as it is, its mean, or its sum; the mean of nothing is zero.

    Args:
        loss: one value a pair.
        reduction: "none", "mean" or "sum".
        where_from: the function's name, for the message.

    Raises:
        ConfigError: another reduction.
    """
    if reduction == "none":
        return loss
    if reduction == "sum" or (reduction == "mean" and loss.numel() == 0):
        return loss.sum()
    if reduction == "mean":
        return loss.mean()
    rule = "it is 'none', 'mean' or 'sum'"
    raise ConfigError(explain(where_from, f"reduction is {reduction!r}", rule))


# --- images -------------------------------------------------------------------------------------


def clip_boxes_to_image(boxes: Tensor, size: Any) -> Tensor:
    """Move corners that stand outside an image onto its edge.

    Args:
        boxes: (..., 4) as corners.
        size: (height, width) of the image.

    >>> import narae
    >>> clip_boxes_to_image(narae.tensor([[-5.0, 2.0, 8.0, 40.0]]), (20, 10))
    tensor([[ 0.,  2.,  8., 20.]])
    """
    check_boxes(boxes, "clip_boxes_to_image")
    height, width = size
    x1, y1, x2, y2 = boxes.unbind(-1)
    sides = [x.clamp(0, end) for x, end in ((x1, width), (y1, height), (x2, width), (y2, height))]
    return stack(sides, dim=-1)  # (..., 4)


def remove_small_boxes(boxes: Tensor, min_size: float) -> Tensor:
    """The places of those boxes whose width and height are at least `min_size`.

    Args:
        boxes: (n, 4) as corners.
        min_size: pixels.

    Returns: (k,) int64.

    >>> import narae
    >>> remove_small_boxes(narae.tensor([[0.0, 0, 9, 9], [3.0, 3, 3, 8]]), 1)
    tensor([0])
    """
    check_boxes(boxes, "remove_small_boxes")
    fits = (boxes[..., 2:] - boxes[..., :2] >= min_size).all(dim=-1)  # (n,)
    return where(fits)[0]
