"""Parts of a data set."""

import math
import warnings
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors.random import Generator, randperm

from .combined import samples_of
from .dataset import Dataset


class Subset(Dataset[Any]):
    """The samples of a data set at some indices, in their order.

    >>> subset = Subset("abcdef", [4, 0, 2])
    >>> len(subset), subset[0]
    (3, 'e')
    """

    def __init__(self, dataset: Any, indices: Sequence[int]) -> None:
        self.dataset, self.indices = dataset, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, list):
            return self.dataset[[self.indices[place] for place in index]]
        return self.dataset[self.indices[index]]

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        if type(self).__getitem__ is not Subset.__getitem__:
            return [self[index] for index in indices]
        return samples_of(self.dataset, [self.indices[place] for place in indices])

    def get_batch(self, indices: Sequence[int]) -> Any:
        """The samples collated, if the whole data set can do that and no method was replaced."""
        own = type(self)
        unchanged = own.__getitem__ is Subset.__getitem__
        if not unchanged or own.__getitems__ is not Subset.__getitems__:
            return None
        fetch = getattr(self.dataset, "get_batch", None)
        return fetch([self.indices[place] for place in indices]) if fetch else None


def random_split(
    dataset: Any, lengths: Sequence[int | float], generator: Generator | None = None
) -> list[Subset]:
    """Split a data set at random into parts that do not overlap; PyTorch's parts for a seed.

    Args:
        dataset: what to split.
        lengths: the sizes of the parts, or their shares: numbers that add up to 1. What shares
            leave over goes to the first parts, one sample each.
        generator: source of the shuffle; the default generator unless given.

    Raises:
        DataError: if the sizes do not add up to the number of samples.

    >>> import narae
    >>> parts = random_split(range(10), [0.7, 0.3], narae.Generator().manual_seed(42))
    >>> [len(part) for part in parts]
    [7, 3]
    """
    total = len(dataset)
    sizes = _sizes_of_shares(lengths, total) if _are_shares(lengths) else list(lengths)
    if sum(sizes) != total:
        given = f"the parts have {' + '.join(map(str, sizes))} = {sum(sizes)} samples"
        fix = "give sizes that add up, or shares that add up to 1"
        raise DataError(explain("random_split", given, f"the data set has {total}", fix))
    order = randperm(total, generator=generator).tolist()
    ends = accumulate(sizes)
    return [Subset(dataset, order[end - size : end]) for end, size in zip(ends, sizes, strict=True)]


def _are_shares(lengths: Sequence[int | float]) -> bool:
    return math.isclose(sum(lengths), 1) and sum(lengths) <= 1


def _sizes_of_shares(shares: Sequence[float], total: int) -> list[int]:
    for place, share in enumerate(shares):
        if not 0 <= share <= 1:
            given = f"share {place} is {share}"
            raise ConfigError(explain("random_split", given, "a share lies in 0 to 1"))
    sizes = [math.floor(total * share) for share in shares]
    for place in range(total - sum(sizes)):
        sizes[place % len(sizes)] += 1
    for place, size in enumerate(sizes):
        if not size:
            warnings.warn(f"Length of split at index {place} is 0.", stacklevel=3)
    return sizes
