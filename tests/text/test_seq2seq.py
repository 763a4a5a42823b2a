"""Encoder and decoder with attention: weights, padding, steps, and that it learns to reverse."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.base.errors import ConfigError, DataError, ShapeError
from narae.optim import Adam
from narae.text.generation.generate import continued
from narae.text.models.seq2seq import ATTENTIONS, Seq2Seq

PAD, BOS, EOS = 0, 1, 2


def model_of(attention, **options):
    narae.manual_seed(0)
    return Seq2Seq(11, 8, attention, **options).eval()


def tokens_of(*shape, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).integers(3, 11, shape))


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_weights_are_those_of_the_papers(attention):
    """The weights of the first step, from the formulas in NumPy."""
    model, source = model_of(attention), tokens_of(2, 5)
    with narae.no_grad():
        _, weights = model.with_weights(source, tokens_of(2, 3, seed=1))
        h, memory, _, _ = (x.numpy() for x in model.start(source))
        x = model.embedding(tokens_of(2, 3, seed=1)[:, 0])
        after = model.cell(x, narae.from_numpy(h)).numpy() if attention == "luong" else None
    own = {name: x.detach().numpy() for name, x in model.attention.named_parameters()}
    if attention == "bahdanau":
        keys = memory @ own["keys.weight"].T + own["keys.bias"]
        scores = np.tanh((h @ own["query.weight"].T)[:, None] + keys) @ own["score.weight"][0]
    else:
        scores = np.einsum("bw,wm,btm->bt", after, own["keys.weight"], memory)
    wanted = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    np.testing.assert_allclose(weights.numpy()[:, 0], wanted, atol=1e-5)
    np.testing.assert_allclose(weights.numpy().sum(2), 1, atol=1e-5)


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_padding_of_a_source_changes_nothing(attention):
    model, source, target = model_of(attention), tokens_of(2, 5), tokens_of(2, 4, seed=1)
    padded = narae.cat([source, narae.zeros(2, 3, dtype=narae.int64)], 1)
    with narae.no_grad():
        wanted, weights = model(source, target), model.with_weights(padded, target)[1]
        np.testing.assert_allclose(model(padded, target).numpy(), wanted.numpy(), atol=1e-6)
    assert (weights.numpy()[:, :, 5:] == 0).all()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_steps_give_what_the_whole_gives(attention):
    model, source, target = model_of(attention), tokens_of(2, 5), tokens_of(2, 4, seed=1)
    step = narae.compile(model.step)
    with narae.no_grad():
        whole, state = model(source, target).numpy(), model.start(source)
        for time in range(4):
            logits, state = step(target[:, time], state)
            np.testing.assert_allclose(logits.numpy(), whole[:, time], atol=1e-6)
    assert step.traces == 1


def reversed_texts(count, seed):
    source = np.random.default_rng(seed).integers(3, 11, (count, 4))
    ends = np.full((count, 1), EOS)
    target = np.concatenate([np.full((count, 1), BOS), source[:, ::-1], ends], 1)
    return narae.from_numpy(np.concatenate([source, ends], 1)), narae.from_numpy(target)


@pytest.mark.slow
@pytest.mark.parametrize("attention", ATTENTIONS)
def test_it_learns_to_reverse_and_looks_where_it_should(attention):
    """Teacher forcing; texts that it never saw, token by token."""
    narae.manual_seed(0)
    model = Seq2Seq(11, 32, attention, dropout=0.0)
    optimizer = Adam(model.parameters(), lr=5e-3)

    def update(source, target):
        optimizer.zero_grad()
        out = model(source, target[:, :-1])
        loss = nn.functional.cross_entropy(out.flatten(0, 1), target[:, 1:].flatten())
        loss.backward()
        optimizer.step()
        return loss

    step = narae.compile(update)
    for seed in range(500):
        step(*reversed_texts(32, seed))
    source, target = reversed_texts(50, 10**6)
    model.eval()
    with narae.no_grad():
        found = np.stack(list(continued(model, model.start(source), [BOS] * 50, 4)), 1)
        _, weights = model.with_weights(source, target[:, :-1])
    assert (found == target.numpy()[:, 1:5]).mean() > 0.95
    # Each answer but the first comes from the place that is looked at, or its neighbour.
    places = weights.numpy().argmax(2)[:, 1:4]
    assert (np.abs(places - np.array([2, 1, 0])) <= 1).mean() > 0.8


def test_targets_and_sources_that_do_not_fit():
    model, source = model_of("luong"), tokens_of(2, 5)
    with pytest.raises(ShapeError, match="a target begins with a token"):
        model(source, narae.zeros(2, 0, dtype=narae.int64))
    with pytest.raises(ShapeError, match=r"target is \(1, 3\)"):
        model(source, tokens_of(1, 3))


def test_padding_stands_at_the_end():
    """The encoder counts tokens: it would not have read the last ones of such a row."""
    with pytest.raises(DataError, match="follows padding"):
        model_of("luong")(narae.tensor([[5, PAD, 6]]), narae.tensor([[BOS]]))


def test_an_attention_that_there_is_not():
    with pytest.raises(ConfigError, match="bahdanau, luong"):
        Seq2Seq(11, 8, "dot")
