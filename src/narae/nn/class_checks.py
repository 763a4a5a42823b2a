"""What losses of class scores check: labels, probabilities, smoothing."""

from narae.base.dtypes import INT64, is_floating, uint8
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.tensors import Tensor

from .loss_checks import check_floating, check_tensors

_LABELS = (uint8.numpy, INT64)


def class_count(what: str, input: Tensor, target: Tensor) -> int:
    """The number of classes: the size of dimension 1, or of the only dimension.

    Raises:
        TypeError: if one is not a tensor.
        ValueError: for a 0-d input.
    """
    if not (isinstance(input, Tensor) and isinstance(target, Tensor)):
        check_tensors(what, input=input, target=target)
    if input._value.dtype.kind != "f":
        check_floating(what, input)
    shape = input._value.shape
    if not shape:
        raise ShapeError(
            explain(
                what,
                "Expected 1 or more dimensions (got 0)",
                "scores are (classes,) or (batch, classes, ..)",
                "input.unsqueeze(0)",
            )
        )
    return int(shape[min(1, len(shape) - 1)])


def refuse_smoothing(label_smoothing: float) -> None:
    """Say what label_smoothing may be."""
    raise ConfigError(
        "[cross_entropy] label_smoothing must be between 0.0 and 1.0. Got: "
        f"{label_smoothing}. Fix: 0.1 is common"
    )


def is_probabilities(input: Tensor, target: Tensor) -> bool:
    """Whether the target holds a probability for every class, by its shape."""
    return bool(target._value.shape == input._value.shape)


def check_probabilities(target: Tensor, ignore_index: int) -> None:
    """Refuse integers, and indices that would be ignored, among probabilities."""
    if not is_floating(target._value.dtype):
        raise DTypeError(
            explain(
                "cross_entropy",
                "Expected floating point type for target with class probabilities, got "
                f"{target.dtype}",
                "a target of the input's shape holds probabilities",
                "target.argmax(1) for one-hot labels, or target.float()",
            )
        )
    if ignore_index >= 0:
        raise ShapeError(
            explain(
                "cross_entropy",
                f"ignore_index is {ignore_index}",
                "ignore_index is not supported for floating point target",
                "leave it out",
            )
        )


def check_labels(what: str, input: Tensor, target: Tensor) -> None:
    """Refuse labels whose shape or dtype does not fit the scores; the numbers are checked later."""
    x, y = input._value, target._value
    wanted = x.shape[:1] * (x.ndim > 1) + x.shape[2:]
    if y.shape != wanted:
        _refuse_shape(what, tuple(x.shape), tuple(y.shape), tuple(wanted))
    if y.dtype != INT64 and y.dtype not in _LABELS:
        raise DTypeError(
            explain(
                what,
                f"expected target dtype to be Long or Byte, but got {target.dtype}",
                "labels are class indices",
                "target.long()",
            )
        )


def _refuse_shape(
    what: str, x: tuple[int, ...], y: tuple[int, ...], wanted: tuple[int, ...]
) -> None:
    given = f"input is {x}, target is {y}"
    fix = f"a target of shape {wanted}"
    if len(x) <= 2:
        if len(y) > 1:
            rule = "0D or 1D target tensor expected, multi-target not supported"
            if y == (*wanted, 1):
                fix = "target.squeeze(1)"
        else:
            batch = x[0] if len(x) > 1 else 1
            count = y[0] if y else 1
            rule = f"Expected input batch_size ({batch}) to match target batch_size ({count})"
    elif len(y) != len(wanted):
        rule = (
            f"only batches of spatial targets supported ({len(wanted)}D tensors) but got targets "
            f"of dimension: {len(y)}"
        )
    else:
        rule = "target has the input's sizes without the classes (dimension 1)"
    raise ShapeError(explain(what, given, rule, fix))
