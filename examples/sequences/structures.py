"""Four ways to use a recurrent net: one or many read, one or many said.

    python examples/sequences/structures.py

one to many    a number from 0 to 99 becomes its English name, letter by letter
many to one    the eight rows of a picture of a digit become its class
many to many   two binary numbers, read from the lowest bit on, become their sum, bit by bit
in two parts   four letters are read, and then said backwards (encoder and decoder)

For each the program prints the unrolled graph, read from the traced program, and how many whole
answers are right on data that was not learnt from: names that were left out, other pictures, and
other binary numbers and letters.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from narae import Tensor, compile, from_numpy, full, manual_seed, nn, no_grad, stack, zeros
from narae.explain.unrolled import UnrolledGraph, unrolled
from narae.nn import functional as F
from narae.optim import Adam
from narae.vision.digits import split_digits

Array = np.ndarray[Any, Any]
HIDDEN = 64


# -------------------------------------------------------------------------------------- nets
class Reader(nn.Module):
    """Reads (batch, features) at each step; answers at the last step, or at every one."""

    def __init__(self, features: int, answers: int, every_step: bool) -> None:
        super().__init__()
        self.cell, self.head = nn.GRUCell(features, HIDDEN), nn.Linear(HIDDEN, answers)
        self.every_step = every_step

    def forward(self, *xs: Tensor) -> list[Tensor]:
        states = [self.cell(xs[0])]
        for x in xs[1:]:
            states.append(self.cell(x, states[-1]))
        return [self.head(h) for h in (states if self.every_step else states[-1:])]


class Writer(nn.Module):
    """Says one token after another, each time having read the one before."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.tokens = tokens
        self.embedding = nn.Embedding(tokens + 1, 16)  # the last one begins
        self.cell, self.head = nn.GRUCell(16, HIDDEN), nn.Linear(HIDDEN, tokens)

    def forward(self, h: Tensor, steps: int, right: Tensor | None = None) -> list[Tensor]:
        """Scores (batch, tokens) of each step; `right` (batch, steps) is read in training."""
        token, scores = full((h.shape[0],), self.tokens), []
        for step in range(steps):
            h = self.cell(self.embedding(token), h)
            scores.append(self.head(h))
            token = scores[-1].argmax(1) if right is None else right[:, step]
        return scores


class OneToMany(nn.Module):
    """One vector (batch, features) begins the state of a `Writer`."""

    def __init__(self, features: int, tokens: int, steps: int) -> None:
        super().__init__()
        self.first, self.writer, self.steps = nn.Linear(features, HIDDEN), Writer(tokens), steps

    def forward(self, x: Tensor, right: Tensor | None = None) -> list[Tensor]:
        return self.writer(self.first(x).tanh(), self.steps, right)


class EncoderDecoder(nn.Module):
    """The last state of one cell, having read all, is the first of a `Writer`."""

    def __init__(self, features: int, tokens: int, steps: int) -> None:
        super().__init__()
        self.cell, self.writer, self.steps = nn.GRUCell(features, HIDDEN), Writer(tokens), steps

    def forward(self, *xs: Tensor, right: Tensor | None = None) -> list[Tensor]:
        h = zeros(xs[0].shape[0], HIDDEN)
        for x in xs:
            h = self.cell(x, h)
        return self.writer(h, self.steps, right)


# -------------------------------------------------------------------------------------- data
ONES = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
ONES += " fifteen sixteen seventeen eighteen nineteen"
TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
END = "."


