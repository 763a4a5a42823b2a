"""Perplexity, bits per character, BLEU and scores of tags."""

import math

import numpy as np
import pytest

from narae.base.errors import ConfigError, DataError, MissingExtraError, ShapeError
from narae.text.metrics import bits_per_character, bleu, perplexity, tag_scores


def test_perplexity_and_bits():
    assert perplexity(math.log(65)) == pytest.approx(65)
    assert bits_per_character(math.log(256)) == pytest.approx(8)
    assert bits_per_character(math.log(256), tokens=10, characters=40) == pytest.approx(2)
    for loss in (-0.1, math.nan):
        with pytest.raises(DataError, match="not negative"):
            perplexity(loss)
        with pytest.raises(DataError, match="not negative"):
            bits_per_character(loss)
    assert perplexity(1000.0) == perplexity(math.inf) == math.inf
    with pytest.raises(ConfigError):
        bits_per_character(1.0, tokens=0)


def test_bleu_by_hand():
    """4 of 5 words, 3 of 4 pairs, 2 of 3 triples, 1 of 2: no penalty; Papineni et al., 2002."""
    pytest.importorskip("sacrebleu")
    found = bleu(["a b c d x"], ["a b c d e"])
    expected = 100 * (4 / 5 * 3 / 4 * 2 / 3 * 1 / 2) ** 0.25
    assert found.score == pytest.approx(expected) and found.brevity_penalty == 1
    assert found.precisions == pytest.approx((80, 75, 200 / 3, 50))
    short = bleu(["a b c d"], ["a b c d e"])
    assert short.score == pytest.approx(100 * math.exp(1 - 5 / 4))
    assert (short.length, short.reference_length) == (4, 5)
    assert "tok:13a" in str(found) and "version:" in str(found) and "BLEU = " in str(found)


def test_bleu_of_a_corpus_and_of_several_references():
    """sacrebleu's own example (its README): corpus BLEU 48.53."""
    pytest.importorskip("sacrebleu")
    first = ["The dog bit the man.", "It was not unexpected.", "The man bit him first."]
    second = ["The dog had bit the man.", "No one was surprised.", "The man had bitten the dog."]
    system = ["The dog bit the man.", "It wasn't surprising.", "The man had just bitten him."]
    assert bleu(system, [first, second]).score == pytest.approx(48.530827009929865)
    assert bleu([text.upper() for text in system], [first, second], lower=True).score > 48
    assert bleu(["나는 간다"], ["나는 간다"], tokenize="char").score == pytest.approx(100)


def test_translations_that_are_refused():
    with pytest.raises(DataError, match="one text"):
        bleu("a b", ["a b"])
    with pytest.raises(DataError, match="there are none"):
        bleu([], [])
    with pytest.raises(ShapeError, match="2 translations and 1 references"):
        bleu(["a", "b"], ["a"])
    with pytest.raises(ShapeError, match="2 translations and 0 references"):
        bleu(["a", "b"], [])


def test_tokenizers_that_sacrebleu_does_not_have():
    sacrebleu = pytest.importorskip("sacrebleu.metrics")
    with pytest.raises(ConfigError, match="'14a'; sacrebleu has none, zh, 13a"):
        bleu(["a"], ["a"], tokenize="14a")
    try:
        sacrebleu.BLEU(tokenize="ko-mecab")
    except RuntimeError:
        with pytest.raises(MissingExtraError, match=r"pip install sacrebleu\[ko\]"):
            bleu(["나"], ["나"], tokenize="ko-mecab")


def test_tags_by_hand():
    """Tag 0: 2 right, 1 false alarm, 1 missed: F1 = 2 · 2 / (2 · 2 + 1 + 1); tag 2 never comes."""
    pytest.importorskip("sklearn")
    targets = np.array([[0, 0, 0, -100], [1, 1, -100, -100]])
    predictions = np.array([[0, 0, 1, 5], [1, 0, 7, 7]])
    scores = tag_scores(targets, predictions, tags=3)
    assert scores.accuracy == 3 / 5
    assert scores.f1 == pytest.approx([4 / 6, 2 / 4, 0])
    assert scores.macro_f1 == pytest.approx((4 / 6 + 2 / 4) / 3)
    assert scores.support.tolist() == [3, 2, 0]


def test_tags_that_are_refused():
    with pytest.raises(ShapeError, match=r"\(2,\), predictions are \(3,\)"):
        tag_scores([0, 1], [0, 1, 0], 2)
    with pytest.raises(DataError, match="no tokens that count"):
        tag_scores([-100], [0], 2)
    with pytest.raises(DataError, match="a prediction is 2; tags are 0 to 1"):
        tag_scores([0], [2], 2)
    with pytest.raises(DataError, match="a target is -1"):
        tag_scores([-1], [0], 2)
    with pytest.raises(DataError, match=r"predictions are float64.*argmax"):
        tag_scores([0, 1], [0.2, 0.8], 2)
