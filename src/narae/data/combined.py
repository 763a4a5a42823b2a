"""Data sets made of data sets: one after another, or side by side."""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any

from narae.base.errors import BoundsError, DataError, ShapeError, explain

from .dataset import Dataset, IterableDataset
from .streams import begin_sample


class ConcatDataset(Dataset[Any]):
    """Several data sets, one after the other; `first + second` makes one too.

    >>> joined = ConcatDataset([range(3), range(10, 12)])
    >>> len(joined), joined[3], joined[-1]
    (5, 10, 11)
    """

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        if not self.datasets:
            raise DataError(explain("ConcatDataset", "no data set is given", "it joins some"))
        for dataset in self.datasets:
            if isinstance(dataset, IterableDataset):
                given = f"{type(dataset).__name__} is an IterableDataset"
                rule = "only data sets with an index can be joined so"
                raise DataError(explain("ConcatDataset", given, rule, "use ChainDataset"))
        self.cumulative_sizes = list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        if not -len(self) <= index < len(self):
            given = f"index {index}"
            rule = f"{len(self)} samples have the indices 0 to {len(self) - 1}"
            raise BoundsError(explain("ConcatDataset", given, rule))
        index = index % len(self)
        place = bisect_right(self.cumulative_sizes, index)
        before = self.cumulative_sizes[place - 1] if place else 0
        return self.datasets[place][index - before]


class ChainDataset(IterableDataset[Any]):
    """Several streams, one after the other."""

    def __init__(self, datasets: Iterable[Any]) -> None:
        self.datasets = list(datasets)
        for dataset in self.datasets:
            if not isinstance(dataset, IterableDataset):
                given = f"{type(dataset).__name__} is no IterableDataset"
                fix = "use ConcatDataset for data sets with an index"
                raise DataError(explain("ChainDataset", given, "it chains streams", fix))

    def __iter__(self) -> Iterator[Any]:
        for dataset in self.datasets:
            yield from dataset

    def __len__(self) -> int:
        return sum(len(dataset) for dataset in self.datasets)


class StackDataset(Dataset[Any]):
    """Data sets side by side: sample i is a tuple (or, given by name, a dict) of their i-th ones.

    >>> StackDataset(x=range(3), y=range(10, 13))[1]
    {'x': 1, 'y': 11}
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if bool(args) == bool(kwargs):
            given = "both positional and named data sets" if args else "no data set"
            raise DataError(explain("StackDataset", given, "give them one way or the other"))
        self.datasets: Any = args or kwargs
        lengths = [len(dataset) for dataset in args or kwargs.values()]
        if len(set(lengths)) != 1:
            given = f"the data sets have {', '.join(map(str, lengths))} samples"
            raise ShapeError(explain("StackDataset", given, "side by side, lengths must be equal"))
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: Any) -> Any:
        if isinstance(self.datasets, dict):
            return {name: dataset[index] for name, dataset in self.datasets.items()}
        return tuple(dataset[index] for dataset in self.datasets)

    def __getitems__(self, indices: Sequence[int]) -> list[Any]:
        if isinstance(self.datasets, dict):
            columns = [samples_of(part, indices, name) for name, part in self.datasets.items()]
            return [
                dict(zip(self.datasets, row, strict=True)) for row in zip(*columns, strict=True)
            ]
        parts = enumerate(self.datasets)
        return list(zip(*(samples_of(part, indices, n) for n, part in parts), strict=True))


def samples_of(dataset: Any, indices: Sequence[Any], part: Any = None) -> list[Any]:
    """The samples at `indices`, together if the data set can do that.

    Args:
        dataset: where they are.
        indices: of the samples.
        part: which of several data sets side by side it is; each draws its own random numbers.

    Raises:
        DataError: if it returns more or fewer.
    """
    fetch_many = getattr(dataset, "__getitems__", None)
    if not fetch_many:
        return [sample_at(dataset, index, place, part) for place, index in enumerate(indices)]
    begin_sample(("many", part, *indices))
    samples = fetch_many(indices)
    if len(samples) != len(indices):
        given = f"{type(dataset).__name__}.__getitems__ returned {len(samples)} samples"
        raise DataError(explain("data", given, f"{len(indices)} indices were asked for"))
    return list(samples)


def sample_at(dataset: Any, index: Any, place: int = 0, part: Any = None) -> Any:
    """One sample; an error on the way says which one it was."""
    begin_sample(index if part is None else (part, index), place)
    try:
        return dataset[index]
    except Exception as error:
        error.add_note(f"while fetching sample {index} of {type(dataset).__name__}")
        raise
