"""`linear_cross_entropy`: a last layer and its loss in one, in pieces if memory is short."""

import math
from dataclasses import dataclass
from typing import Any

from narae.base.dtypes import DTYPES
from narae.base.errors import ConfigError, ShapeError
from narae.base.notices import warn_user
from narae.tensors import Tensor, cat
from narae.tensors.checkpoint import checkpoint
from narae.tensors.modes import modes

from .functional_losses import cross_entropy
from .linear import Linear, linear
from .losses import _WeightedLoss

_POLICIES = ("auto", "accurate", "balanced", "compact")
_ACCUMULATORS = ("float16", "bfloat16", "float32", "float64")


@dataclass(frozen=True, slots=True)
class LinearCrossEntropyOptions:
    """How `linear_cross_entropy` is cut into pieces, so that all scores never exist at once.

    Each piece of the batch is computed, and computed once more in the backward pass. Sums are
    exact in the dtype of the input whatever `acc_policy` and `acc_dtype` say; these two, and
    `allow_retain_graph`, are accepted for PyTorch's sake: every graph can be kept here.

    Args:
        batch_chunk_size: rows in a piece; by default as `chunking_method` says
        chunking_method: "aspect_ratio", "aspect_ratio:N" (pieces N times smaller) or "auto"
            ("aspect_ratio:2"): a piece's scores take as much memory as the input; None: one piece
    """

    allow_retain_graph: bool = False
    batch_chunk_size: int | None = None
    chunking_method: str | None = "auto"
    acc_policy: str = "auto"
    acc_dtype: Any = None

    def __post_init__(self) -> None:
        if self.acc_policy not in _POLICIES:
            raise ConfigError(f"invalid acc_policy: {self.acc_policy!r}; one of {_POLICIES}")
        if self.chunking_method not in (None, "auto"):
            _divisor(str(self.chunking_method))
        size = self.batch_chunk_size
        if size is not None and not (isinstance(size, int) and size > 0):
            raise ConfigError(f"batch_chunk_size must be positive int or None, got {size!r}")
        allowed = [None, *(DTYPES[name] for name in _ACCUMULATORS)]
        if not any(self.acc_dtype is dtype for dtype in allowed):
            raise ConfigError(f"acc_dtype must be one of {allowed}, got {self.acc_dtype!r}")

    def rows(self, batch: int, features: int, classes: int) -> int:
        """How many rows a piece has.

        Raises:
            ValueError: if `batch_chunk_size` and `chunking_method` say different things.

        >>> LinearCrossEntropyOptions().rows(batch=1024, features=64, classes=4096)
        8
        """
        method = self.chunking_method
        given = None if self.batch_chunk_size is None else min(self.batch_chunk_size, batch)
        if method is None or (method == "auto" and given is not None):
            return max(1, batch if given is None else given)
        found = _rows_by_shape(batch, features, classes, _divisor(method))
        if self.batch_chunk_size not in (None, found):
            raise ConfigError(
                f"batch_chunk_size (={self.batch_chunk_size}) and chunking_method ('{method}') "
                f"give different chunk sizes ({self.batch_chunk_size} vs {found}); pass only one."
            )
        return max(1, found)


def _divisor(method: str) -> int:
    """N of "aspect_ratio:N".

    >>> _divisor("aspect_ratio"), _divisor("aspect_ratio:4")
    (1, 4)
    """
    if method == "auto":
        return 2
    name, colon, number = method.partition(":")
    number = number if colon else "1"
    if name != "aspect_ratio" or not number.isdigit() or int(number) < 1:
        raise ConfigError(f"invalid chunking_method: {method!r}")
    return int(number)


