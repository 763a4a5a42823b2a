"""`embedding_bag`: sums, means or maxima of rows of a table, one for each bag of indices."""

from typing import Any, NamedTuple

import numpy as np

from narae import primitives as p
from narae.base.errors import (
    BoundsError,
    ConfigError,
    DTypeError,
    NotSupportedError,
    ShapeError,
    explain,
)
from narae.base.notices import warn_user
from narae.tensors import Tensor, cat, where
from narae.tensors.creation import constant
from narae.tensors.eager import apply
from narae.tensors.operands import numbers

from .sparse import Table, _check_indices, _limit_norms, _padding_row, table_size

MODES = ("sum", "mean", "max")


class _Bags(NamedTuple):
    """Which indices belong together.

    Attributes:
        index: (indices,), all bags one after the other
        offsets: (bags,), where each begins
        number: how many bags there are
        length: of each bag if all are equally long, else None
    """

    index: Any
    offsets: Any
    number: int
    length: int | None


def _bags(x: Any, offsets: Any, include_last_offset: bool) -> _Bags:
    if x.ndim == 2:
        if offsets is not None:
            raise ConfigError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                f"of fixed length sequences. However, found offsets of type {type(offsets)}"
            )
        count, length = x.shape
        return _Bags(x.reshape(-1), constant(np.arange(count) * length), count, length)
    if x.ndim != 1:
        raise ConfigError(f"input has to be 1D or 2D Tensor, but got Tensor of dimension {x.ndim}")
    if not isinstance(offsets, Tensor) or offsets.ndim != 1:
        raise ConfigError("offsets has to be a 1D Tensor, where each bag of the 1D input begins")
    if offsets._value.dtype.kind not in "iu":
        raise DTypeError(f"[embedding_bag] offsets must be integers, not {offsets.dtype}")
    _check_offsets(offsets, x.shape[0], include_last_offset)
    count = offsets.shape[0] - bool(include_last_offset)
    return _Bags(x, offsets.long()[:count], count, None)


def _check_offsets(offsets: Any, size: int, include_last: bool) -> None:
    if include_last and offsets.shape[0] < 1:
        raise ShapeError("[embedding_bag] include_last_offset: number of offsets should be >= 1")
    found = numbers(offsets)
    if found is None or found.size == 0:
        return
    if found[0] != 0:
        raise ConfigError(
            "[embedding_bag] offsets[0] has to be 0, i.e., the first sequence in the mini-batch "
            f"has to start from position 0. However, got {int(found[0])}"
        )
    if found[-1] > size or (np.diff(found) < 0).any():
        raise BoundsError(
            "[embedding_bag] offsets rise, and offsets[-1] can not be greater than input's length: "
            f"{found.tolist()} for {size} indices"
        )


def _bag_numbers(bags: _Bags) -> Any:
    """The bag of every index: how many bags begin at it or before, minus 1.

    before: offsets 0 2 2, four indices
    after:  0 0 2 2
    """
    size = bags.index.shape[0]
    begins = bags.offsets.new_zeros(size + 1)
    begins = begins.scatter_add(0, bags.offsets, bags.offsets.new_ones(bags.number))
    return begins[:size].cumsum(0) - 1


def _sums(rows: Any, bags: _Bags, of: Any) -> Any:
    """The sum of each bag: (indices, *) -> (bags, *)."""
    if bags.length is not None:
        return rows.reshape(bags.number, bags.length, *rows.shape[1:]).sum(1)
    empty_sums = rows.new_zeros(bags.number, *rows.shape[1:])
    return apply(p.index_add, empty_sums, of, rows, dim=0)


def _maxima(rows: Any, bags: _Bags, counted: Any) -> Any:
    """The largest of each bag, 0 for one without indices; gradients go to the first of equals."""
    size = bags.index.shape[0]
    if size == 0 or bags.number == 0:
        return _sums(rows, bags._replace(length=None), bags.index.long())  # zeros
    places, inside = _table(bags, size)  # (bags, longest)
    if counted is not None:
        inside = inside & apply(p.take, counted, places, dim=0)
    wide = apply(p.take, rows, places, dim=0)  # (bags, longest, features)
    wide = where(inside.unsqueeze(-1), wide, float("-inf"))
    largest, _ = apply(p.max_with_index, wide, dim=1, keepdim=False)
    return where(inside.any(1).unsqueeze(-1), largest, 0.0)


def _table(bags: _Bags, size: int) -> tuple[Any, Any]:
    """The places of the indices of each bag, one bag a row, and where there are some."""
    ends = constant(np.full(1, size))
    stops = bags.offsets[1:]
    lengths = cat([stops, ends]) - bags.offsets
    found = numbers(lengths)
    longest = max(int(found.max()), 1) if found is not None else size
    place = constant(np.arange(longest))
    places = (bags.offsets.unsqueeze(1) + place).clamp(max=size - 1)
    return places, place < lengths.unsqueeze(1)


def _check(x: Any, weight: Any, mode: str, scale: bool, sparse: bool, samples: Any) -> None:
    if samples is not None and tuple(samples.shape) != tuple(x.shape):
        raise ConfigError(
            f"embedding_bag: If per_sample_weights ({tuple(samples.shape)}) is not None, then it "
            f"must have the same shape as the input ({tuple(x.shape)})"
        )
    if weight.ndim != 2:
        raise ConfigError(
            f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.ndim}"
        )
    if mode not in MODES:
        raise ConfigError(f"mode has to be one of sum, mean or max, not {mode!r}")
    if mode == "max" and scale:
        raise ConfigError("max mode does not support scaling the gradient by the frequency")
    if sparse:
        raise NotSupportedError("[embedding_bag] sparse=True: sparse gradients are out of scope")
    if samples is None:
        return
    if mode != "sum":
        raise NotSupportedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}')"
        )
    if samples.dtype is not weight.dtype:
        raise DTypeError(
            explain(
                "embedding_bag",
                f"weight is {weight.dtype}, per_sample_weights are {samples.dtype}",
                "expected scalar type of both to be the same",
            )
        )


