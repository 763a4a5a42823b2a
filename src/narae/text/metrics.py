"""How good a language model, a translation or a tagger is."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import (
    ConfigError,
    DataError,
    MissingExtraError,
    ShapeError,
    explain,
    require,
)

_IGNORED = -100


def perplexity(loss: float) -> float:
    """exp(loss): among how many equally likely tokens a model hesitates.

    Args:
        loss: the cross-entropy of a token, a mean over all of them, in nats.

    Raises:
        DataError: if it is negative or no number.

    Example:
        >>> round(perplexity(math.log(65)), 6)
        65.0
    """
    try:
        return math.exp(_checked("perplexity", loss))
    except OverflowError:  # beyond the largest float, from about 709.8 on
        return math.inf


def bits_per_character(loss: float, tokens: int = 1, characters: int = 1) -> float:
    """loss / ln 2 · tokens / characters: bits that a model needs to write a character.

    It compares models with different tokens; for a model of characters it is loss / ln 2.

    Args:
        loss: the cross-entropy of a token, a mean over all of them, in nats.
        tokens: how many tokens the text has.
        characters: how many characters it has.

    Raises:
        ConfigError: if a number is less than 1.
        DataError: if the loss is negative or no number.

    Example:
        >>> round(bits_per_character(1.5), 3), round(bits_per_character(6, 100, 400), 3)
        (2.164, 2.164)
    """
    if tokens < 1 or characters < 1:
        given = f"tokens is {tokens}, characters is {characters}"
        raise ConfigError(explain("bits_per_character", given, "a text has some of both"))
    return _checked("bits_per_character", loss) / math.log(2) * tokens / characters


@dataclass(frozen=True)
class Bleu:
    """What `bleu` found.

    Attributes:
        score: BLEU, 0 to 100.
        precisions: of 1- to 4-grams, in percent.
        brevity_penalty: below 1 if the translations are shorter than the references.
        length, reference_length: in tokens.
        signature: sacrebleu's words for how it was computed, to be printed beside the score.
    """

    score: float
    precisions: tuple[float, ...]
    brevity_penalty: float
    length: int
    reference_length: int
    signature: str

    def __str__(self) -> str:
        precisions = "/".join(f"{precision:.1f}" for precision in self.precisions)
        return (
            f"BLEU = {self.score:.2f} {precisions} (BP = {self.brevity_penalty:.3f}, "
            f"{self.length} tokens, {self.reference_length} in the references; {self.signature})"
        )


def bleu(
    translations: Sequence[str],
    references: Sequence[str] | Sequence[Sequence[str]],
    lower: bool = False,
    tokenize: str | None = None,
) -> Bleu:
    """Corpus BLEU, as sacrebleu computes it: BP · exp(mean of log precisions of 1- to 4-grams).

    Args:
        translations: sentences as plain text, not cut into tokens, (items,).
        references: one for each, (items,); or several, as lists of (items,) each.
        lower: whether upper and lower case are the same.
        tokenize: sacrebleu's tokenizer, such as "13a" (its default), "char" or "ko-mecab".

    Raises:
        ConfigError: if sacrebleu has no such tokenizer.
        DataError: if there are no translations.
        MissingExtraError: if sacrebleu, or what its tokenizer needs, is not installed.
        ShapeError: if there are more or fewer references than translations.

    Source: K. Papineni et al., "BLEU: a Method for Automatic Evaluation of Machine Translation",
    ACL 2002; M. Post, "A Call for Clarity in Reporting BLEU Scores", WMT 2018.

    Example:
        >>> found = bleu(["the cat is on the mat"], ["the cat sat on the mat"])
        >>> round(found.score, 2), found.length
        (37.99, 6)
    """
    if isinstance(translations, str) or not len(translations):
        given = "translations are one text" if isinstance(translations, str) else "there are none"
        raise DataError(explain("bleu", given, "they are a list of sentences"))
    several = len(references) > 0 and not isinstance(references[0], str)
    sets: Any = [list(one) for one in (references if several else [references])]
    for one in sets:
        if len(one) != len(translations):
            given = f"there are {len(translations)} translations and {len(one)} references"
            raise ShapeError(explain("bleu", given, "each translation has its reference"))
    metrics: Any = require("sacrebleu.metrics", "text", "BLEU")
    metric = _metric(metrics, lower, tokenize)
    found = metric.corpus_score(list(translations), sets)
    return Bleu(
        score=float(found.score),
        precisions=tuple(float(precision) for precision in found.precisions),
        brevity_penalty=float(found.bp),
        length=int(found.sys_len),
        reference_length=int(found.ref_len),
        signature=str(metric.get_signature()),
    )


@dataclass(frozen=True)
class TagScores:
    """What `tag_scores` found, over all tokens that count.

    Attributes:
        accuracy: the share of tokens that are right.
        macro_f1: the mean of the tags' F1 scores.
        f1: of each tag, (tags,); 0 where a tag neither is nor is predicted.
        support: how many tokens have each tag, (tags,).
    """

    accuracy: float
    macro_f1: float
    f1: npt.NDArray[np.float64]
    support: npt.NDArray[np.int64]


def tag_scores(targets: Any, predictions: Any, tags: int, ignored: int = _IGNORED) -> TagScores:
    """Accuracy and F1 of predicted tags, or classes, as scikit-learn computes them.

    Args:
        targets: true tags, (batch, time) or (items,), integers.
        predictions: predicted ones, likewise.
        tags: how many there are.
        ignored: the target of tokens that do not count, such as padding.

    Raises:
        DataError: if no token counts, or a tag is no integer or out of range.
        MissingExtraError: if scikit-learn is not installed.
        ShapeError: if the shapes differ.

    Example:
        >>> scores = tag_scores([[0, 1, -100], [1, 1, 0]], [[0, 1, 1], [0, 1, 0]], tags=2)
        >>> scores.accuracy, scores.f1
        (0.8, array([0.8, 0.8]))
    """
    true, predicted = np.asarray(targets), np.asarray(predictions)
    if true.shape != predicted.shape:
        given = f"targets are {true.shape}, predictions are {predicted.shape}"
        raise ShapeError(explain("tag_scores", given, "each token has one of both"))
    for name, values in (("targets", true), ("predictions", predicted)):
        if values.size and values.dtype.kind not in "iu":
            fix = "take argmax of scores first" if name == "predictions" else ""
            given = f"{name} are {values.dtype}"
            raise DataError(explain("tag_scores", given, "tags are integers", fix))
    counts = true != ignored
    true, predicted = true[counts], predicted[counts]  # (tokens,)
    if not true.size:
        given = "there are no tokens that count"
        raise DataError(explain("tag_scores", given, "a share needs at least one"))
    for name, values in (("target", true), ("prediction", predicted)):
        if values.min() < 0 or values.max() >= tags:
            given = f"a {name} is {values.min() if values.min() < 0 else values.max()}"
            raise DataError(explain("tag_scores", given, f"tags are 0 to {tags - 1}"))
    sklearn: Any = require("sklearn.metrics", "sklearn", "F1")
    _, _, f1, support = sklearn.precision_recall_fscore_support(
        true, predicted, labels=range(tags), zero_division=0
    )
    accuracy = float(sklearn.accuracy_score(true, predicted))
    return TagScores(accuracy, float(f1.mean()), f1, support.astype(np.int64))


def _metric(metrics: Any, lower: bool, tokenize: str | None) -> Any:
    known = tuple(metrics.BLEU.TOKENIZERS)
    if tokenize is not None and tokenize not in known:
        rule = f"sacrebleu has {', '.join(known)}"
        raise ConfigError(explain("bleu", f"tokenize is {tokenize!r}", rule))
    try:
        return metrics.BLEU(lowercase=lower, tokenize=tokenize)
    except (ImportError, RuntimeError) as error:
        given, rule = f"tokenize is {tokenize!r}", "sacrebleu needs another library for it"
        lines = [line.strip() for line in str(error).splitlines()]
        fix = next((line for line in lines if line.startswith("pip install")), str(error))
        raise MissingExtraError(explain("bleu", given, rule, fix)) from error


def _checked(where: str, loss: float) -> float:
    if not loss >= 0:
        given = f"the loss is {loss}"
        raise DataError(explain(where, given, "a cross-entropy is not negative"))
    return float(loss)
