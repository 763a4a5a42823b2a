"""Going on with a prompt, token by token."""

from collections.abc import Iterator, Sequence
from numbers import Integral
from typing import Any

import numpy as np

from narae.base.errors import BoundsError, DataError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.tensors.random import randint

from .sampling import Sampling
from .stepping import Ids, State, Stepper, first_tokens

GREEDY = Sampling(temperature=0.0)


def generate(
    model: Any,
    prompts: Sequence[Sequence[int]] | Tensor,
    max_tokens: int,
    sampling: Sampling = GREEDY,
    eos_id: int | None = None,
    seed: int | None = None,
    window: bool = False,
) -> list[list[int]]:
    """What follows each prompt.

    Args:
        model: with `start` and `step`, or its Stepper
        prompts: ids; each row has at least one
        max_tokens: how many tokens are generated at most
        sampling: how each is drawn; the likeliest one if it is left out
        eos_id: the token that ends a text; it is not part of the result
        seed: of the draws; without one, it comes from the common random stream
        window: where positions run out, go on from the last half of what they hold

    Returns:
        the new ids of each row, without those of the prompt

    Raises:
        BoundsError: if a prompt, or what is asked for, is longer than the model's positions; for
            an id that is not in the vocabulary.
        ConfigError: for a negative `max_tokens`, or a model that translates.
        DataError: for an empty prompt.
        ShapeError: if prompts are not rows of ids.

    >>> import narae
    >>> from narae.text.models.gpt import GPT
    >>> model = GPT(10, width=8, layers=1, heads=2, length=16)
    >>> [len(row) for row in generate(model, [[1, 2], [3]], max_tokens=4)]
    [4, 4]
    """
    rows = _checked(prompts)
    found: list[list[int]] = [[] for _ in rows]
    done = np.zeros(len(rows), dtype=bool)
    for tokens in stream(model, rows, max_tokens, sampling, seed, window):
        if eos_id is not None:
            done |= tokens == eos_id
        for row, token, ended in zip(found, tokens, done, strict=True):
            if not ended:
                row.append(int(token))
        if done.all():
            break
    return found


def stream(
    model: Any,
    prompts: Sequence[Sequence[int]] | Tensor,
    max_tokens: int,
    sampling: Sampling = GREEDY,
    seed: int | None = None,
    window: bool = False,
) -> Iterator[Ids]:
    """The tokens (batch,) that `generate` collects, as they come; it does not stop at an end."""
    stepper, texts = Stepper.of(model), _checked(prompts)
    stepper.check_kind(translates=False)
    _check_known(texts, stepper.model)
    random = np.random.default_rng(_seed(seed))
    longest = max(map(len, texts))
    if not window or max_tokens < 0:
        stepper.check_room(longest, max_tokens)
    elif stepper.room(longest) == 0:
        texts = [_last_half(text, stepper) for text in texts]
    left = max_tokens
    while left:
        longest = max(map(len, texts))
        room = stepper.room(longest)
        count = left if room is None else min(left, room)
        state, last = _begin(stepper, texts)
        for tokens in continued(stepper, state, last, count, sampling, random):
            for text, token in zip(texts, tokens, strict=True):
                text.append(int(token))
            yield tokens
        left -= count
        texts = [_last_half(text, stepper) for text in texts] if left else texts


def continued(
    model: Any,
    state: State,
    tokens: Any,
    max_tokens: int,
    sampling: Sampling = GREEDY,
    random: np.random.Generator | None = None,
) -> Iterator[Ids]:
    """Tokens (batch,) after a state and the token of each row that is read first, such as bos.

    Raises:
        BoundsError: if the model has too few positions.
        ShapeError: if there are more or fewer first tokens than rows.
    """
    stepper = Stepper.of(model)
    stepper.check_room(stepper.used(state) + 1, max_tokens)
    tokens = first_tokens(tokens, state[0].shape[0])
    random = np.random.default_rng(_seed(None)) if random is None else random
    for _ in range(max_tokens):
        logits, state = stepper.step(tokens, state)
        tokens = sampling.draw(logits, random)
        yield tokens


def _begin(stepper: Stepper, texts: list[list[int]]) -> tuple[State, Ids]:
    """The state before the last token of each text, and these tokens."""
    lengths = np.array([len(text) - 1 for text in texts], dtype=np.int64)
    read = np.zeros((len(texts), int(lengths.max())), dtype=np.int64)  # (batch, time)
    for row, text in zip(read, texts, strict=True):
        row[: len(text) - 1] = text[:-1]
    last = np.array([text[-1] for text in texts], dtype=np.int64)
    if (lengths == lengths[0]).all():
        return stepper.start(from_numpy(read)), last
    return stepper.start(from_numpy(read), from_numpy(lengths)), last


def _last_half(text: list[int], stepper: Stepper) -> list[int]:
    return text[-max(int(stepper.model.length) // 2, 1) :]


def _checked(prompts: Any) -> list[list[int]]:
    given = prompts.tolist() if isinstance(prompts, Tensor) else prompts
    if isinstance(given, str) or not all(map(_is_row, given)):
        rule = "each prompt is a row of ids, such as [[1, 5, 2]]"
        said = "there is a text, or one row, or no whole number"
        raise ShapeError(explain("generate", said, rule, "[tokenizer.encode(text)] for a text"))
    rows = [[int(token) for token in _listed(row)] for row in given]
    empty = next((place for place, row in enumerate(rows) if not row), None)
    if not rows or empty is not None:
        given = "there is no prompt" if not rows else f"prompt {empty} is empty"
        rule = "generation goes on from at least one token"
        raise DataError(explain("generate", given, rule, "begin with bos, or any first token"))
    return rows


def _is_row(row: Any) -> bool:
    """Whether it is a sequence of whole numbers."""
    if isinstance(row, str) or not isinstance(row, Sequence | np.ndarray | Tensor):
        return False
    return all(isinstance(token, Integral) for token in _listed(row))


def _listed(row: Any) -> Any:
    return row.tolist() if isinstance(row, Tensor | np.ndarray) else row


def _check_known(rows: list[list[int]], model: Any) -> None:
    """Refuse ids that the model has no embedding for."""
    size = getattr(getattr(model, "embedding", None), "num_embeddings", None)
    if size is None:
        return
    wrong = [token for row in rows for token in row if not 0 <= token < size]
    if wrong:
        given, rule = f"there is an id {wrong[0]} in a prompt", f"ids are 0 to {size - 1}"
        raise BoundsError(explain("generate", given, rule, "is it the model's own tokenizer?"))


def _seed(seed: int | None) -> int:
    return int(randint(0, 2**31 - 1, (1,)).item()) if seed is None else seed
