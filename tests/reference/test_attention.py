"""Attention by definition: one word after the other, in NumPy; dropout, compiled steps, memory."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
import narae.nn.functional as F
from narae import nn


def normal(*shape, seed=0):
    return np.random.default_rng(seed + sum(shape)).normal(size=shape)


def one_word_after_the_other(q, k, v, scale):
    """z_i = sum over j of softmax_j(scale * q_i · k_j) v_j, with loops."""
    out = np.zeros((len(q), v.shape[1]))
    for i in range(len(q)):
        scores = [
            scale * sum(a * b for a, b in zip(q[i], k[j], strict=True)) for j in range(len(k))
        ]
        powers = [math.exp(score) for score in scores]
        for j in range(len(k)):
            out[i] += powers[j] / sum(powers) * v[j]
    return out


@settings(max_examples=30)
@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 5), st.integers(1, 4))
def test_every_word_looks_at_all_words(queries, keys, size, value_size):
    """J4: "equality with per-word loop"."""
    q, k, v = normal(queries, size), normal(keys, size, seed=1), normal(keys, value_size, seed=2)
    found = F.scaled_dot_product_attention(*map(narae.tensor, (q, k, v)))
    expected = one_word_after_the_other(q, k, v, 1 / math.sqrt(size))
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-14)


def test_scores_are_divided_by_the_root_of_the_size():
    """J6: "√d_k scaling; experiment: variance of scores with/without it".

    Components of q and k with variance 1 give scores with variance d_k; after the division it is
    1 for every size, and softmax does not saturate.
    """
    for size in (4, 64, 256):
        q, k = normal(400, size), normal(300, size, seed=1)
        scores = q @ k.T
        assert scores.var() == pytest.approx(size, rel=0.15)
        weights = F.scaled_dot_product_attention(*map(narae.tensor, (q, k, np.eye(300)))).numpy()
        found = np.log(weights)  # the scores again, but for a constant in each row
        spread = (found - found.mean(1, keepdims=True)).var()
        assert spread == pytest.approx(1.0, rel=0.15)
    unscaled = F.scaled_dot_product_attention(*map(narae.tensor, (q, k, np.eye(300))), scale=1.0)
    assert unscaled.numpy().max(1).mean() > 0.5 > 10 * weights.max(1).mean()


def test_heads_look_at_their_own_part_of_the_features():
    """J5, J7: q, k, v of every head by its rows of the weights, then joined and projected."""
    narae.manual_seed(0)
    layer = nn.MultiheadAttention(6, 3, batch_first=True).double()
    x = normal(2, 4, 6)
    w, b = layer.in_proj_weight.detach().numpy(), layer.in_proj_bias.detach().numpy()
    q, k, v = (x @ w[part : part + 6].T + b[part : part + 6] for part in (0, 6, 12))
    out = np.zeros((2, 4, 6))
    for sample in range(2):
        for head in range(3):
            own = slice(2 * head, 2 * head + 2)
            out[sample][:, own] = one_word_after_the_other(
                q[sample][:, own], k[sample][:, own], v[sample][:, own], 1 / math.sqrt(2)
            )
    out = out @ layer.out_proj.weight.detach().numpy().T + layer.out_proj.bias.detach().numpy()
    x = narae.tensor(x)
    for need_weights in (False, True):
        found, _ = layer(x, x, x, need_weights=need_weights)
        np.testing.assert_allclose(found.detach().numpy(), out, rtol=1e-12, atol=1e-14)


def test_weights_are_a_distribution_over_the_words_that_may_be_seen():
    layer = nn.MultiheadAttention(4, 2)
    x = narae.tensor(normal(5, 3, 4)).float()
    hidden = nn.Transformer.generate_square_subsequent_mask(5)
    _, weights = layer(x, x, x, attn_mask=hidden, average_attn_weights=False)
    assert weights.shape == (3, 2, 5, 5)
    np.testing.assert_allclose(weights.detach().sum(-1).numpy(), 1, rtol=1e-6)
    assert bool((weights.triu(1) == 0).all())


def test_later_words_change_nothing_when_they_are_hidden():
    """J9: causal-mask test: what comes later neither moves the result nor gets a gradient."""
    model = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True)
    hidden = nn.Transformer.generate_square_subsequent_mask(5)
    x = narae.tensor(normal(1, 5, 4), requires_grad=True)
    model.double()
    model(x, src_mask=hidden.double())[:, 2].sin().sum().backward()
    assert bool((x.grad[:, 3:] == 0).all())
    assert bool((x.grad[:, :3] != 0).any())


def test_words_in_another_order_are_answered_in_that_order():
    """J8: without positions, attention is equivariant to permutations."""
    model = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True).double()
    x, order = narae.tensor(normal(1, 5, 4)), [3, 1, 4, 0, 2]
    out, permuted = model(x), model(x[:, order])
    np.testing.assert_allclose(permuted.detach(), out[:, order].detach(), rtol=1e-12, atol=1e-14)


# --- dropout --------------------------------------------------------------------------------


def test_dropped_weights_keep_their_mean():
    narae.manual_seed(1)
    value = narae.ones(200, 50)
    q, k = narae.tensor(normal(300, 8)).float(), narae.tensor(normal(200, 8, seed=1)).float()
    out = F.scaled_dot_product_attention(q, k, value, dropout_p=0.3).numpy()
    assert out.mean() == pytest.approx(1, abs=0.02)
    assert out.std() > 0.03
    assert F.scaled_dot_product_attention(q, k, value, dropout_p=1.0).sum().item() == 0


def test_gradients_pass_the_mask_that_was_drawn():
    q, k, v = (narae.tensor(normal(3, 4, seed=n), requires_grad=True) for n in range(3))

    def run(q, k, v):
        narae.manual_seed(4)
        return F.scaled_dot_product_attention(q, k, v, dropout_p=0.4)

    assert narae.autograd.gradcheck(run, (q, k, v))
    assert narae.autograd.gradgradcheck(run, (q, k, v))


def test_layers_drop_in_training_only():
    narae.manual_seed(0)
    layer = nn.MultiheadAttention(8, 2, dropout=0.5)
    x = narae.rand(4, 2, 8)
    for need_weights in (False, True):
        first, second = (layer(x, x, x, need_weights=need_weights)[0] for _ in range(2))
        assert not narae.equal(first, second)
    layer.eval()
    first, second = layer(x, x, x)[0], layer(x, x, x)[0]
    assert narae.equal(first, second)


# --- memory and compiled steps --------------------------------------------------------------


def test_nothing_larger_than_the_scores_is_kept():
    """One node on the tape; it keeps its operands and one matrix of weights."""
    q, k, v = (narae.rand(2, 64, 4, requires_grad=True) for _ in range(3))
    node = F.scaled_dot_product_attention(q, k, v, is_causal=True).grad_fn
    assert node.name == "ScaledDotProductFlashAttentionForCpuBackward0"
    assert all(parent is x for parent, x in zip(node.parents, (q, k, v), strict=False))
    sizes = sorted(item.value.size for item in node.saved if hasattr(item, "value"))
    assert sizes == [2 * 64 * 64]


def trained(build, compiled, steps=5):
    narae.manual_seed(0)
    model, forward = build()
    optimizer = narae.optim.AdamW(model.parameters(), lr=1e-2)

    def step(x, target):
        optimizer.zero_grad()
        loss = F.mse_loss(forward(model, x), target)
        loss.backward()
        optimizer.step()
        return loss

    run = narae.compile(step) if compiled else step
    losses = [run(narae.randn(3, 5, 8), narae.randn(3, 5, 8)).item() for _ in range(steps)]
    return losses, {key: x.numpy().tobytes() for key, x in model.state_dict().items()}


def _encoder():
    layer = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.2, batch_first=True)
    model = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
    hidden = narae.ones(5, 5, dtype=narae.bool).triu(1)
    return model, lambda model, x: model(x, mask=hidden, is_causal=True)


def _transformer():
    model = nn.Transformer(8, 2, 1, 1, 16, 0.1, activation="gelu", batch_first=True)
    padding = narae.tensor([[False] * 5, [False] * 4 + [True], [False] * 5])
    return model, lambda model, x: model(x, x.flip(1), src_key_padding_mask=padding)


def _weighted():
    model = nn.MultiheadAttention(8, 4, dropout=0.3, add_bias_kv=True, batch_first=True)
    return model, lambda model, x: model(x, x, x)[0]


@pytest.mark.parametrize("build", [_encoder, _transformer, _weighted])
def test_compiled_training_equals_eager(build):
    """The same bits from a compiled training step, dropout included."""
    assert trained(build, compiled=True) == trained(build, compiled=False)


def test_a_mask_may_be_an_argument_of_a_compiled_step():
    layer = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0), 1).eval()
    run = narae.compile(lambda x, mask: layer(x, mask=mask))
    x = narae.rand(3, 2, 4)
    for mask in (narae.zeros(3, 3), nn.Transformer.generate_square_subsequent_mask(3)):
        assert narae.equal(run(x, mask), layer(x, mask=mask))
