"""What generation knows of a model: `start` makes a state, `step` reads a token.

    state = model.start(prompt)                  tensors of fixed shapes, the batch first
    logits, state = model.step(tokens, state)    tokens (batch,) -> logits (batch, vocabulary)

Recurrent nets and Transformers both have these. A model with a `length`, its positions, begins its
state with how many tokens each row has read, (batch,). A step is one compiled program whatever the
position, since the position is a tensor of the state.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, DataError, ShapeError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.compilation import compile as compile_step
from narae.tensors.creation import from_numpy

State = tuple[Tensor, ...]
Logits = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]


class StepModel(Protocol):
    """A model that generates."""

    training: bool

    def start(self, *prompt: Any) -> State:
        """The state after a prompt."""
        ...

    def step(self, tokens: Tensor, state: State) -> tuple[Tensor, State]:
        """Read one token of each row."""
        ...


class Stepper:
    """A model ready to generate: its step compiled once, dropout off, no gradients.

    Args:
        model: with `start` and `step`; `length`, if it has it, is the longest sequence
        compile: make a step one program; keep the Stepper to use the program again

    >>> import narae
    >>> from narae.text.models.gpt import GPT
    >>> stepper = Stepper(GPT(10, width=8, layers=1, heads=2, length=16))
    >>> state = stepper.start(narae.tensor([[1, 2]]))
    >>> logits, state = stepper.step(np.array([3]), state)
    >>> logits.shape
    (1, 10)
    """

    def __init__(self, model: Any, compile: bool = True) -> None:
        self.model = model
        prepare: Callable[[Any], Any] = compile_step if compile else lambda step: step
        self._step = prepare(model.step)
        self._chosen = prepare(self._choose_and_step)

    @classmethod
    def of(cls, model: Any) -> "Stepper":
        """The model's Stepper, or the one that is given."""
        return model if isinstance(model, cls) else cls(model)

    def start(self, *prompt: Any) -> State:
        """The state after a prompt."""
        with self._ready():
            return tuple(self.model.start(*prompt))

    def step(self, tokens: Ids, state: State, rows: Ids | None = None) -> tuple[Logits, State]:
        """Read a token of each row; the logits (batch, vocabulary) of the next.

        Args:
            tokens: (batch,)
            state: of `start`, or of the step before
            rows: (batch,), which row of the state each goes on from; None: each from its own

        Raises:
            DataError: if the model says NaN.
        """
        read = from_numpy(np.ascontiguousarray(tokens, dtype=np.int64))
        if any(x.requires_grad for x in state):  # of a start that was not under no_grad
            state = tuple(x.detach() for x in state)
        with self._ready():
            if rows is None:
                logits, state = self._step(read, state)
            else:
                logits, state = self._chosen(read, from_numpy(np.ascontiguousarray(rows)), state)
        found = logits.numpy().astype(np.float64)
        _check_numbers(found)
        return found, state

    def _choose_and_step(self, tokens: Tensor, rows: Tensor, state: State) -> tuple[Tensor, State]:
        return self.model.step(tokens, chosen(state, rows))

    @contextmanager
    def _ready(self) -> Iterator[None]:
        was_training = self.model.training
        if was_training:
            self.model.eval()
        try:
            with no_grad():
                yield
        finally:
            if was_training:
                self.model.train()

    def room(self, used: int) -> int | None:
        """How many tokens can be generated after `used` ones; None: as many as one likes."""
        length = getattr(self.model, "length", None)
        return None if length is None else max(int(length) - used + 1, 0)

    def used(self, state: State) -> int:
        """How many tokens the longest row of a state has read, for a model with positions."""
        limited = getattr(self.model, "length", None) is not None
        return int(state[0].max().item()) if limited else 0

    def check_kind(self, translates: bool) -> None:
        """Refuse a model whose `start` reads something else: a source, or a prompt.

        Raises:
            ConfigError: if so.
        """
        if getattr(self.model, "translates", translates) != translates:
            reads = ("goes on with a prompt", "translates a source")
            given = f"{type(self.model).__name__} {reads[not translates]}"
            rule = f"a model that {reads[translates]} was expected"
            fix = "generate(model, prompts)" if translates else "translate(model, sentences)"
            raise ConfigError(explain("generate", given, rule, fix))

    def check_room(self, used: int, wanted: int) -> None:
        """Refuse to generate more than there are positions for.

        Raises:
            BoundsError: if so.
            ConfigError: if fewer than no tokens are wanted.
        """
        if wanted < 0:
            given = f"max_tokens is {wanted}"
            raise ConfigError(explain("generate", given, "it is a number of tokens, from 0 on"))
        room = self.room(used)
        if room is not None and wanted > room:
            given = f"{wanted} tokens were asked for after {used}"
            rule = f"the model has {self.model.length} positions, so there is room for {room}"
            fix = "ask for fewer; `generate` can forget the beginning, with window=True"
            raise BoundsError(explain("generate", given, rule, fix))


def _check_numbers(logits: Logits) -> None:
    if np.isnan(logits).any():
        given, rule = "the model's logits are NaN", "a token is chosen by comparing them"
        fix = "its weights may hold NaN since a training that diverged: take an earlier checkpoint"
        raise DataError(explain("generate", given, rule, fix))


def chosen(state: State, rows: Tensor) -> State:
    """Some rows of each tensor of a state."""
    return tuple(x.index_select(0, rows) for x in state)


def log_softmax(logits: Logits) -> Logits:
    """Logarithms of the probabilities, over the last dimension."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    out: Logits = shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return out


def first_tokens(tokens: Any, batch: int) -> Ids:
    """What is read first, one token of each row.

    Raises:
        ShapeError: if there are more or fewer.
    """
    found = np.asarray(tokens.numpy() if isinstance(tokens, Tensor) else tokens, dtype=np.int64)
    if found.ndim == 0:
        found = np.full(batch, found, dtype=np.int64)
    if found.shape != (batch,):
        given = f"first tokens are {found.shape}, the state has {batch} rows"
        raise ShapeError(explain("generate", given, "there is one first token for each row"))
    return found
