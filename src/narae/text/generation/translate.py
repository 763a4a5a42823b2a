"""Sentences into another language, by a model whose state holds the tokenizer of both."""

from collections.abc import Iterator, Sequence
from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors import Tensor
from narae.text.batches import pad
from narae.text.tokenizers import Tokenizer

from .beam_search import beam_search
from .stepping import Stepper

_LIMIT = 128  # tokens of a translation, where no positions limit it
_MULTIPLE = 8  # sources are padded to a multiple of it, so that few programs serve all lengths


def translate(
    model: Any,
    sentences: Sequence[str],
    beams: int = 4,
    length_penalty: float = 1.0,
    max_tokens: int | None = None,
    batch_size: int = 32,
) -> list[str]:
    """The best translation of each sentence.

    Args:
        model: from tokens to tokens, with a tokenizer; or its Stepper
        sentences: texts
        beams: how many beginnings are kept; 1 takes the likeliest token each time
        length_penalty: the larger, the longer are the translations
        max_tokens: how long one may become; if None, as long as the model's positions, and 128 for
            a model that has no positions
        batch_size: sentences at once

    Raises:
        BoundsError: for a sentence longer than the model's positions.
        ConfigError: if the tokenizer has no bos or eos, or the model goes on with prompts.
        DataError: for an empty sentence.
    """
    stepper = Stepper.of(model)
    stepper.check_kind(translates=True)
    tokenizer = stepper.model.needed_tokenizer()
    sources = _encoded(tokenizer, sentences)
    order = sorted(range(len(sources)), key=lambda place: -len(sources[place]))
    limit = _positions(stepper, _LIMIT) if max_tokens is None else max_tokens
    found = [""] * len(sources)
    for batch in _batches(order, sources, batch_size):
        source = _padded([sources[place] for place in batch], tokenizer, stepper)
        state = stepper.start(source)
        rules = (tokenizer.bos_id, tokenizer.eos_id, limit, beams, length_penalty)
        for place, texts in zip(batch, beam_search(stepper, state, *rules), strict=True):
            found[place] = tokenizer.decode(texts[0].tokens)
    return found


def _encoded(tokenizer: Tokenizer, sentences: Sequence[str]) -> list[list[int]]:
    if tokenizer.bos_id is None or tokenizer.eos_id is None:
        given, rule = (
            "the tokenizer has no bos or no eos",
            "a translation begins and ends with them",
        )
        raise ConfigError(explain("translate", given, rule))
    empty = next((place for place, text in enumerate(sentences) if not text.strip()), None)
    if empty is not None:
        given = f"sentence {empty + 1} is empty"
        raise DataError(explain("translate", given, "there is something to translate"))
    return tokenizer.encode_all(sentences, eos=True)


def _batches(order: list[int], sources: list[list[int]], size: int) -> Iterator[list[int]]:
    """Places of sentences that are padded to one length, up to `size` of them."""
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) == size or _room(sources[place]) != _room(sources[batch[0]])):
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch


def _room(source: list[int]) -> int:
    return -(-len(source) // _MULTIPLE) * _MULTIPLE


def _positions(stepper: Stepper, otherwise: int) -> int:
    length = getattr(stepper.model, "length", None)
    return otherwise if length is None else int(length)


def _padded(sources: list[list[int]], tokenizer: Tokenizer, stepper: Stepper) -> Tensor:
    length = max(len(source) for source in sources)
    most = _positions(stepper, _room(sources[0]))
    if length <= most:  # a longer one is refused by the model
        length = min(_room(sources[0]), most)
    return pad(sources, tokenizer.pad_id or 0, length)
