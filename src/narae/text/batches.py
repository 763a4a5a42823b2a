"""Batches of sequences of unequal length: padded to a few lengths, or packed.

A compiled step is traced once for each shape; with length buckets there are a few shapes only.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain
from narae.data import Dataset, Sampler, default_collate
from narae.data.sampler import draw_seed
from narae.nn.utils.rnn import PackedSequence, pack_sequence
from narae.tensors import Tensor
from narae.tensors.creation import as_tensor
from narae.tensors.random import Generator, randperm

from .ids import Ids, as_ids

_NEVER = 1 << 62


class TokenDataset(Dataset[tuple[Any, ...]]):
    """Columns of sequences of ids, and of labels; sample i is the tuple of their i-th entries.

    Args:
        *columns: each a list of sequences of ids, or a list of integers, (items,).

    Attributes:
        lengths: of the longest sequence of each sample, (items,).

    Raises:
        DataError: if a sequence is empty or no row of integers, or there is none.
        ShapeError: if the columns differ in length.

    >>> dataset = TokenDataset([[5, 6], [7, 8, 9]], [0, 1])
    >>> dataset[1], dataset.lengths
    ((tensor([7, 8, 9]), 1), [2, 3])
    """

    def __init__(self, *columns: Sequence[Any]) -> None:
        sizes = [len(column) for column in columns]
        if not sizes or len(set(sizes)) != 1:
            given = f"the columns have {', '.join(map(str, sizes)) or 'no'} entries"
            rule = "all have one length: the number of samples"
            raise ShapeError(explain("TokenDataset", given, rule))
        if not sizes[0]:
            raise DataError(explain("TokenDataset", "it is empty", "it holds at least one sample"))
        self.columns = [_as_column(place, column) for place, column in enumerate(columns)]
        texts = [column for column in self.columns if not isinstance(column[0], int)]
        if not texts:
            raise DataError(explain("TokenDataset", "no column holds sequences", "one must"))
        self.lengths = [max(len(entry) for entry in row) for row in zip(*texts, strict=True)]

    def __getitem__(self, index: int) -> tuple[Any, ...]:
        entries = [column[index] for column in self.columns]
        return tuple(entry if isinstance(entry, int) else as_tensor(entry) for entry in entries)

    def __len__(self) -> int:
        return len(self.lengths)


def _as_column(place: int, column: Sequence[Any]) -> list[Any]:
    column = column.tolist() if isinstance(column, Tensor) else column
    if all(isinstance(label, int | np.integer) for label in column):
        return [int(label) for label in column]
    where = f"TokenDataset, column {place}, sample"
    return [_as_sequence(f"{where} {index}", sequence) for index, sequence in enumerate(column)]


def _as_sequence(where: str, sequence: Any) -> Ids:
    ids = as_ids(where, sequence)
    if not ids.size:
        fix = "leave it out, or begin and end each one with bos and eos"
        rule = "a sequence has at least one id"
        raise DataError(explain(where, "the sequence is empty", rule, fix))
    return ids


def length_bounds(lengths: Sequence[int], buckets: int = 6, multiple: int = 8) -> list[int]:
    """The lengths to pad to that add the least padding to all samples together.

    Args:
        lengths: of the samples, (items,).
        buckets: how many there are at most.
        multiple: each is a multiple of it.

    Returns:
        Rising lengths; the last is at least the longest sample's.

    Raises:
        ConfigError: if a number is less than 1.
        DataError: if there are no lengths, or one is less than 1.

    Example:
        >>> length_bounds([3, 5, 9, 14, 31], buckets=2)
        [16, 32]
    """
    if buckets < 1 or multiple < 1:
        given = f"buckets is {buckets}, multiple is {multiple}"
        raise ConfigError(explain("length_bounds", given, "both are at least 1"))
    _check_lengths("length_bounds", lengths)
    rounded = -(-np.asarray(lengths) // multiple) * multiple
    candidates, counts = np.unique(rounded, return_counts=True)
    below = np.concatenate([[0], np.cumsum(counts)])  # samples that fit the candidates before
    # Of the samples that fit the first k candidates: the least ids in all, and the bounds for it.
    least = np.array([0, *[_NEVER] * len(candidates)])
    bounds: list[list[int]] = [[] for _ in least]
    for _ in range(min(buckets, len(candidates))):
        for k in range(len(candidates), 0, -1):  # downwards: least[:k] has one bound fewer
            ids = least[:k] + candidates[k - 1] * (below[k] - below[:k])  # the last bound is k's
            before = int(ids.argmin())
            if ids[before] < least[k]:
                least[k], bounds[k] = ids[before], [*bounds[before], int(candidates[k - 1])]
    return bounds[-1]


class LengthBuckets(Sampler[list[int]]):
    """Batches of samples of similar length: a `batch_sampler`.

    Samples are visited in their order, or shuffled, and each waits in the bucket of the least
    bound that it fits; a bucket that is full is a batch. What is left at the end are smaller
    batches, shortest bucket first, unless they are dropped.

    Args:
        lengths: of the samples, (items,).
        bounds: rising lengths, as `length_bounds` finds them.
        batch_size: samples a batch; or
        max_tokens: ids a batch, so that batches of short samples have more of them.
        shuffle: whether the order is random.
        drop_last: leave the smaller batches out, so that each bucket has one shape only; a
            bucket with fewer samples than a batch is then never seen.
        generator: source of the shuffle.

    Attributes:
        dropped: how many samples a pass leaves out.

    Raises:
        ConfigError: unless exactly one of `batch_size` and `max_tokens` is given and in range.
        DataError: if a sample is longer than the last bound (nothing is cut off), or `drop_last`
            leaves no batch.

    >>> list(LengthBuckets([2, 9, 3, 8, 4], bounds=[4, 9], batch_size=2))
    [[0, 2], [1, 3], [4]]
    """

    distinct = True

    def __init__(
        self,
        lengths: Sequence[int],
        bounds: Sequence[int],
        batch_size: int | None = None,
        max_tokens: int | None = None,
        shuffle: bool = False,
        drop_last: bool = False,
        generator: Generator | None = None,
    ) -> None:
        _check_lengths("LengthBuckets", lengths)
        self.bounds, self.shuffle, self.drop_last = _rising(bounds), shuffle, drop_last
        self.generator = generator
        self.sizes = self._batch_sizes(batch_size, max_tokens)
        self.buckets = [bucket_of(length, self.bounds) for length in lengths]
        counts = np.bincount(self.buckets, minlength=len(self.bounds)).tolist()
        pairs = list(zip(counts, self.sizes, strict=True))
        self.dropped = sum(count % size for count, size in pairs) if drop_last else 0
        self._batches = sum(
            count // size if drop_last else -(-count // size) for count, size in pairs
        )
        if not self._batches:
            given = f"no bucket of {counts} samples fills a batch of {self.sizes}"
            fix = "a smaller batch_size or max_tokens, or drop_last=False"
            raise DataError(explain("LengthBuckets", given, "drop_last leaves one or more", fix))

    def _batch_sizes(self, batch_size: int | None, max_tokens: int | None) -> list[int]:
        if (batch_size is None) == (max_tokens is None):
            given = f"batch_size is {batch_size}, max_tokens is {max_tokens}"
            raise ConfigError(explain("LengthBuckets", given, "exactly one of them is given"))
        sizes = [batch_size or (max_tokens or 0) // bound for bound in self.bounds]
        if min(sizes) < 1:
            given = f"batch_size is {batch_size}, max_tokens is {max_tokens}"
            rule = f"a batch holds at least one sample, of {self.bounds[-1]} ids in the last bucket"
            raise ConfigError(explain("LengthBuckets", given, rule))
        return sizes

    def __iter__(self) -> Iterator[list[int]]:
        waiting: list[list[int]] = [[] for _ in self.bounds]
        for index in self._order():
            bucket = self.buckets[index]
            waiting[bucket].append(index)
            if len(waiting[bucket]) == self.sizes[bucket]:
                yield waiting[bucket]
                waiting[bucket] = []
        if not self.drop_last:
            yield from (batch for batch in waiting if batch)

    def _order(self) -> Sequence[int]:
        if not self.shuffle:
            return range(len(self.buckets))
        # As RandomSampler: without a generator each pass has a stream seeded by the default.
        generator = self.generator or Generator().manual_seed(draw_seed())
        return randperm(len(self.buckets), generator=generator).tolist()

    def __len__(self) -> int:
        return self._batches


class Padded:
    """A `collate_fn`: sequences padded to the least bound that fits the longest of the batch.

    Args:
        bounds: rising lengths; without them, the longest sequence's length.
        pad_id: what they are filled up with; or one for each column of sequences, such as
            (0, -100) for tokens and their tags, which a loss then leaves out.

    Raises:
        ConfigError: if there are not as many `pad_id` as columns of sequences.
        DataError: for a sequence longer than the last bound; nothing is cut off.

    >>> dataset = TokenDataset([[5, 6], [7, 8, 9]], [0, 1])
    >>> ids, labels = Padded(bounds=[4])([dataset[0], dataset[1]])
    >>> ids
    tensor([[5, 6, 0, 0],
            [7, 8, 9, 0]])
    """

    def __init__(
        self, bounds: Sequence[int] | None = None, pad_id: int | Sequence[int] = 0
    ) -> None:
        self.bounds = None if bounds is None else _rising(bounds)
        self.pad_id = pad_id

    def __call__(self, samples: Sequence[Any]) -> Any:
        if isinstance(samples[0], Tensor):
            return self([(sample,) for sample in samples])[0]
        columns = list(zip(*samples, strict=True))
        places = [place for place, column in enumerate(columns) if _is_sequence(column[0])]
        pad_ids = self._pad_ids(places)
        length = max((len(entry) for place in places for entry in columns[place]), default=0)
        if self.bounds is not None:
            length = self.bounds[bucket_of(length, self.bounds)]
        return [
            pad(column, pad_ids[place], length) if place in pad_ids else default_collate(column)
            for place, column in enumerate(columns)
        ]

    def _pad_ids(self, places: list[int]) -> dict[int, int]:
        """What each column of sequences, by its place, is filled up with."""
        if isinstance(self.pad_id, int):
            return dict.fromkeys(places, self.pad_id)
        if len(self.pad_id) != len(places):
            given = f"pad_id is {tuple(self.pad_id)}, and {len(places)} columns hold sequences"
            raise ConfigError(explain("Padded", given, "each of them has one"))
        return dict(zip(places, self.pad_id, strict=True))


def pad(sequences: Sequence[Any], pad_id: int = 0, length: int | None = None) -> Tensor:
    """Sequences of ids as one tensor (batch, time), int64, filled up with `pad_id`.

    Args:
        sequences: of ids, each (time,).
        pad_id: what they are filled up with.
        length: of the result; the longest sequence's unless given.

    Raises:
        DataError: if there is no sequence, or one is empty, or is longer than `length`; nothing is
            cut off.

    Example:
        >>> pad([[5, 6, 7], [8]])
        tensor([[5, 6, 7],
                [8, 0, 0]])
    """
    if not len(sequences):
        raise DataError(explain("pad", "there are no sequences", "a batch has at least one"))
    longest = max(len(sequence) for sequence in sequences)
    length = longest if length is None else length
    if longest > length:
        given = f"a sequence has {longest} ids"
        fix = "raise the length, or cut the sequence off yourself"
        raise DataError(explain("pad", given, f"none is longer than {length}", fix))
    padded = np.full((len(sequences), length), pad_id, dtype=np.int64)  # (batch, time)
    for index, (row, sequence) in enumerate(zip(padded, sequences, strict=True)):
        row[: len(sequence)] = _as_sequence(f"pad, sequence {index}", sequence)
    return as_tensor(padded)


def padding_mask(ids: Tensor, pad_id: int = 0) -> Tensor:
    """(batch, time), bool: True where a token is padding, as attention's key_padding_mask.

    >>> padding_mask(pad([[5, 6], [7]]))
    tensor([[False, False],
            [False,  True]])
    """
    return ids.eq(pad_id)


def lengths_of(ids: Tensor, pad_id: int = 0) -> Tensor:
    """How many tokens of each row are no padding, (batch,), int64.

    >>> lengths_of(pad([[5, 6], [7]]))
    tensor([2, 1])
    """
    return ids.ne(pad_id).sum(dim=1)


def packed(samples: Sequence[Any]) -> tuple[PackedSequence, list[Any]]:
    """A `collate_fn`: the first entry of each sample in a `PackedSequence`, the others collated.

    Args:
        samples: tuples, as `TokenDataset` gives them; the others are labels or of one length.

    Returns:
        The packed sequences, which know the samples' order, and a tensor for each other entry.

    >>> dataset = TokenDataset([[5, 6], [7, 8, 9]], [0, 1])
    >>> sequences, (labels,) = packed([dataset[0], dataset[1]])
    >>> sequences.batch_sizes, sequences.sorted_indices
    (tensor([2, 2, 1]), tensor([1, 0]))
    """
    first, *others = zip(*samples, strict=True)
    sequences = pack_sequence(list(first), enforce_sorted=False)
    return sequences, [default_collate(column) for column in others]


def bucket_of(length: int, bounds: Sequence[int]) -> int:
    """The first bucket whose bound is at least a length.

    Raises:
        DataError: if it is longer than the last bound.

    Example:
        >>> bucket_of(9, [8, 16])
        1
    """
    for bucket, bound in enumerate(bounds):
        if length <= bound:
            return bucket
    given = f"a sequence has {length} ids"
    fix = "add a bound, leave the sequence out, or cut it off yourself"
    raise DataError(explain("LengthBuckets", given, f"the last bound is {bounds[-1]}", fix))


def _is_sequence(entry: Any) -> bool:
    return isinstance(entry, Tensor) and entry.ndim == 1


def _rising(bounds: Sequence[int]) -> list[int]:
    bounds = list(bounds)
    if not bounds or bounds[0] < 1 or bounds != sorted(set(bounds)):
        raise ConfigError(explain("LengthBuckets", f"bounds are {bounds}", "they rise from 1 on"))
    return bounds


def _check_lengths(where: str, lengths: Sequence[int]) -> None:
    if not len(lengths) or min(lengths) < 1:
        given = "there are no lengths" if not len(lengths) else f"a length is {min(lengths)}"
        raise DataError(explain(where, given, "each sample has at least one id"))
