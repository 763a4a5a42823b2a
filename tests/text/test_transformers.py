"""Transformers of text: caches, masks that leak nothing, positions."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import nn
from narae.base.errors import BoundsError, ConfigError, GraphError, ShapeError
from narae.nn.cached_attention import RotaryAttention, attention_weights, queries_keys_values
from narae.nn.positions import RotaryPositions, SinusoidalPositions, sinusoidal_table
from narae.text.models.bert import BERT
from narae.text.models.encoder_classifier import EncoderClassifier
from narae.text.models.gpt import GPT
from narae.text.models.transformer import TranslationTransformer

POSITIONS = ["learned", "sinusoidal", "rotary"]


def gpt(positions="learned", seed=0, **options):
    narae.manual_seed(seed)
    sizes = {"width": 16, "layers": 2, "heads": 2, "length": 12, **options}
    return GPT(11, positions=positions, **sizes).eval()


def translator(seed=0, **options):
    narae.manual_seed(seed)
    return TranslationTransformer(11, 16, 2, 2, 32, length=12, **options).eval()


def tokens_of(*shape, seed=0, low=1):
    return narae.from_numpy(np.random.default_rng(seed).integers(low, 11, shape))


def cached_logits(model, state, tokens):
    """The logits of each step, fed token by token, (batch, time, vocabulary)."""
    step, found = narae.compile(model.step), []
    for time in range(tokens.shape[1]):
        logits, state = step(tokens[:, time], state)
        found.append(logits)
    return narae.stack(found, 1)


# --- caches ---------------------------------------------------------------------------------


@pytest.mark.parametrize("read", [0, 5])
@pytest.mark.parametrize("positions", POSITIONS)
def test_a_cached_gpt_is_the_whole_one(positions, read):
    """J9: "KV cache equality"."""
    model, tokens = gpt(positions), tokens_of(3, 12)
    with narae.no_grad():
        whole = model(tokens)
        found = cached_logits(model, model.start(tokens[:, :read]), tokens[:, read:])
    np.testing.assert_allclose(found.numpy(), whole.numpy()[:, read:], atol=1e-5)


@pytest.mark.parametrize("norm_first", [False, True])
def test_a_cached_decoder_is_the_whole_one(norm_first):
    """J9: "encoder sends K, V"; the step looks at the encoder's keys and values alone."""
    model = translator(norm_first=norm_first)
    source, target = tokens_of(3, 7, seed=1), tokens_of(3, 9, seed=2)
    source[1, 4:] = 0
    with narae.no_grad():
        found = cached_logits(model, model.start(source), target)
        np.testing.assert_allclose(found.numpy(), model(source, target).numpy(), atol=1e-5)


# --- masks ----------------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10**6), st.sampled_from(POSITIONS))
def test_the_future_changes_nothing_in_the_past_of_a_gpt(last, seed, positions):
    """J9: "causal-mask test"."""
    model, before = gpt(positions), tokens_of(2, 12)
    after = narae.cat([before[:, : last + 1], tokens_of(2, 11 - last, seed=seed)], 1)
    with narae.no_grad():
        a, b = model(before).numpy(), model(after).numpy()
    np.testing.assert_array_equal(a[:, : last + 1], b[:, : last + 1])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 7), st.integers(0, 10**6))
def test_the_future_changes_nothing_in_the_past_of_a_decoder(last, seed):
    """J9: "causal-mask test"."""
    model, source, before = translator(), tokens_of(2, 5), tokens_of(2, 9)
    after = narae.cat([before[:, : last + 1], tokens_of(2, 8 - last, seed=seed)], 1)
    with narae.no_grad():
        a, b = model(source, before).numpy(), model(source, after).numpy()
    np.testing.assert_array_equal(a[:, : last + 1], b[:, : last + 1])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10**6), st.sampled_from(POSITIONS))
def test_what_lies_behind_the_position_of_a_cache_is_not_seen(read, seed, positions):
    """J9: the causal mask of cached decoding: rubbish in the room for later tokens."""
    model, tokens = gpt(positions), tokens_of(2, 12)
    random = np.random.default_rng(seed)
    with narae.no_grad():
        position, *caches = model.start(tokens[:, :read])
        spoilt = [cache.clone() for cache in caches]
        for cache in spoilt:
            behind = random.normal(0, 100, (*cache.shape[:2], 12 - read, cache.shape[3]))
            cache[:, :, read:] = narae.from_numpy(behind.astype(np.float32))
        clean, _ = model.step(tokens[:, read], (position, *caches))
        dirty, _ = model.step(tokens[:, read], (position, *spoilt))
    np.testing.assert_array_equal(clean.numpy(), dirty.numpy())


