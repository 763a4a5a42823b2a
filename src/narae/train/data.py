"""What a run learns from and is judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from narae.base.errors import DataError, explain
from narae.data.position import check_same, generators_of, go_to, places_of
from narae.tensors import Tensor
from narae.tensors.random import Generator, default_generator


@dataclass(frozen=True)
class Data:
    """Loaders of batches; each batch is a tuple or list of tensors, or of dicts and lists of them.

    Attributes:
        train, test: what to learn from and what to be judged by: `DataLoader`s, or what is like
            them: they have a length, and can be iterated again and again.
        classes: the name of each class; empty if there are none.
        tokenizer: how text became numbers, if it did; the model keeps it as its `tokenizer`.
        validation: what the epochs are judged by, to say which is best and when it is enough, so
            that the test data judges nothing but the best one. Without it, `test` does both, and
            its numbers are a little too good.

    Raises:
        DataError: if one of them is empty.
    """

    train: Any
    test: Any
    classes: Sequence[str] = ()
    tokenizer: Any = None
    validation: Any = None

    def __post_init__(self) -> None:
        if self.validation is None:
            object.__setattr__(self, "validation", self.test)
        for name in ("train", "test", "validation"):
            if not len(getattr(self, name)):
                rule = "a run needs samples to learn from and to be judged by"
                raise DataError(explain("Data", f"the {name} data is empty", rule))

    @property
    def validates_apart(self) -> bool:
        """Whether there is validation data besides the test data."""
        return self.validation is not self.test

    def state_dict(self, inside: bool = True) -> dict[str, Any]:
        """Where the training data's loader is, and generators that other data has of its own.

        Args:
            inside: whether an epoch is running; otherwise the next one begins at the beginning.
        """
        state: dict[str, Any] = {"test": places_of(_own_generators(self.test))}
        if self.validates_apart:
            state["validation"] = places_of(_own_generators(self.validation))
        if hasattr(self.train, "state_dict"):
            train = self.train.state_dict()
            state["train"] = train if inside else {**train, "batches": None}
        return state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Let the next pass go on from there.

        Raises:
            ConfigError: if it is the state of other loaders; nothing is changed then.
        """
        names = ["test", "validation"] if self.validates_apart else ["test"]
        # A run that had no validation data yet begins it where it is.
        own = {name: _own_generators(getattr(self, name)) for name in names if name in state}
        for name, found in own.items():  # before the training data's loader is changed
            check_same(found, state[name])
        if "train" in state and hasattr(self.train, "load_state_dict"):
            self.train.load_state_dict(state["train"])
        for name, found in own.items():
            go_to(found, state[name])


def _own_generators(loader: Any) -> dict[str, Generator]:
    """The generators of a loader, without the one that all have in common."""
    if not hasattr(loader, "state_dict"):
        return {}
    found = generators_of(loader)
    return {name: each for name, each in found.items() if each is not default_generator}


def items_of(batch: Any) -> int:
    """How many items a batch has: the size of the first dimension of its first tensor.

    Raises:
        DataError: if there is no tensor in it.
    """
    found = first_tensor(batch)
    if found is None or not found.shape:
        given, rule = f"a batch is {type(batch).__name__}", "it holds tensors whose rows are items"
        raise DataError(explain("train", given, rule, "see collate_fn of DataLoader"))
    return int(found.shape[0])


def samples_of(loader: Any) -> int:
    """How many samples of an epoch are learned from; 0 if the loader does not say.

    A sampler may draw more or fewer than the data set has, and the last batch may be left out.

    >>> from narae.data import DataLoader, RandomSampler
    >>> samples_of(DataLoader(range(10), 4, sampler=RandomSampler(range(10), num_samples=100)))
    100
    >>> samples_of(DataLoader(range(10), 4, drop_last=True))
    8
    """
    order = getattr(loader, "batch_sampler", None)
    holder, name = (loader, "dataset") if order is None else (order, "sampler")
    items, size = getattr(holder, name, None), getattr(holder, "batch_size", None)
    if items is None or size is None or not hasattr(items, "__len__"):
        return 0
    return min(len(items), size * len(loader))


def first_tensor(batch: Any) -> Tensor | None:
    """The first tensor in nested lists, tuples and dicts; None if there is none."""
    if isinstance(batch, Tensor):
        return batch
    if isinstance(batch, Mapping):
        batch = list(batch.values())
    if isinstance(batch, (list, tuple)):
        return next((x for x in map(first_tensor, batch) if x is not None), None)
    return None
