"""Sequences of different lengths: padded, or packed without padding.

A packed sequence holds the steps of all sequences in order of time: first the first step of every
sequence, longest sequence first, then all second steps, and so on.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np

from narae import primitives as p
from narae.base.errors import DataError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import constant
from narae.tensors.eager import apply


class _Fields(NamedTuple):
    data: Any
    batch_sizes: Any
    sorted_indices: Any
    unsorted_indices: Any


class PackedSequence(_Fields):
    """Sequences of different lengths, packed; made by `pack_padded_sequence` or `pack_sequence`.

    Attributes:
        data: (rows, features), all steps of all sequences.
        batch_sizes: how many sequences have a step at each time, int64.
        sorted_indices: the order in which sequences were put, longest first; None for as given.
        unsorted_indices: the inverse of it.
    """

    __slots__ = ()

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> "PackedSequence":
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> "PackedSequence":
        """Convert the data."""
        data = self.data.to(*args, **kwargs)
        return self if data is self.data else PackedSequence(data, *self[1:])

    def double(self) -> "PackedSequence":
        return self.to(_dtypes().float64)

    def float(self) -> "PackedSequence":
        return self.to(_dtypes().float32)

    def half(self) -> "PackedSequence":
        return self.to(_dtypes().float16)

    def long(self) -> "PackedSequence":
        return self.to(_dtypes().int64)

    def int(self) -> "PackedSequence":
        return self.to(_dtypes().int32)

    def short(self) -> "PackedSequence":
        return self.to(_dtypes().int16)

    def char(self) -> "PackedSequence":
        return self.to(_dtypes().int8)

    def byte(self) -> "PackedSequence":
        return self.to(_dtypes().uint8)

    def cpu(self) -> "PackedSequence":
        return self

    def cuda(self, *args: Any, **kwargs: Any) -> "PackedSequence":
        """Move to a CUDA device."""
        return PackedSequence(self.data.cuda(*args, **kwargs), *self[1:])

    def pin_memory(self) -> "PackedSequence":
        """Itself: memory of the CPU has one kind."""
        return self

    def is_pinned(self) -> bool:
        return False

    @property
    def is_cuda(self) -> bool:
        return False


def _dtypes() -> Any:
    from narae.base import dtypes

    return dtypes


class Packing:
    """Where the rows of a packed sequence stand in a padded one.

    Attributes:
        batch: the number of sequences.
        mask: (time, batch, 1), whether a sequence has a step at a time.
    """

    def __init__(self, batch_sizes: Tensor) -> None:
        sizes = np.asarray(batch_sizes._array)
        self.batch = int(sizes[0])
        present = np.arange(self.batch) < sizes[:, None]  # (time, batch)
        self.mask = present[..., None]
        self._rows = np.where(present, np.cumsum(present).reshape(present.shape) - 1, 0)
        self._places = np.flatnonzero(present)

    def padded(self, x: Tensor) -> Tensor:
        """(rows, features) -> (time, batch, features); what stands where nothing is, is ignored."""
        return apply(p.take, x, constant(self._rows), dim=0)

    def packed(self, x: Tensor) -> Tensor:
        """(time, batch, ..) -> (rows, ..)."""
        time, batch, *rest = x._value.shape
        flat = apply(p.reshape, x, shape=(time * batch, *rest))
        return apply(p.take, flat, constant(self._places), dim=0)


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes another one."""
    if permutation is None:
        return None
    return constant(np.argsort(permutation._array))


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Pack sequences that were padded to one length.

    Args:
        input: (time, batch, ..), or (batch, time, ..) with `batch_first`.
        lengths: of each sequence.
        enforce_sorted: whether they must be in decreasing order already.

    Raises:
        RuntimeError: if the lengths do not fit.

    >>> import narae
    >>> x = narae.tensor([[1.0, 2.0], [3.0, 0.0]])
    >>> packed = narae.nn.utils.rnn.pack_padded_sequence(x, [2, 1], batch_first=True)
    >>> packed.data, packed.batch_sizes
    (tensor([1., 3., 2.]), tensor([2, 1]))
    """
    known = _as_lengths(lengths)
    order = None
    if not enforce_sorted:
        order = np.argsort(-known, kind="stable")
        known = known[order]
        input = apply(p.take, input, constant(order), dim=0 if batch_first else 1)
    x = _time_first(input) if batch_first else input
    _check_lengths(known, x)
    batch_sizes = (known > np.arange(known[0])[:, None]).sum(1)
    packing = Packing(constant(batch_sizes))
    steps = apply(p.slice_, x, **_first(x, int(known[0])))
    indices = None if order is None else constant(order)
    return PackedSequence(packing.packed(steps), constant(batch_sizes), indices, None)


def _as_lengths(lengths: Any) -> Any:
    found = lengths._array if isinstance(lengths, Tensor) else lengths
    return np.asarray(found).astype(np.int64)


def _time_first(x: Tensor) -> Tensor:
    return apply(p.transpose, x, dim0=0, dim1=1)


def _first(x: Tensor, length: int) -> dict[str, tuple[int, ...]]:
    """The slice of the first steps."""
    shape = tuple(x._value.shape)
    rank = len(shape)
    return {"start": (0,) * rank, "stop": (length, *shape[1:]), "step": (1,) * rank}


def _check_lengths(lengths: Any, x: Tensor) -> None:
    shape = tuple(x._value.shape)
    if lengths.shape != shape[1:2]:
        given, rule = f"{len(lengths)} lengths", f"Expected `len(lengths)` to be {shape[1]}"
    elif lengths.size == 0:
        given, rule = "no sequence", "Cannot pack empty tensors"
    elif lengths.min() <= 0:
        given = f"a length of {lengths.min()}"
        rule = "Length of all samples has to be greater than 0"
    elif (np.diff(lengths) > 0).any():
        given = f"lengths {lengths.tolist()}"
        rule = "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True"
        raise ShapeError(
            explain("pack_padded_sequence", given, rule, "enforce_sorted=False sorts them")
        )
    elif lengths[0] > shape[0]:
        given, rule = f"a length of {lengths[0]}", f"the input has {shape[0]} steps"
    else:
        return
    fix = "one length for each sequence, at most the padded length"
    raise ShapeError(explain("pack_padded_sequence", given, rule, fix))


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Unpack into one padded tensor: the inverse of `pack_padded_sequence`.

    Returns:
        (time, batch, ..) or (batch, time, ..), and the length of each sequence.
    """
    packing = Packing(sequence.batch_sizes)
    time, batch = packing.mask.shape[:2]
    if total_length is not None and total_length < time:
        raise ValueError(
            "Expected total_length to be at least the length of the longest sequence in input, "
            f"but got total_length={total_length} and max sequence length being {time}"
        )
    data = sequence.data
    mask = packing.mask.reshape(time, batch, *(1,) * (data._value.ndim - 1))
    filled = apply(p.where, constant(mask), packing.padded(data), _number(padding_value, data))
    if total_length is not None and total_length > time:
        filled = _padded(filled, 0, total_length - time, padding_value)
    lengths = packing.mask.sum((0, 2))
    if sequence.unsorted_indices is not None:
        filled = apply(p.take, filled, sequence.unsorted_indices, dim=1)
        lengths = lengths[sequence.unsorted_indices._array]
    return (_time_first(filled) if batch_first else filled), constant(lengths)


