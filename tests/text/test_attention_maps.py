"""Attention maps as arrays and as a page."""

import json
import math
import re

import numpy as np
import pytest

import narae
from narae.base.errors import BoundsError, ConfigError, ShapeError
from narae.explain import attention_maps, position_map
from narae.nn.cached_attention import queries_keys_values
from narae.nn.positions import sinusoidal_table
from narae.text.models.bert import BERT
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


def test_each_module_keeps_its_own_mode():
    model = translator()
    model.transformer.encoder.eval()
    attention_maps(model, narae.tensor([[3, 4]]), narae.tensor([[1]]))
    assert model.training
    assert not any(module.training for module in model.transformer.encoder.modules())


class Asks(narae.nn.Module):
    """It asks for no weights, in the place of an argument without a name."""

    def __init__(self):
        super().__init__()
        self.attention = narae.nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, None, False)[0]


def test_arguments_without_names():
    narae.manual_seed(0)
    model, x = Asks(), narae.rand(3, 4, 8)
    found = attention_maps(model, x)["attention"]
    with narae.no_grad():
        wanted = model.attention(x, x, x, average_attn_weights=False)[1]
    np.testing.assert_allclose(found, wanted.numpy(), atol=1e-6)
    assert attention_maps(model, x[0])["attention"].shape == (1, 2, 4, 4)


@pytest.mark.parametrize("text", ["</script>", "<!--<script>", "&lt;", '"\\'])
def test_a_token_cannot_end_the_page(text, tmp_path):
    maps = attention_maps(translator(), narae.tensor([[3]]), narae.tensor([[1]]))
    page = maps.page([text], ["b"])
    held = re.search(r'type="application/json">(.*?)</script>', page, re.S)[1]
    assert json.loads(held)["queries"] == [text]
    assert "<" not in held


def test_the_picture_of_a_map(tmp_path):
    """J11: the cells of the picture are the weights, one picture for each head."""
    figures = pytest.importorskip("matplotlib.figure")
    maps = attention_maps(translator(), narae.tensor([[3, 4, 5]]), narae.tensor([[1, 7]]))
    seen = []
    words = {"queries": ["<bos>", "$a$"], "keys": ["ein", "klein", "Haus"]}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures.Figure, "savefig", kept_by(seen))
        maps.save(tmp_path / "map.png", **words)
    heads = maps["transformer.decoder.layers.1.multihead_attn"][0]
    drawn = [axes for axes in seen[0].axes if axes.images]
    for axes, head in zip(drawn, heads, strict=True):
        np.testing.assert_array_equal(axes.images[0].get_array(), head)
        assert [x.get_text() for x in axes.get_xticklabels()] == ["ein", "klein", "Haus"]
    assert [y.get_text() for y in drawn[0].get_yticklabels()] == ["<bos>", r"\$a\$"]
    maps.save(tmp_path / "encoder.png", layer="transformer.encoder.layers.0.self_attn", **words)
    assert (tmp_path / "encoder.png").read_bytes().startswith(b"\x89PNG")


def kept_by(seen):
    """A `savefig` that also keeps the figure."""
    from matplotlib.figure import Figure

    save = Figure.savefig

    def savefig(self, *args, **options):
        seen.append(self)
        return save(self, *args, **options)

    return savefig


def test_maps_that_cannot_be():
    with pytest.raises(ConfigError, match="no attention in Linear"):
        attention_maps(narae.nn.Linear(2, 2), narae.zeros(1, 2))
    maps = attention_maps(GPT(20, 16, 1, 2, 12), narae.tensor([[3, 4, 5]]))
    with pytest.raises(ShapeError, match="3 x 3"):
        maps.page(["only", "two"])
    with pytest.raises(BoundsError, match="the batch has 1 rows"):
        maps.page(["a", "b", "c"], item=1)
    with pytest.raises(ConfigError, match=r"there are layers\.0\.self_attn"):
        maps["layers.7.self_attn"]


# --- positions ------------------------------------------------------------------------------


def test_the_map_of_positions_is_the_papers_table(tmp_path):
    """J8: "heat map"; sin and cos of position / 10000^(2i / width), section 3.5 of the paper."""
    figures = pytest.importorskip("matplotlib.figure")
    model, seen = TranslationTransformer(20, 16, 1, 2, 32, length=30), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures.Figure, "savefig", kept_by(seen))
        position_map(model).save(tmp_path / "positions.png")
    assert (tmp_path / "positions.png").read_bytes().startswith(b"\x89PNG")
    drawn = seen[0].axes[0].images[0].get_array()
    assert drawn.shape == (30, 16)
    for position in range(30):
        for wave in range(8):
            angle = position / 10000 ** (2 * wave / 16)
            pair = [math.sin(angle), math.cos(angle)]
            np.testing.assert_allclose(drawn[position, 2 * wave : 2 * wave + 2], pair, atol=1e-6)


def test_waves_of_neighbours_are_alike():
    """J8: the product of two positions' waves depends on their distance: sum of cos(w_i d)."""
    found = position_map(sinusoidal_table(40, 32)).similarities
    speeds = 10000.0 ** (-np.arange(16) / 16)
    places = np.arange(40)
    distance = np.abs(places[:, None] - places)
    wanted = np.cos(distance[..., None] * speeds).mean(-1)
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_whose_positions_are_shown():
    gpt, bert = GPT(20, 16, 1, 2, 12), BERT(20, 16, 1, 2, 32, length=9)
    np.testing.assert_array_equal(
        position_map(gpt).values, gpt.positions.embedding.weight.detach().numpy()
    )
    np.testing.assert_array_equal(position_map(bert).values, bert.positions.weight.detach().numpy())
    with pytest.raises(ConfigError, match="no table of positions"):
        position_map(GPT(20, 16, 1, 2, 12, positions="rotary"))
    for table in (np.zeros(3), np.zeros((0, 4))):
        with pytest.raises(ShapeError, match="features"):
            position_map(table)