def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Rows of a table, added up (or averaged, or compared) over bags of indices.

    out[b] = sum over i in bag b of weight[input[i]]

    Args:
        input: integers; (bags, length), or (indices,) with all bags one after the other
        weight: (num_embeddings, embedding_dim)
        offsets: (bags,), where each bag of a one-dimensional input begins
        max_norm: rows that are used are first scaled down, in place, to at most this norm
        norm_type: which norm that is
        scale_grad_by_freq: divide gradients by how often a row is used
        mode: "sum", "mean" or "max"
        per_sample_weights: like the input; rows are multiplied by them before they are added
        include_last_offset: offsets has one more element, the number of indices
        padding_idx: an index that does not count and receives no gradient

    Returns:
        (bags, embedding_dim); 0 for an empty bag

    >>> import narae
    >>> table = narae.tensor([[1.0], [10.0], [100.0]])
    >>> bags = narae.tensor([0, 1, 2]), narae.tensor([0, 2])
    >>> narae.nn.functional.embedding_bag(bags[0], table, bags[1], mode="sum")
    tensor([[ 11.],
            [100.]])
    """
    x: Any = input
    if weight._value.dtype == np.int64 and x.is_floating_point():
        warn_user(
            "Argument order of nn.functional.embedding_bag was changed. Usage "
            "`embedding_bag(weight, input, ...)` is deprecated, and should now be "
            "`embedding_bag(input, weight, ...)`."
        )
        x, weight = weight, x
    _check(x, weight, mode, scale_grad_by_freq, sparse, per_sample_weights)
    bags = _bags(x, offsets, include_last_offset)
    _check_indices("embedding_bag", bags.index, weight.shape[0])
    padding = _padding_row(padding_idx, weight.shape[0])
    if max_norm is not None:
        _limit_norms(weight, bags.index, max_norm, norm_type)
    return _reduced(bags, weight, mode, scale_grad_by_freq, per_sample_weights, padding)


def _reduced(
    bags: _Bags, w: Any, mode: str, by_frequency: bool, samples: Any, padding: int | None
) -> Tensor:
    how = {"padding": padding, "by_frequency": bool(by_frequency)}
    rows: Any = apply(p.embedding, w, bags.index, **how)  # (indices, features)
    counted = None if padding is None else bags.index != padding
    if mode == "max":
        return _maxima(rows, bags, counted)
    if samples is not None:
        rows = rows * samples.reshape(-1, 1)
    if counted is not None:
        rows = where(counted.unsqueeze(1), rows, 0.0)
    of = None if bags.length is not None else _bag_numbers(bags)
    total = _sums(rows, bags, of)
    if mode == "sum":
        return total
    ones = rows.new_ones(rows.shape[0]) if counted is None else counted.to(rows.dtype)
    return total / _sums(ones, bags, of).clamp(min=1).unsqueeze(1)


class EmbeddingBag(Table):
    """Sums, means or maxima of rows of a learned table. See `functional.embedding_bag`.

    Args:
        num_embeddings, embedding_dim: the shape of the table
        max_norm, norm_type: scale rows that are used down to this norm
        scale_grad_by_freq: divide gradients by how often a row is used
        mode: "sum", "mean" or "max"
        include_last_offset: offsets has one more element, the number of indices
        padding_idx: an index that does not count; its row starts at 0

    >>> import narae
    >>> bag = narae.nn.EmbeddingBag(10, 3, mode="sum")
    >>> bag(narae.tensor([[1, 2, 4], [4, 3, 2]])).shape
    narae.Size([2, 3])
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        _weight: Tensor | None = None,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.max_norm, self.norm_type = max_norm, norm_type
        self.scale_grad_by_freq = scale_grad_by_freq
        self.padding_idx = _padding_row(padding_idx, num_embeddings)
        self._begin(_weight, True, device, dtype)
        self.mode, self.sparse = mode, sparse
        self.include_last_offset = include_last_offset

    @classmethod
    def from_pretrained(
        cls,
        embeddings: Tensor,
        freeze: bool = True,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        mode: str = "mean",
        sparse: bool = False,
        include_last_offset: bool = False,
        padding_idx: int | None = None,
    ) -> "EmbeddingBag":
        """A layer around a given table; frozen unless said otherwise."""
        rows, columns = table_size(embeddings)
        bag = cls(
            rows,
            columns,
            max_norm,
            norm_type,
            scale_grad_by_freq,
            mode,
            sparse,
            embeddings,
            include_last_offset,
            padding_idx,
        )
        bag.weight.requires_grad = not freeze
        return bag

    def forward(
        self,
        input: Tensor,
        offsets: Tensor | None = None,
        per_sample_weights: Tensor | None = None,
    ) -> Tensor:
        return embedding_bag(
            input,
            self.weight,
            offsets,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
            self.mode,
            self.sparse,
            per_sample_weights,
            self.include_last_offset,
            self.padding_idx,
        )

    def extra_repr(self) -> str:
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        for name, usual in (("max_norm", None), ("norm_type", 2), ("scale_grad_by_freq", False)):
            if getattr(self, name) != usual:
                text += f", {name}={getattr(self, name)!r}"
        text += f", mode={self.mode!r}"
        return text if self.padding_idx is None else f"{text}, padding_idx={self.padding_idx}"


__all__ = ["EmbeddingBag", "embedding_bag"]