def _number(value: Any, like: Tensor) -> Any:
    return float(value) if like.is_floating_point() else int(value)


def _padded(x: Tensor, before: int, after: int, value: float) -> Tensor:
    """Steps of a constant before and after the others."""
    rest = (0,) * (x._value.ndim - 1)
    attrs = {"low": (before, *rest), "high": (after, *rest)}
    return apply(p.pad, x, value=_number(value, x), **attrs)


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (time, ..) of different lengths, padded to the longest one.

    Args:
        padding_side: "right" (after the steps) or "left".

    >>> import narae
    >>> a, b = narae.tensor([1, 2, 3]), narae.tensor([4])
    >>> narae.nn.utils.rnn.pad_sequence([a, b], batch_first=True)
    tensor([[1, 2, 3],
            [4, 0, 0]])
    """
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    found = list(sequences)
    if not found:
        raise DataError("[pad_sequence] received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise ValueError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    longest = max(x._value.shape[0] for x in found)
    dim = 0 if batch_first else 1
    rows = []
    for x in found:
        extra = longest - x._value.shape[0]
        before, after = (extra, 0) if padding_side == "left" else (0, extra)
        rows.append(apply(p.unsqueeze, _padded(x, before, after, padding_value), dim=dim))
    return apply(p.concat, *rows, dim=dim)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """The sequences of a padded tensor, without their padding."""
    x = padded_sequences if batch_first else _time_first(padded_sequences)
    rows = [apply(p.select, x, dim=0, index=place) for place in range(x._value.shape[0])]
    known = _as_lengths(lengths)
    return [apply(p.slice_, row, **_first(row, int(n))) for row, n in zip(rows, known, strict=True)]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack a list of sequences (time, ..)."""
    lengths = [x._value.shape[0] for x in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """The sequences of a packed one."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)


__all__ = [
    "PackedSequence",
    "invert_permutation",
    "pack_padded_sequence",
    "pack_sequence",
    "pad_packed_sequence",
    "pad_sequence",
    "unpack_sequence",
    "unpad_sequence",
]
