"""Samplers: in which order a loader visits the samples. Shuffles are PyTorch's for a seed."""

from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import islice
from typing import Any, Generic, TypeVar

import numpy as np

from narae.base.dtypes import INT64
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.tensors.creation import as_tensor
from narae.tensors.random import Generator, draw, multinomial, randint, randperm

Index = TypeVar("Index", covariant=True)
_TOGETHER = 32  # PyTorch draws with replacement in groups of 32, and the stream depends on it


def draw_seed(generator: Generator | None = None) -> int:
    """A seed for another stream: one full-range int64 from this one."""
    drawn = draw(generator, lambda engine: engine.random_((), INT64), (), INT64)
    return int(drawn.item())


class Sampler(Generic[Index]):
    """Base of samplers: define `__iter__`, and `__len__` if the number is known.

    Attributes:
        distinct: whether an index comes once at most in a pass. If it may come again, a data set's
            random numbers for it are other ones each time; keeping count of that takes memory.
    """

    distinct = False

    def __init__(self, data_source: Any = None) -> None:
        pass

    def __iter__(self) -> Iterator[Index]:
        given = f"{type(self).__name__} does not define __iter__"
        raise NotImplementedError(explain("Sampler", given, "a sampler yields indices"))


class SequentialSampler(Sampler[int]):
    """Every index, in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    distinct = True

    def __init__(self, data_source: Sized) -> None:
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Indices in random order; without a generator each pass has a stream seeded by the default.

    Args:
        data_source: what has a length.
        replacement: whether an index may come again before all have come.
        num_samples: how many to draw; all of them unless given.
        generator: source of random numbers.

    >>> import narae
    >>> list(RandomSampler("abcd", generator=narae.Generator().manual_seed(0)))
    [0, 1, 3, 2]
    """

    def __init__(
        self,
        data_source: Sized,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ) -> None:
        if not isinstance(replacement, bool):
            given = f"replacement is {replacement!r}"
            raise DTypeError(explain("RandomSampler", given, "it is True or False"))
        self.data_source, self.replacement = data_source, replacement
        self._num_samples, self.generator = num_samples, generator
        _check_positive("RandomSampler", "num_samples", self.num_samples)

    @property
    def distinct(self) -> bool:  # type: ignore[override]
        """Whether an index comes once at most in a pass."""
        return not self.replacement and self.num_samples <= len(self.data_source)

    @property
    def num_samples(self) -> int:
        """How many indices one pass draws."""
        return len(self.data_source) if self._num_samples is None else self._num_samples

    def __iter__(self) -> Iterator[int]:
        generator = self.generator
        if generator is None:
            generator = Generator().manual_seed(draw_seed())
        n, wanted = len(self.data_source), self.num_samples
        if self.replacement:
            for size in [_TOGETHER] * (wanted // _TOGETHER) + [wanted % _TOGETHER]:
                yield from randint(n, size=(size,), generator=generator).tolist()
        else:
            # The last, partial pass draws a whole shuffle even when none of it is used.
            for _ in range(wanted // n):
                yield from randperm(n, generator=generator).tolist()
            yield from randperm(n, generator=generator).tolist()[: wanted % n]

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Some indices, in random order."""

    def __init__(self, indices: Sequence[int], generator: Generator | None = None) -> None:
        self.indices, self.generator = indices, generator

    def __iter__(self) -> Iterator[int]:
        for place in randperm(len(self.indices), generator=self.generator).tolist():
            yield self.indices[place]

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Indices drawn in proportion to their weights, which need not add up to 1.

    Args:
        weights: (items,), none negative.
        num_samples: how many to draw.
        replacement: whether an index may come twice.
        generator: source of random numbers.
    """

    def __init__(
        self,
        weights: Any,
        num_samples: int,
        replacement: bool = True,
        generator: Generator | None = None,
    ) -> None:
        _check_positive("WeightedRandomSampler", "num_samples", num_samples)
        if not isinstance(replacement, bool):
            given = f"replacement is {replacement!r}"
            raise ConfigError(explain("WeightedRandomSampler", given, "it is True or False"))
        self.weights = as_tensor(np.asarray(weights, dtype=np.float64))
        if self.weights.ndim != 1:
            given = f"weights are {tuple(self.weights.shape)}"
            raise ShapeError(explain("WeightedRandomSampler", given, "they are (items,)"))
        self.num_samples, self.replacement = num_samples, replacement
        self.generator = generator

    def __iter__(self) -> Iterator[int]:
        drawn = multinomial(
            self.weights, self.num_samples, self.replacement, generator=self.generator
        )
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class DistributedSampler(Sampler[int]):
    """The share of one of several processes that train together; PyTorch's shares for a seed.

    Every process makes the same order and takes each `num_replicas`-th index, from its rank on. The
    order is filled up from its beginning (or cut, with `drop_last`) so that all shares are equal.

    Args:
        dataset: what has a length.
        num_replicas: how many processes there are.
        rank: which of them this is, from 0.
        shuffle: whether the order is random.
        seed: of the order; the same for all processes.
        drop_last: cut the rest off instead of filling up.

    Raises:
        ConfigError: without num_replicas and rank, since there are no process groups to ask.

    >>> [list(DistributedSampler(range(5), 2, rank, shuffle=False)) for rank in (0, 1)]
    [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(
        self,
        dataset: Sized,
        num_replicas: int | None = None,
        rank: int | None = None,
        shuffle: bool = True,
        seed: int = 0,
        drop_last: bool = False,
    ) -> None:
        if num_replicas is None or rank is None:
            given = f"num_replicas is {num_replicas}, rank is {rank}"
            rule = "both are needed: Narae has no process groups that would know them"
            raise ConfigError(explain("DistributedSampler", given, rule))
        if not 0 <= rank < num_replicas:
            given = f"Invalid rank {rank}"
            rule = f"rank should be in the interval [0, {num_replicas - 1}]"
            raise ConfigError(explain("DistributedSampler", given, rule))
        self.dataset, self.num_replicas, self.rank = dataset, num_replicas, rank
        self.shuffle, self.seed, self.drop_last, self.epoch = shuffle, seed, drop_last, 0
        items = len(dataset)
        self.num_samples = items // num_replicas if drop_last else -(-items // num_replicas)
        self.total_size = self.num_samples * num_replicas

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of a pass: the shuffle's seed is `seed + epoch`."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = list(range(len(self.dataset)))
        if self.shuffle:
            generator = Generator().manual_seed(self.seed + self.epoch)
            order = randperm(len(order), generator=generator).tolist()
        filled = order * max(1, -(-self.total_size // max(1, len(order))))
        return iter(filled[self.rank : self.total_size : self.num_replicas])

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """Groups what another sampler yields into lists of `batch_size` indices.

    >>> list(BatchSampler(SequentialSampler(range(5)), batch_size=2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool) -> None:
        _check_positive("BatchSampler", "batch_size", batch_size)
        if not isinstance(drop_last, bool):
            given = f"drop_last is {drop_last!r}"
            raise ConfigError(explain("BatchSampler", given, "it is True or False"))
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last

    def __iter__(self) -> Iterator[list[int]]:
        indices = iter(self.sampler)
        batch = list(islice(indices, self.batch_size))
        while len(batch) == self.batch_size or (batch and not self.drop_last):
            yield batch
            batch = list(islice(indices, self.batch_size))

    def __len__(self) -> int:
        items = len(self.sampler)  # type: ignore[arg-type]
        return items // self.batch_size if self.drop_last else -(-items // self.batch_size)


def _check_positive(what: str, name: str, value: Any) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or value <= 0:
        raise ConfigError(explain(what, f"{name} is {value!r}", "it is a positive whole number"))