def name_of(number: int) -> str:
    """In English, from 0 to 99.

    >>> name_of(47)
    'forty-seven'
    """
    ones, tens = ONES.split(), TENS.split()
    if number < 20:
        return ones[number]
    rest = f"-{ones[number % 10]}" if number % 10 else ""
    return tens[number // 10 - 2] + rest


NAMES = [name_of(number) for number in range(100)]
LETTERS = END + "".join(sorted(set("".join(NAMES))))
LONGEST = max(map(len, NAMES)) + 1  # with the end


def left_out(count: int = 12) -> Array:
    """Numbers that are not learnt from: all have tens and ones, which other numbers have, too."""
    both = [number for number in range(21, 100) if number % 10]
    return np.random.default_rng(0).choice(both, count, replace=False)


def one_hot(ids: Array, size: int) -> Array:
    return np.eye(size, dtype=np.float32)[ids]


def digits_of(numbers: Array) -> Array:
    return np.stack([numbers // 10, numbers % 10], 1)  # (batch, 2)


def letters_of(numbers: Array) -> Array:
    """(batch, LONGEST), filled up with ends."""
    texts = [NAMES[number].ljust(LONGEST, END) for number in numbers]
    return np.array([[LETTERS.index(letter) for letter in text] for text in texts])


# ------------------------------------------------------------------------------------- tasks
Batch = tuple[list[Array], Array]  # what is read, step by step; the answers (batch, answers)


@dataclass(frozen=True)
class Task:
    """One structure with its data.

    Attributes:
        model: the net.
        batch: of a number of updates done, what is learnt from.
        test: what it is judged by.
        updates: how many.
        says_many: whether the net reads its own answers, and in training the right ones.
        drawn: how many steps of reading the graph shows.
    """

    model: Callable[[], nn.Module]
    batch: Callable[[int], Batch]
    test: Batch
    updates: int
    says_many: bool = False
    drawn: int = 3


def one_to_many() -> Task:
    known = np.setdiff1d(np.arange(100), left_out())

    def batch(numbers: Array) -> Batch:
        vectors = one_hot(digits_of(numbers), 10).reshape(-1, 20)
        return [vectors], letters_of(numbers)

    def model() -> nn.Module:
        return OneToMany(20, len(LETTERS), LONGEST)

    return Task(model, lambda _: batch(known), batch(left_out()), 200, says_many=True)


def many_to_one() -> Task:
    images, labels, test_images, test_labels = split_digits()

    def batch(chosen: Array, classes: Array) -> Batch:
        rows = chosen.reshape(-1, 8, 8).astype(np.float32)
        return [rows[:, step] for step in range(8)], classes[:, None]

    def some(update: int) -> Batch:
        places = np.random.default_rng(update).integers(0, len(images), 64)
        return batch(images[places], labels[places])

    return Task(lambda: Reader(8, 10, False), some, batch(test_images, test_labels), 300)


def many_to_many(bits: int = 8) -> Task:
    def some(seed: int, count: int = 64) -> Batch:
        first, second = np.random.default_rng(seed).integers(0, 2 ** (bits - 1), (2, count))
        places = np.arange(bits)
        pairs = np.stack([first[:, None] >> places & 1, second[:, None] >> places & 1], 2)
        steps = [pairs[:, step].astype(np.float32) for step in range(bits)]  # (batch, 2)
        return steps, (first + second)[:, None] >> places & 1

    return Task(lambda: Reader(2, 2, True), some, some(10**6, 1000), 200)


def in_two_parts(length: int = 4, letters: int = 8) -> Task:
    def some(seed: int, count: int = 128) -> Batch:
        texts = np.random.default_rng(seed).integers(0, letters, (count, length))
        return [one_hot(texts[:, step], letters) for step in range(length)], texts[:, ::-1].copy()

    def model() -> nn.Module:
        return EncoderDecoder(letters, letters, length)

    return Task(model, some, some(10**6, 1000), 400, says_many=True, drawn=length)


TASKS = {
    "one to many": one_to_many,
    "many to one": many_to_one,
    "many to many": many_to_many,
    "in two parts": in_two_parts,
}


# ---------------------------------------------------------------------------------- training
def tensors(batch: Batch) -> tuple[list[Tensor], Tensor]:
    return [from_numpy(x) for x in batch[0]], from_numpy(batch[1])


def trained(task: Task) -> nn.Module:
    manual_seed(0)
    model = task.model()
    optimizer = Adam(model.parameters(), lr=0.01)

    def step(xs: list[Tensor], right: Tensor) -> Tensor:
        optimizer.zero_grad()
        scores = model(*xs, right=right) if task.says_many else model(*xs)
        # (batch * answers, classes)
        loss = F.cross_entropy(stack(scores, 1).flatten(0, 1), right.flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    compiled = compile(step)
    for update in range(task.updates):
        compiled(*tensors(task.batch(update)))
    return model


def share_right(task: Task, model: nn.Module) -> float:
    """Of whole answers; a net that says many reads its own."""
    xs, right = tensors(task.test)
    with no_grad():
        found = stack(model(*xs), 1).argmax(2)  # (batch, answers)
    return (found == right).all(1).float().mean().item()


def graph(task: Task) -> UnrolledGraph:
    """Of the first steps, as it is used after training."""
    model = task.model()
    if isinstance(model, OneToMany):
        model.steps = task.drawn
    xs, _ = tensors(task.test)
    return unrolled(model, *(x[:1] for x in xs[: task.drawn]))


def main() -> None:
    for name, make in TASKS.items():
        task = make()
        print(f"{name}: {100 * share_right(task, trained(task)):.1f}% right\n")
        print("\n".join(f"    {line}" for line in str(graph(task)).splitlines()) + "\n")


if __name__ == "__main__":
    main()
