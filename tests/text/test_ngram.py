"""n-gram models: the chain of conditional probabilities, smoothing, sampling."""

import importlib.util
import itertools
import math
import os
import pathlib
import sys
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
from narae.base.errors import BoundsError, ConfigError, DataError
from narae.text import NO_SPECIALS, Characters
from narae.text.datasets import TinyShakespeare
from narae.text.models.ngram import NGram
from narae.text.models.smoothing import AddK, Interpolated, KneserNey

EXAMPLES = pathlib.Path(__file__).resolve().parent.parent.parent / "examples" / "sequences"
TOY = [[1, 2, 3, 1], [1, 2, 4], [3, 1, 2, 1, 2], [4, 4, 1]]
SMOOTHINGS = [
    AddK(0.5),
    Interpolated([0.1, 0.2, 0.3, 0.4]),
    Interpolated([0.0, 0.0, 0.5, 0.5]),
    KneserNey(),
    KneserNey(0.3, uniform=False),
]


def example(name):
    spec = importlib.util.spec_from_file_location(f"sequences_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


# ------------------------------------------------------------- the chain of conditionals (B2, B3)
@given(st.lists(st.lists(st.integers(1, 3), min_size=4, max_size=4), min_size=1, max_size=12))
def test_the_product_of_conditionals_is_the_joint_probability(corpus):
    """B2: on a toy corpus, P(x1, …, x4) by the model is the share of sequences that are that."""
    model = NGram(order=4, vocab_size=4, bos_id=0).fit(corpus)
    counts = Counter(map(tuple, corpus))
    for sequence, count in counts.items():
        product = 1.0
        for place, token in enumerate(sequence):
            product *= model.probability(token, [0, 0, 0, *sequence[:place]])
        assert product == pytest.approx(count / len(corpus), rel=1e-12)
        assert math.exp(model.log_probability(sequence)) == pytest.approx(product, rel=1e-12)


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_all_sequences_together_have_probability_one(smoothing):
    """B2: the joint distribution is one, whatever the smoothing."""
    model = NGram(3, 4, smoothing, bos_id=0).fit([[1, 2, 3], [1, 2, 1], [3, 3]])
    sequences = itertools.product(range(4), repeat=3)
    total = sum(math.exp(model.log_probability(sequence)) for sequence in sequences)
    assert total == pytest.approx(1, abs=1e-9)


def test_a_markov_chain_is_the_bigram_model():
    """B2: P(x1, …, xT) = P(x1) ∏ P(xt | x(t-1)) by the matrix of transitions, counted by hand."""
    text = [0, 1, 0, 2, 0, 1, 1, 0]
    model = NGram(order=2, vocab_size=3).fit([text])
    counts = np.zeros((3, 3))
    for before, after in itertools.pairwise(text):
        counts[before, after] += 1
    chain = counts / counts.sum(axis=1, keepdims=True)
    assert model.transitions() == pytest.approx(chain, abs=1e-15)
    path = [0, 2, 0, 1]
    joint = text.count(0) / len(text) * chain[0, 2] * chain[2, 0] * chain[0, 1]
    assert math.exp(model.log_probability(path)) == pytest.approx(joint, rel=1e-12)
    with pytest.raises(ConfigError, match="has 2"):
        NGram(3, 3).fit([text]).transitions()


def test_why_there_is_no_evidence(capsys):
    """B3: each factor is a joint probability over its evidence, which the factor before made."""
    chain = example("chain_of_conditionals")
    for sequence in map("".join, itertools.product("rs", repeat=3)):
        if not chain.joint(sequence):
            continue
        product, before = Fraction(1), Fraction(1)
        for t, (above, evidence) in enumerate(chain.factors(sequence)):
            assert evidence == before  # what the factor before has made: it cancels
            quotient = above / evidence
            assert quotient == chain.conditional(sequence[t], sequence[:t])
            assert quotient == chain.posterior(sequence[t], sequence[:t])  # Bayes' rule
            product, before = product * quotient, above
        assert (
            product
            == chain.joint(sequence)
            == Fraction(sum(text == sequence for text in chain.TOY_CORPUS), len(chain.TOY_CORPUS))
        )
        assert chain.by_model(sequence, 3) == pytest.approx(float(product), rel=1e-12)
    assert chain.by_model("ssr", 2) != pytest.approx(float(chain.joint("ssr")), rel=0.1)
    chain.main()
    assert "(1/2)/(1) · (1/2)/(1/2) · (3/10)/(1/2)" in capsys.readouterr().out


# -------------------------------------------------------------------------- order matters (B1, J1)
@pytest.mark.skipif("NARAE_DATA" not in os.environ, reason="NARAE_DATA names no folder")
def test_lost_and_permuted_characters_raise_the_perplexity():
    """B1, J1: shuffle or mask a char corpus, and a language model's perplexity rises."""
    text = TinyShakespeare(split="train").text
    table = example("order_matters").perplexities(text[:60_000], text[60_000:70_000], order=3)
    clean, own_clean = table.pop("intact")
    assert clean == own_clean and len(table) == 5
    for name, (met, own) in table.items():
        assert met > 1.5 * clean, name
        assert own > 1.1 * clean, name
    # With all order gone only frequencies are left: no model beats the unigrams' entropy.
    counts = np.array(list(Counter(text[:70_000]).values()))
    shares = counts / counts.sum()
    assert table["shuffled"][1] > 0.95 * math.exp(-(shares * np.log(shares)).sum())


# ----------------------------------------------------------------------------------- smoothing
# Scores of nltk 3.10.4 (Lidstone with gamma 0.4, KneserNeyInterpolated with discount 0.6, order 3),
# fitted to "abca", "abd", "cabab", "dda" with "^^" before and "$" after each, for the n-grams
# that end behind the "^^". In the order "^", "$", "a", "b", "c", "d"; nltk's seventh is <UNK>.
NLTK = "^$abcd"
NLTK_TEXTS = ("abca", "abd", "cabab", "dda")
LIDSTONE = {
    "ab": (1 / 17, 3.5 / 17, 3.5 / 17, 1 / 17, 3.5 / 17, 3.5 / 17),
    "^a": (
        0.0833333333333,
        0.0833333333333,
        0.0833333333333,
        0.5,
        0.0833333333333,
        0.0833333333333,
    ),
    "cd": (0.142857142857,) * 6,
}
KNESER_NEY = {
    "ab": (0, 0.243076923077, 0.270769230769, 0.0276923076923, 0.215384615385, 0.243076923077),
    "^^": (0, 0.0623076923077, 0.493076923077, 0.0207692307692, 0.201538461538, 0.222307692308),
    "^a": (0, 0.100615384615, 0.0221538461538, 0.849538461538, 0.0110769230769, 0.0166153846154),
    "ba": (0, 0.201230769231, 0.0443076923077, 0.699076923077, 0.0221538461538, 0.0332307692308),
    "cd": (0, 0.271794871795, 0.317948717949, 0.0461538461538, 0.0923076923077, 0.271794871795),
}


@pytest.mark.parametrize(
    ("smoothing", "vocab_size", "scores"),
    [(AddK(0.4), 7, LIDSTONE), (KneserNey(0.6, uniform=False), 6, KNESER_NEY)],
)
def test_smoothing_agrees_with_nltk(smoothing, vocab_size, scores):
    sequences = [[NLTK.index(token) for token in text + "$"] for text in NLTK_TEXTS]
    model = NGram(3, vocab_size, smoothing, bos_id=0).fit(sequences)
    for context, expected in scores.items():
        found = model.distribution([NLTK.index(token) for token in context])
        assert found[:6] == pytest.approx(expected, abs=1e-11), context


def test_interpolation_by_hand():
    """0.1 / 5 + 0.2 · 4/9 + 0.7 · 2/4 for the pair 1, 2; without the pair its weight goes down."""
    model = NGram(2, 5, Interpolated([0.1, 0.2, 0.7])).fit([[1, 2, 1, 2, 1, 3, 1, 4, 2]])
    assert model.probability(1, [0]) == pytest.approx(0.1 / 5 + 0.9 * 4 / 9)
    assert model.probability(2, [1]) == pytest.approx(0.1 / 5 + 0.2 * 3 / 9 + 0.7 * 2 / 4)


def test_unseen_tokens_and_contexts():
    for smoothing in (AddK(1), KneserNey(), Interpolated([0.2, 0.2, 0.3, 0.3])):
        model = NGram(3, 6, smoothing, bos_id=0).fit(TOY)
        assert model.probability(5, [1, 2]) > 0
        assert model.distribution([5, 5]).sum() == pytest.approx(1)
    plain = NGram(3, 6, bos_id=0).fit(TOY)
    assert plain.perplexity([[2, 2]]) == math.inf
    with pytest.raises(DataError, match=r"context \(5, 5\) was never seen"):
        plain.probability(1, [5, 5])


@pytest.mark.parametrize("smoothing", SMOOTHINGS)
def test_one_token_is_enough_to_fit(smoothing):
    model = NGram(3, 4, smoothing).fit([[2]])
    assert model.distribution().sum() == pytest.approx(1)
    assert model.probability(2) == max(model.distribution())


# ------------------------------------------------------------------------------------ sampling
def test_samples_follow_the_distribution():
    """A chi-squared test over 3,000 draws; 22.46 is its 99.9 % quantile with 6 free shares."""
    model = NGram(2, 7, AddK(1)).fit([[0, 1, 2, 0, 3, 0, 1, 4, 5]])
    generator = narae.Generator().manual_seed(0)
    drawn = [model.sample(1, [0], generator=generator)[0] for _ in range(3000)]
    counts = np.bincount(drawn, minlength=7)
    expected = 3000 * model.distribution([0])
    assert ((counts - expected) ** 2 / expected).sum() < 22.46


def test_a_sample_goes_on_from_its_prompt_and_ends_with_eos():
    cycle = NGram(2, 4).fit([[0, 1, 2, 3] * 5])
    assert cycle.sample(5, [1]) == [2, 3, 0, 1, 2]
    assert cycle.sample(5, [1], eos_id=3) == [2, 3]
    assert cycle.sample(2, [1, 3], eos_id=3) == [0, 1]
    assert cycle.sample(0, [1]) == []
    model = NGram(3, 6, KneserNey(), bos_id=0).fit(TOY)
    first, second = (model.sample(20, generator=narae.Generator().manual_seed(3)) for _ in range(2))
    assert first == second and len(first) == 20


def test_longer_contexts_help_on_real_text():
    """Perplexity of the same characters falls from unigrams to bigrams to trigrams."""
    text = pathlib.Path(__file__).parent.parent.parent.joinpath("README.md").read_text("utf-8")
    tokenizer = Characters.fit(text, specials=NO_SPECIALS)
    cut = len(text) * 4 // 5
    train, validation = tokenizer.encode(text[:cut]), tokenizer.encode(text[cut:])
    found = [
        NGram(order, len(tokenizer), KneserNey()).fit([train]).perplexity([validation])
        for order in (1, 2, 3)
    ]
    assert found[0] > found[1] > found[2]


# ----------------------------------------------------------------------------------- bad input
def test_models_that_are_refused():
    with pytest.raises(ConfigError, match="order is 0"):
        NGram(0, 3)
    with pytest.raises(ConfigError, match="order 2 has 3 of them"):
        NGram(2, 3, Interpolated([0.5, 0.5]))
    with pytest.raises(ConfigError, match="1 in all"):
        NGram(1, 3, Interpolated([0.5, 0.6]))
    with pytest.raises(ConfigError, match="between 0 and 1"):
        NGram(1, 3, KneserNey(1.0))
    for k in (-1, math.nan, math.inf):
        with pytest.raises(ConfigError, match=f"k is {k}"):
            NGram(1, 3, AddK(k))
    with pytest.raises(ConfigError, match="nan"):
        NGram(1, 3, Interpolated([0.5, math.nan]))
    with pytest.raises(ConfigError, match="length is -1"):
        NGram(1, 3).fit([[1]]).sample(-1)
    for flat in ([0, 1], ["ab"], [[0.5]]):
        with pytest.raises(DataError, match="ids are integers"):
            NGram(2, 3).fit(flat)
    with pytest.raises(BoundsError, match="no id 3"):
        NGram(2, 3, bos_id=3)
    with pytest.raises(BoundsError, match="no id 3; ids are 0 to 2"):
        NGram(2, 3).fit([[1, 3]])
    with pytest.raises(DataError, match="no tokens"):
        NGram(2, 3, bos_id=0).fit([[]])
    with pytest.raises(DataError, match="not fitted"):
        NGram(2, 3).probability(1)
    with pytest.raises(DataError, match="no tokens"):
        NGram(2, 3).fit([[1]]).cross_entropy([])