def _rows_by_shape(batch: int, features: int, classes: int, divisor: int) -> int:
    """The power of two at which a piece's scores take as much memory as the input, divided."""
    wanted = -(-batch // -(-classes // features))
    return min((1 << (wanted - 1).bit_length()) // divisor, batch)


def linear_cross_entropy(
    input: Tensor,
    linear_weight: Tensor,
    target: Tensor,
    *,
    linear_bias: Tensor | None = None,
    weight: Tensor | None = None,
    reduction: str = "mean",
    ignore_index: int | None = None,
    label_smoothing: float = 0.0,
    options: LinearCrossEntropyOptions | None = None,
) -> Tensor:
    """Cross entropy of the scores `linear(input, linear_weight, linear_bias)`.

    Args:
        input: (batch, in_features), or (in_features,)
        linear_weight: (classes, in_features), or (classes, *d, in_features) for d targets a row
        target: class numbers (batch, *d), or probabilities (batch, classes, *d)
        linear_bias: (classes, *d)
        weight: (classes,), how much each class counts
        reduction: "none", "mean" or "sum"
        ignore_index: a target that does not count; -100 by default
        label_smoothing: 0 to 1
        options: compute in pieces; needs class numbers, no smoothing, no further dimensions

    >>> import narae
    >>> x, w = narae.zeros(4, 3), narae.zeros(10, 3)
    >>> target = narae.tensor([1, 2, 3, 4])
    >>> round(narae.nn.functional.linear_cross_entropy(x, w, target).item(), 4)
    2.3026
    """
    shape = _logits_shape(input, linear_weight, linear_bias)
    if tuple(target.shape) == shape and ignore_index is not None:
        raise ShapeError("ignore_index cannot be specified when target contains probabilities")
    how: dict[str, Any] = {
        "weight": weight,
        "reduction": reduction,
        "ignore_index": -100 if ignore_index is None else ignore_index,
        "label_smoothing": label_smoothing,
    }
    if options is not None:
        if _can_be_cut(linear_weight, target, reduction, label_smoothing):
            return _in_pieces(input, linear_weight, linear_bias, target, options, how)
        warn_user(
            "linear_cross_entropy: options ignored; pieces need reduction in "
            "{'mean', 'sum', 'none'}, label_smoothing == 0, target.dtype == int64, and a "
            f"two-dimensional linear_weight. Got {reduction=}, {label_smoothing=}, {target.dtype}, "
            f"{tuple(linear_weight.shape)}"
        )
    flat_weight = linear_weight.reshape(-1, input.shape[-1])
    flat_bias = None if linear_bias is None else linear_bias.reshape(-1)
    return cross_entropy(linear(input, flat_weight, flat_bias).reshape(shape), target, **how)


def _logits_shape(x: Any, w: Any, b: Any) -> tuple[int, ...]:
    """The shape of the scores, once everything fits."""
    if x.ndim not in (1, 2):
        raise ShapeError(f"expected input with dimensionality 1 or 2, got {x.ndim}")
    if w.ndim < 2:
        raise ShapeError(f"expected linear_weight with dimensionality at least 2, got {w.ndim}")
    if x.shape[-1] != w.shape[-1]:
        raise ShapeError(
            "expected equal input and linear_weight last dimensions (in_features), got "
            f"{x.shape[-1]} and {w.shape[-1]}, respectively"
        )
    wanted = tuple(w.shape[:-1])
    if b is not None and tuple(b.shape) != wanted:
        raise ShapeError(f"expected linear_bias shape {wanted}, got {tuple(b.shape)}")
    if w.ndim > 2 and x.ndim == 1:
        raise ShapeError(
            f"K-dimensional loss defined by linear_weight shape {tuple(w.shape)} requires batched "
            f"input, (N, {x.shape[-1]}), got unbatched input with shape {tuple(x.shape)}"
        )
    return (*x.shape[:-1], *wanted)


def _can_be_cut(w: Any, target: Any, reduction: str, smoothing: float) -> bool:
    known = reduction in ("mean", "sum", "none")
    return known and smoothing == 0 and target._value.dtype.name == "int64" and w.ndim == 2


def _in_pieces(x: Any, w: Any, b: Any, target: Any, options: Any, how: dict[str, Any]) -> Any:
    """The losses of all rows, some rows at a time, then the reduction."""
    rows, numbers = x.reshape(-1, x.shape[-1]), target.reshape(-1)
    if numbers.shape[0] != rows.shape[0]:
        return cross_entropy(linear(x, w, b), target, **how)  # which refuses it
    size = options.rows(rows.shape[0], rows.shape[1], w.shape[0])
    losses = [
        _piece(rows[start : start + size], w, b, numbers[start : start + size], how)
        for start in range(0, max(rows.shape[0], 1), size)
    ]
    loss = cat(losses)
    if how["reduction"] == "none":
        return loss.reshape(target.shape)
    total = loss.sum()
    if how["reduction"] == "sum":
        return total
    return total / _counted(numbers, how, loss)


def _piece(x: Any, w: Any, b: Any, target: Any, how: dict[str, Any]) -> Any:
    each = {**how, "reduction": "none"}

    def losses(x: Any, w: Any, b: Any) -> Any:
        return cross_entropy(linear(x, w, b), target, **each)

    wanted = any(part is not None and part.requires_grad for part in (x, w, b))
    return (
        checkpoint(losses, x, w, b, use_reentrant=False)
        if modes.grad and wanted
        else losses(x, w, b)
    )


def _counted(target: Any, how: dict[str, Any], loss: Any) -> Any:
    """How many targets count, or their weights' sum."""
    used = target != how["ignore_index"]
    if how["weight"] is None:
        return used.sum().to(loss.dtype)
    chosen = how["weight"][target * used]
    return (chosen * used.to(chosen.dtype)).sum()


class LinearCrossEntropyLoss(_WeightedLoss):
    """A linear layer and the cross entropy of its scores. See `functional.linear_cross_entropy`.

    Args:
        in_features: of the input
        num_classes: how many classes there are
        out_features: further dimensions of the target
        bias: whether the layer has one
        weight, reduction, ignore_index, label_smoothing: as for `CrossEntropyLoss`
        options: compute in pieces

    >>> import narae
    >>> loss = narae.nn.LinearCrossEntropyLoss(8, 10)
    >>> loss(narae.zeros(4, 8), narae.tensor([0, 1, 2, 3])).shape
    narae.Size([])
    """

    def __init__(
        self,
        in_features: int,
        num_classes: int,
        *,
        out_features: tuple[int, ...] = (),
        bias: bool = False,
        device: Any = None,
        dtype: Any = None,
        reduction: str = "mean",
        weight: Tensor | None = None,
        ignore_index: int | None = None,
        label_smoothing: float = 0.0,
        options: LinearCrossEntropyOptions | None = None,
    ) -> None:
        if weight is not None and tuple(weight.shape) != (num_classes,):
            raise ShapeError(
                f"expected weight shape to be {(num_classes,)}, got {tuple(weight.shape)}"
            )
        if not 0 <= label_smoothing <= 1:
            raise ConfigError(
                f"expected label_smoothing to be in range [0, 1], got {label_smoothing}"
            )
        super().__init__(weight, reduction=reduction)
        self.num_classes, self.out_features = num_classes, out_features
        self.ignore_index, self.label_smoothing = ignore_index, label_smoothing
        count = math.prod(out_features, start=num_classes)
        self.linear = Linear(in_features, count, bias=bias, device=device, dtype=dtype)
        self.options = options

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        shape = (self.num_classes, *self.out_features)
        bias = self.linear.bias
        return linear_cross_entropy(
            input,
            self.linear.weight.reshape(*shape, self.linear.in_features),
            target,
            linear_bias=None if bias is None else bias.reshape(shape),
            weight=self._buffers["weight"],
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
            options=self.options,
        )

    def extra_repr(self) -> str:
        names = ("out_features", "reduction", "ignore_index", "label_smoothing", "options")
        shown = {name: getattr(self, name) for name in names}
        parts = {
            "in_features": self.linear.in_features,
            "num_classes": self.num_classes,
            "out_features": shown.pop("out_features"),
            "bias": self.linear.bias is not None,
            **shown,
        }
        return ", ".join(f"{name}={value}" for name, value in parts.items())


__all__ = ["LinearCrossEntropyLoss", "LinearCrossEntropyOptions", "linear_cross_entropy"]