@pytest.mark.parametrize("positions", POSITIONS)
def test_padding_at_the_end_changes_nothing_before_it(positions):
    model, tokens = gpt(positions), tokens_of(2, 8)
    padded = narae.cat([tokens, narae.zeros(2, 4, dtype=narae.int64)], 1)
    with narae.no_grad():
        whole = model(tokens)
        found = model(padded, padding_mask=padded == 0)
    np.testing.assert_allclose(found.numpy()[:, :8], whole.numpy(), atol=1e-5)


def test_padding_of_a_source_changes_nothing():
    model, source, target = translator(), tokens_of(2, 5), tokens_of(2, 6)
    padded = narae.cat([source, narae.zeros(2, 4, dtype=narae.int64)], 1)
    with narae.no_grad():
        found, wanted = model(padded, target), model(source, target)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)


def test_padding_of_a_text_does_not_change_its_class():
    narae.manual_seed(0)
    model = EncoderClassifier(11, 3, 16, 2, 2, 32, length=12).eval()
    tokens = tokens_of(2, 5)
    padded = narae.cat([tokens, narae.zeros(2, 4, dtype=narae.int64)], 1)
    with narae.no_grad():
        np.testing.assert_allclose(model(padded).numpy(), model(tokens).numpy(), atol=1e-5)


def rotary(seed=0):
    narae.manual_seed(seed)
    return RotaryAttention(8, 2, length=12).eval()


def test_rotary_attention_is_what_its_masks_say():
    """J7: a mask for all, one for each head, and padding, beside the sum by hand."""
    layer, x = rotary(), narae.randn(3, 5, 8)
    random = np.random.default_rng(0)
    each = random.normal(0, 2, (6, 5, 5)).astype(np.float32)
    padding = np.arange(5) >= np.array([5, 3, 4])[:, None]
    with narae.no_grad():
        q, k, v = (part.numpy() for part in queries_keys_values(layer, x))
        masks = {"attn_mask": narae.from_numpy(each), "key_padding_mask": narae.from_numpy(padding)}
        out, weights = layer(x, x, x, average_attn_weights=False, **masks)
        plain, _ = layer(x, x, x, need_weights=False, **masks)
    scores = q @ k.swapaxes(-1, -2) / 2 + each.reshape(3, 2, 5, 5)
    powers = np.exp(scores) * ~padding[:, None, None]
    wanted = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(weights.numpy(), wanted, atol=1e-5)
    heads = (wanted @ v).transpose(0, 2, 1, 3).reshape(3, 5, 8)
    weight, bias = layer.out_proj.weight.detach().numpy(), layer.out_proj.bias.detach().numpy()
    np.testing.assert_allclose(out.numpy(), heads @ weight.T + bias, atol=1e-5)
    np.testing.assert_allclose(plain.numpy(), out.numpy(), atol=1e-5)


@pytest.mark.parametrize("need_weights", [False, True])
def test_the_causal_hint_of_rotary_attention_hides_the_future(need_weights):
    """J9: a hint without the mask that it speaks of is refused, as `MultiheadAttention` does."""
    layer, x = rotary(), narae.randn(1, 5, 8)
    other = narae.cat([x[:, :3], narae.randn(1, 2, 8)], 1)
    mask = nn.Transformer.generate_square_subsequent_mask(5)
    options = {"attn_mask": mask, "is_causal": True, "need_weights": need_weights}
    with narae.no_grad():
        a, b = layer(x, x, x, **options)[0], layer(other, other, other, **options)[0]
    np.testing.assert_allclose(a.numpy()[:, :3], b.numpy()[:, :3], atol=1e-6)
    with pytest.raises(GraphError, match="attn_mask"):
        layer(x, x, x, is_causal=True, need_weights=need_weights)


def test_a_state_has_the_numbers_of_the_model():
    model, source = translator().double(), tokens_of(2, 5)
    with narae.no_grad():
        state = model.start(source)
        _, after = model.step(narae.tensor([1, 1]), state)
    assert [x.dtype for x in after] == [x.dtype for x in state]
    assert state[2].dtype == narae.float64


# --- positions ------------------------------------------------------------------------------


