"""Attention maps as arrays and as a page."""

import json
import re

import numpy as np
import pytest

import narae
from narae.base.errors import ConfigError, ShapeError
from narae.explain.attention_maps import attention_maps
from narae.nn.cached_attention import queries_keys_values
from narae.text.models.gpt import GPT
from narae.text.models.transformer import TranslationTransformer


def translator():
    narae.manual_seed(0)
    return TranslationTransformer(20, 16, 2, 2, 32, length=12).train()


@pytest.mark.parametrize("positions", ["learned", "rotary"])
def test_maps_are_softmax_of_scores_and_see_no_future(positions):
    """J11: maps as arrays; computed here from the layer's own queries and keys in NumPy."""
    narae.manual_seed(0)
    model = GPT(20, 16, 2, 2, 12, positions=positions)
    tokens = narae.tensor([[3, 4, 5, 6], [7, 8, 9, 1]])
    maps = attention_maps(model, tokens)
    assert list(maps.weights) == ["layers.0.self_attn", "layers.1.self_attn"]
    with narae.no_grad():
        model.eval()
        x = model.layers[0].norm1(model._embedded(tokens))
        q, k, _ = (part.numpy() for part in queries_keys_values(model.layers[0].self_attn, x))
    scores = q @ k.swapaxes(-1, -2) / np.sqrt(8)
    powers = np.exp(scores) * np.tri(4)
    wanted = powers / powers.sum(-1, keepdims=True)
    np.testing.assert_allclose(maps["layers.0.self_attn"], wanted, atol=1e-5)


def test_looking_changes_nothing():
    model, source, target = translator(), narae.tensor([[3, 4, 5]]), narae.tensor([[1, 7]])
    with narae.no_grad():
        before = model.eval()(source, target).numpy()
    model.train()
    maps = attention_maps(model, source, target)
    assert model.training
    with narae.no_grad():
        np.testing.assert_array_equal(model.eval()(source, target).numpy(), before)
    shapes = {name.split(".", 1)[1]: x.shape for name, x in maps.weights.items()}
    assert shapes["encoder.layers.0.self_attn"] == (1, 2, 3, 3)
    assert shapes["decoder.layers.1.self_attn"] == (1, 2, 2, 2)
    assert shapes["decoder.layers.1.multihead_attn"] == (1, 2, 2, 3)


def test_the_page_holds_the_maps_and_nothing_from_elsewhere(tmp_path):
    """J11: "interactive map"."""
    maps = attention_maps(translator(), narae.tensor([[3, 4, 5]]), narae.tensor([[1, 7]]))
    maps.write(tmp_path / "maps.html", ["<bos>", "a</script>"], ["ein", "klein", "Haus"])
    page = (tmp_path / "maps.html").read_text("utf-8")
    assert not re.search(r"(src|href)\s*=|https?:|import ", page)
    data = json.loads(re.search(r'type="application/json">(.*?)</script>', page, re.S)[1])
    assert data["queries"] == ["<bos>", "a</script>"]
    assert data["keys"] == ["ein", "klein", "Haus"]
    sides = {(entry["from"], entry["to"]) for entry in data["maps"]}
    assert sides == {("keys", "keys"), ("queries", "queries"), ("queries", "keys")}
    for entry in data["maps"]:
        np.testing.assert_allclose(np.sum(entry["heads"], -1), 1, atol=1e-3)


def test_maps_that_cannot_be():
    with pytest.raises(ConfigError, match="no attention in Linear"):
        attention_maps(narae.nn.Linear(2, 2), narae.zeros(1, 2))
    maps = attention_maps(GPT(20, 16, 1, 2, 12), narae.tensor([[3, 4, 5]]))
    with pytest.raises(ShapeError, match="3 x 3"):
        maps.page(["only", "two"])
