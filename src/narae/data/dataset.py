"""`Dataset`: what can be indexed; `IterableDataset`: what can only be run through."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from narae.base.errors import NotSupportedError, ShapeError, explain
from narae.tensors import Tensor

if TYPE_CHECKING:
    from .combined import ChainDataset, ConcatDataset

Item = TypeVar("Item", covariant=True)


class MissingMethodError(NotSupportedError, TypeError):
    """A data set lacks a method that it is asked for.

    It is a TypeError too: `list(dataset)` asks for a length first, and takes that for "unknown".
    """


class Dataset(Generic[Item]):
    """Samples that are fetched by index: define `__getitem__(index)` and `__len__()`.

    A subclass may also define `__getitems__(indices)`, which returns a list of samples, or
    `get_batch(indices)`, which returns them collated already (None: "fetch them one by one").

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...
    ...     def __getitem__(self, index):
    ...         return index * index
    >>> dataset = Squares()
    >>> len(dataset), dataset[3]
    (4, 9)
    """

    def __getitem__(self, index: Any) -> Item:
        _refuse(self, "__getitem__", "def __getitem__(self, index): return the sample at index")

    def __len__(self) -> int:
        _refuse(self, "__len__", "def __len__(self): return the number of samples")

    def __bool__(self) -> bool:
        return True

    def __add__(self, other: "Dataset[Any]") -> "ConcatDataset":
        from .combined import ConcatDataset

        return ConcatDataset([self, other])


class IterableDataset(Dataset[Item]):
    """Samples that come one after another, as from a stream: define `__iter__()`.

    With workers each one runs through the whole stream; `get_worker_info()` tells `__iter__` which
    share is its own.

    >>> class Countdown(IterableDataset):
    ...     def __iter__(self):
    ...         return iter([3, 2, 1])
    >>> list(Countdown())
    [3, 2, 1]
    """

    def __iter__(self) -> Iterator[Item]:
        _refuse(self, "__iter__", "def __iter__(self): yield one sample after another")

    def __add__(self, other: Dataset[Any]) -> "ChainDataset":  # type: ignore[override]
        from .combined import ChainDataset

        return ChainDataset([self, other])


class TensorDataset(Dataset[tuple[Tensor, ...]]):
    """Tensors of one length; sample i is the tuple of their i-th entries.

    Args:
        *tensors: each (items, ...).

    Raises:
        ShapeError: if their first sizes differ.

    >>> import narae
    >>> dataset = TensorDataset(narae.arange(3), narae.tensor([0.0, 0.1, 0.2]))
    >>> dataset[1]
    (tensor(1), tensor(0.1000))
    """

    def __init__(self, *tensors: Tensor) -> None:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        if not shapes or not all(shapes) or len({shape[0] for shape in shapes}) != 1:
            raise ShapeError(
                explain(
                    "TensorDataset",
                    f"the tensors have the shapes {', '.join(map(str, shapes)) or '(none given)'}",
                    "all first sizes must be equal: the number of samples",
                    "check that inputs and targets come from the same samples",
                )
            )
        self.tensors = tensors

    def __getitem__(self, index: Any) -> tuple[Tensor, ...]:
        return tuple(tensor[index] for tensor in self.tensors)

    def __len__(self) -> int:
        return int(self.tensors[0].shape[0])

    def get_batch(self, indices: Sequence[int]) -> list[Tensor] | None:
        """The samples at `indices`, collated, by one index operation a tensor."""
        unchanged = type(self).__getitem__ is TensorDataset.__getitem__
        if not unchanged or any(tensor.requires_grad for tensor in self.tensors):
            return None
        return [tensor[indices] for tensor in self.tensors]


def _refuse(dataset: Dataset[Any], method: str, fix: str) -> NoReturn:
    kind = type(dataset).__name__
    raise MissingMethodError(
        explain(
            kind,
            f"{kind} does not define {method}",
            f"every {'stream' if method == '__iter__' else 'data set that is used so'} needs it",
            fix,
        )
    )