def test_attention_knows_no_order_and_positions_tell_it():
    """J8: "permutation test: equivariant without PE, not with PE"."""
    narae.manual_seed(0)
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x, order = narae.randn(1, 7, 16), [3, 0, 6, 1, 5, 2, 4]
    placed = SinusoidalPositions(7, 16)
    with narae.no_grad():
        without = layer(x[:, order]).numpy(), layer(x).numpy()[:, order]
        with_them = layer(placed(x[:, order])).numpy(), layer(placed(x)).numpy()[:, order]
    np.testing.assert_allclose(*without, atol=1e-5)
    assert np.abs(with_them[0] - with_them[1]).max() > 0.1


def test_the_table_is_the_papers_formula():
    """J8: sin and cos of position / 10000^(2i / width), section 3.5 of the paper."""
    table = sinusoidal_table(50, 8).numpy()
    for t, i in [(0, 0), (1, 0), (7, 2), (49, 3)]:
        angle = t / 10000 ** (2 * i / 8)
        np.testing.assert_allclose(table[t, 2 * i : 2 * i + 2], [math.sin(angle), math.cos(angle)])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 20), st.integers(0, 20), st.integers(0, 11))
def test_turned_products_depend_on_the_distance_alone(a, b, shift):
    """J8: rotary positions, equation 16 of RoFormer."""
    turn = RotaryPositions(32, 8)
    random = np.random.default_rng(0).normal(size=(2, 1, 8)).astype(np.float32)
    q, k = (turn(narae.from_numpy(x).expand(32, 8)) for x in random)
    near, far = (q[a] * k[b]).sum().item(), (q[a + shift] * k[b + shift]).sum().item()
    assert math.isclose(near, far, abs_tol=1e-4)


def test_dividing_by_the_root_of_the_size_keeps_the_scores_variance():
    """J6: "√d_k scaling; experiment: variance of scores with/without it"."""
    narae.manual_seed(0)
    for size in (4, 64, 256):
        q, k = narae.randn(400, size), narae.randn(400, size)
        scores = (q @ k.T).numpy()
        np.testing.assert_allclose(scores.var(), size, rtol=0.1)
        np.testing.assert_allclose((scores / math.sqrt(size)).var(), 1, rtol=0.1)
        # Without it softmax is all but an argmax: its largest weight grows to 1.
        plain = narae.from_numpy(scores[:, :16]).softmax(-1).amax(-1).mean().item()
        scaled = attention_weights(q, k[:16]).amax(-1).mean().item()
        assert scaled < 0.4
        assert plain > (0.9 if size == 256 else scaled)


# --- bad input ------------------------------------------------------------------------------


def test_a_text_longer_than_the_positions():
    long = narae.zeros(1, 13, dtype=narae.int64)
    for positions in POSITIONS:
        with pytest.raises(BoundsError, match="13 tokens"):
            gpt(positions)(long)
    with pytest.raises(BoundsError, match="13 tokens"):
        translator()(long, long)
    with pytest.raises(BoundsError, match="13 tokens"):
        EncoderClassifier(11, 3, 16, 1, 2, 32, length=12)(long)
    with pytest.raises(BoundsError, match="13 tokens"):
        SinusoidalPositions(12, 4)(narae.zeros(1, 13, 4))


def test_rotary_attention_of_two_sequences():
    layer, x, y = rotary(), narae.rand(1, 5, 8), narae.rand(1, 5, 8)
    with pytest.raises(ConfigError, match="looks at itself"):
        layer(x, y, y)
    with pytest.raises(ShapeError, match="unsqueeze"):
        layer(*[x[0]] * 3)


def test_segments_that_a_model_has_no_vectors_for():
    tokens = tokens_of(1, 4)
    bert = BERT(11, 8, 1, 2, 16, length=8, segments=0)
    with pytest.raises(ConfigError, match="segments are given"):
        bert(tokens, segments=narae.zeros_like(tokens))


def test_padding_begins_with_no_vector():
    for model in (BERT(11, 8, 1, 2, 16, length=8, pad_id=3), translator(pad_id=3)):
        table = model.embedding.weight.detach().numpy()
        assert not table[3].any()
        assert table[4].any()


def test_positions_that_there_are_not():
    with pytest.raises(ConfigError, match="learned, sinusoidal, rotary"):
        gpt("relative")
    with pytest.raises(ConfigError, match="even"):
        sinusoidal_table(4, 5)
    with pytest.raises(ConfigError, match="relu/gelu"):
        gpt(activation="selu")
