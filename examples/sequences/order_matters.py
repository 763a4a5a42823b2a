"""Order is information: shuffle or lose characters, and a language model's perplexity rises.

    python examples/sequences/order_matters.py --data-dir DIR

Tiny Shakespeare is changed in five ways. A model of the intact text meets each of them ("intact
model"); and a model is fitted to text that was changed in the same way ("own model"): it knows
the new distribution, and still finds the text harder, because there is less order to know. Of
wholly shuffled text there is nothing to know but how frequent each character is.
"""

import argparse
import random
from collections.abc import Callable, Sequence

from narae.text import NO_SPECIALS, Characters
from narae.text.datasets import TinyShakespeare
from narae.text.models.ngram import NGram
from narae.text.models.smoothing import KneserNey

MASK = "\u2588"
_SHARE = 0.15  # of the characters that are masked or dropped


# ------------------------------------------------------------------------------------- changes
def intact(text: str, rng: random.Random) -> str:
    return text


def masked(text: str, rng: random.Random) -> str:
    return "".join(MASK if rng.random() < _SHARE else character for character in text)


def dropped(text: str, rng: random.Random) -> str:
    return "".join(character for character in text if rng.random() >= _SHARE)


def neighbours_swapped(text: str, rng: random.Random) -> str:
    """Each pair of neighbours changes places half of the time."""
    pairs = (text[place : place + 2] for place in range(0, len(text), 2))
    return "".join(pair[::-1] if rng.random() < 0.5 else pair for pair in pairs)


def letters_shuffled(text: str, rng: random.Random) -> str:
    """The letters of each word in random order; blanks and line ends stay."""
    lines = [line.split(" ") for line in text.split("\n")]
    return "\n".join(" ".join(_shuffled(word, rng) for word in line) for line in lines)


def shuffled(text: str, rng: random.Random) -> str:
    return _shuffled(text, rng)


def _shuffled(text: str, rng: random.Random) -> str:
    characters = list(text)
    rng.shuffle(characters)
    return "".join(characters)


CHANGES: tuple[Callable[[str, random.Random], str], ...] = (
    intact,
    masked,
    dropped,
    neighbours_swapped,
    letters_shuffled,
    shuffled,
)


# ---------------------------------------------------------------------------------- perplexity
def perplexities(
    train: str, validation: str, order: int = 3, seed: int = 0
) -> dict[str, tuple[float, float]]:
    """For each change: perplexity of the changed text under the intact and under its own model."""
    tokenizer = Characters.fit(train + validation + MASK, specials=NO_SPECIALS)
    fitted = _fit(train, tokenizer, order)
    table = {}
    for change in CHANGES:
        rng = random.Random(seed)
        learnt, met = change(train, rng), tokenizer.encode(change(validation, rng))
        own = fitted if change is intact else _fit(learnt, tokenizer, order)
        table[change.__name__] = (fitted.perplexity([met]), own.perplexity([met]))
    return table


def _fit(text: str, tokenizer: Characters, order: int) -> NGram:
    return NGram(order, len(tokenizer), KneserNey()).fit([tokenizer.encode(text)])


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data-dir", help="where tinyshakespeare/input.txt is")
    parser.add_argument("--order", type=int, default=3, help="of the n-gram model")
    parser.add_argument("--characters", type=int, help="how many to train on; all unless given")
    options = parser.parse_args(arguments)
    train = TinyShakespeare(options.data_dir, "train").text[: options.characters]
    validation = TinyShakespeare(options.data_dir, "validation").text
    print(f"Perplexity of a character, {options.order}-grams, {len(train):,} characters learnt\n")
    print(f"{'the text is':22}{'intact model':>14}{'own model':>14}")
    for name, (other, own) in perplexities(train, validation, options.order).items():
        print(f"{name.replace('_', ' '):22}{other:14.2f}{own:14.2f}")


if __name__ == "__main__":
    main()
