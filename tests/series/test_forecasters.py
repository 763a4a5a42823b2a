"""Networks that tell what comes next: they see no future, and learn what can be learned."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.errors import ConfigError, DataError, MissingExtraError, ShapeError
from narae.optim import AdamW
from narae.series import (
    CausalTransformer,
    Forecaster,
    Naive,
    Scaling,
    TemporalConvNet,
    body_of,
    draw_forecast,
    forecast_direct,
    forecast_recursive,
    mae,
    windows,
)
from narae.series.networks import KINDS
from narae.train import Data, Trainer

TIME = 14


def body(kind: str, columns: int = 2):
    narae.manual_seed(0)
    return body_of(kind, columns, width=8, layers=2).eval()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", [1, 6, TIME - 1])
def test_nothing_before_a_change_knows_of_it(kind, at):
    net = body(kind)
    x = narae.randn(3, TIME, 2)
    changed = x.clone()
    changed[:, at:] += 5 * narae.randn(3, TIME - at, 2)
    with narae.no_grad():
        before, after = net(x).numpy(), net(changed).numpy()
    np.testing.assert_allclose(after[:, :at], before[:, :at], atol=1e-6)
    assert np.abs(after[:, at] - before[:, at]).min(axis=0).max() > 1e-3  # what is now, it sees


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_go_back_in_time_only(kind):
    narae.manual_seed(0)
    net, x = body_of(kind, 2, width=32, layers=2), narae.randn(1, TIME, 2, requires_grad=True)
    (net(x)[0, 6] * narae.randn(32)).sum().backward()
    seen = np.abs(x.grad.numpy()[0]).sum(axis=1)
    assert (seen[7:] == 0).all()
    assert (seen[:7] > 0).all()


@pytest.mark.parametrize(("kernel_size", "depth"), [(2, 1), (2, 3), (3, 2), (5, 1)])
def test_a_tcn_sees_its_receptive_field_and_no_step_more(kernel_size, depth):
    narae.manual_seed(0)
    net = TemporalConvNet(1, [16] * depth, kernel_size)
    x = narae.randn(1, 40, 1, requires_grad=True)
    net(x)[0, -1].sum().backward()
    (seen,) = np.nonzero(x.grad.numpy().ravel())
    assert 40 - seen.min() == net.receptive_field


def test_a_tcn_is_the_papers():
    """Figure 1: convolutions dilated by 1, 2, 4, written out with indices and no padding."""
    narae.manual_seed(0)
    net = TemporalConvNet(2, [4, 4], kernel_size=2)
    x = np.random.default_rng(0).normal(size=(2, 9)).astype(np.float32)
    out = x
    for number, block in enumerate(net.blocks):
        kept, inner = out, out
        for layer in (block.layers[0], block.layers[3]):
            inner = np.maximum(_causal(inner, layer.conv, 2**number), 0)
        if block.skip is not None:
            weight, bias = (np.asarray(p.detach()) for p in block.skip.parameters())
            kept = weight[:, :, 0] @ kept + bias[:, None]
        out = np.maximum(kept + inner, 0)
    with narae.no_grad():
        found = net(narae.from_numpy(x.T[None].copy())).numpy()[0].T
    np.testing.assert_allclose(found, out, atol=1e-5)


@pytest.mark.parametrize("depth", [1, 3])
def test_a_tcn_is_torchs_dilated_convolutions(depth):
    torch = pytest.importorskip("torch")
    narae.manual_seed(0)
    net = TemporalConvNet(3, [5] * depth, kernel_size=3)
    x = np.random.default_rng(0).normal(size=(2, 17, 3)).astype(np.float32)
    out = torch.from_numpy(x).transpose(1, 2)
    for number, block in enumerate(net.blocks):
        kept, inner = out, out
        for layer in (block.layers[0], block.layers[3]):
            weight, bias = (_torch(p) for p in (layer.conv.weight, layer.conv.bias))
            padded = torch.nn.functional.pad(inner, (2 * 2**number, 0))
            inner = torch.nn.functional.conv1d(padded, weight, bias, dilation=2**number).relu()
        if block.skip is not None:
            kept = torch.nn.functional.conv1d(kept, *map(_torch, block.skip.parameters()))
        out = (kept + inner).relu()
    with narae.no_grad():
        found = net(narae.from_numpy(x)).numpy()
    np.testing.assert_allclose(found, out.transpose(1, 2).numpy(), atol=1e-5)


def _torch(parameter):
    return pytest.importorskip("torch").from_numpy(np.array(parameter.detach()))


def test_a_tcn_drops_whole_channels():
    """Section 3.4: at each training step, whole channels become zero."""
    narae.manual_seed(0)
    dropout = TemporalConvNet(1, [8], dropout=0.5).train().blocks[0].layers[2]
    out = dropout(narae.ones(4, 8, 20)).numpy()
    assert set(np.unique(out)) == {0, 2}
    assert (out == out[..., :1]).all()


def _causal(x: np.ndarray, conv, dilation: int) -> np.ndarray:
    weight, bias = np.asarray(conv.weight.detach()), np.asarray(conv.bias.detach())
    out = np.tile(bias[:, None], x.shape[1]).astype(np.float64)
    for t in range(x.shape[1]):
        for k in range(weight.shape[2]):
            at = t - (weight.shape[2] - 1 - k) * dilation
            if at >= 0:
                out[:, t] += weight[:, :, k] @ x[:, at]
    return out


# --- forecasters --------------------------------------------------------------------------------


def untaught(ahead: int = 3, season: int = 0, log: bool = False, columns: int = 1) -> Forecaster:
    """A forecaster whose last layer says nothing: what remains is the naive forecast."""
    training = np.exp(np.random.default_rng(0).normal(size=(50, columns)))
    scaling = Scaling.fit(training, log)
    model = Forecaster(body("gru", columns), ahead, scaling, targets=columns, season=season)
    nn.init.zeros_(model.read.weight)
    nn.init.zeros_(model.read.bias)
    return model


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize("season", [0, 1, 4])
def test_before_learning_it_is_the_naive_forecast_in_units(season, log):
    past = np.exp(np.random.default_rng(1).normal(size=(6, 9, 2)))
    told = forecast_direct(untaught(6, season, log, columns=2), past)
    rows = np.arange(6) % season if season else np.zeros(6, int)
    expected = past[:, 9 - max(season, 1) :][:, rows]
    np.testing.assert_allclose(told, expected, rtol=1e-5)


def test_scaling_travels_with_the_weights(tmp_path):
    model = untaught()
    nn.init.normal_(model.read.weight)
    other = Forecaster(body("gru", 1), 3, Scaling(np.array([7.0]), np.array([9.0])))
    narae.save(model.state_dict(), tmp_path / "weights.safetensors")
    other.load_state_dict(narae.load(tmp_path / "weights.safetensors"))
    past = np.random.default_rng(1).normal(size=(6, 9, 1))
    assert np.array_equal(forecast_direct(model, past), forecast_direct(other, past))


def test_many_steps_from_what_was_told():
    """Step by step by hand, with a past that moves on."""
    model = untaught(ahead=2)
    nn.init.normal_(model.read.weight)
    past = np.random.default_rng(2).normal(size=(4, 5, 1))
    known = past
    for _ in range(3):
        known = np.concatenate([known, forecast_direct(model, known[:, -5:])], axis=1)
    assert np.array_equal(forecast_recursive(model, past, 5), known[:, 5:10])
    assert np.array_equal(forecast_recursive(model, past, 2), forecast_direct(model, past))


def test_forecasting_leaves_the_model_as_it_was():
    model = untaught().train()
    forecast_direct(model, np.ones((1, 4, 1)))
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


def test_many_windows_are_told_in_parts():
    model = untaught()
    past = np.random.default_rng(0).normal(size=(2500, 4, 1))
    told = forecast_direct(model, past)
    np.testing.assert_allclose(told[2400:], forecast_direct(model, past[2400:]), atol=1e-6)
    assert len(told) == 2500


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_learns_a_wave(kind):
    """Two waves and no noise: the naive forecast is far off, each network must come near."""
    t = np.arange(400.0)
    values = (np.sin(0.35 * t) + 0.5 * np.sin(0.11 * t))[:, None]
    train, test = windows(values, 24, 4, end=300), windows(values, 24, 4, begin=300)
    narae.manual_seed(0)
    net = body_of(kind, 1, width=16, layers=3 if kind == "tcn" else 1)
    model = Forecaster(net, 4, Scaling.fit(values[:300]))
    loader = DataLoader(train.dataset(), 32, shuffle=True, drop_last=True)
    data = Data(loader, DataLoader(test.dataset(), 64))
    epochs = 25
    optimizer = AdamW(model.parameters(), lr=5e-3)
    Trainer(data, model, F.l1_loss, optimizer, epochs=epochs).fit()
    naive = mae(test.future, Naive().forecast(test.past, 4))
    assert mae(test.future, forecast_direct(model, test.past)) < 0.25 * naive


def test_what_forecasters_refuse():
    model = untaught(season=6)
    with pytest.raises(ShapeError, match=r"\(1, 5, 1\); it is .* 1 columns, and at least 6 steps"):
        model(narae.ones(1, 5, 1))
    with pytest.raises(ShapeError, match="1 columns"):
        model(narae.ones(1, 9, 2))
    with pytest.raises(ConfigError, match="kind is 'mlp'; it is one of rnn, lstm, gru, tcn, tran"):
        body_of("mlp", 1, 8)
    with pytest.raises(ConfigError, match="0 blocks"):
        TemporalConvNet(1, ())
    with pytest.raises(ConfigError, match="ahead=0"):
        Forecaster(body("gru"), 0, Scaling(np.zeros(2), np.ones(2)))
    with pytest.raises(ConfigError, match=r"targets=3.*targets 1 to 2 \(the columns\)"):
        Forecaster(body("gru"), 1, Scaling(np.zeros(2), np.ones(2)), targets=3)
    with pytest.raises(ShapeError, match="9 steps; there are places for 8"):
        CausalTransformer(1, 8, longest=8)(narae.ones(1, 9, 1))
    scaling = Scaling(np.zeros(2), np.ones(2))
    with pytest.raises(ConfigError, match=r"1 of 2 columns are told.*forecast_direct"):
        forecast_recursive(Forecaster(body("gru"), 1, scaling), np.zeros((1, 3, 2)), 4)


def test_what_forecasts_refuse_of_the_past():
    """A NaN would go through all gates, and zero has no logarithm: neither may be told from."""
    for tell in (forecast_direct, lambda model, past: forecast_recursive(model, past, 4)):
        with pytest.raises(ShapeError, match=r"the past is \(0, 4, 1\)"):
            tell(untaught(), np.zeros((0, 4, 1)))
        with pytest.raises(DataError, match="NaN or infinite"):
            tell(untaught(), np.full((1, 4, 1), np.nan))
        with pytest.raises(DataError, match=r"a value of the past is 0\.0; .* logarithms"):
            tell(untaught(log=True), np.zeros((1, 4, 1)))


# --- pictures -----------------------------------------------------------------------------------


def test_a_picture_of_a_forecast(tmp_path):
    image = pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    history, told = np.sin(np.arange(40.0)), np.sin(np.arange(40.0, 50.0))
    shade = (told - 1, told + 1)
    options = {"target": told, "others": {"naive": told * 0}}
    draw_forecast(tmp_path / "plain.png", history, told, **options)
    draw_forecast(tmp_path / "shaded.png", history, told, interval=shade, **options)
    plain, shaded = (image.open(tmp_path / f"{name}.png") for name in ("plain", "shaded"))
    pixels = [np.asarray(each.convert("RGB"), int) for each in (plain, shaded)]
    assert pixels[0].std() > 5
    blue = [((x[..., 2] - x[..., 0]) > 20).sum() for x in pixels]
    assert blue[1] > 3 * blue[0]  # the interval is there


def test_pictures_that_do_not_fit(tmp_path, monkeypatch):
    with pytest.raises(ShapeError, match=r"low is \(2,\); it is \(3,\)"):
        draw_forecast("x.png", np.zeros(5), np.zeros(3), interval=(np.zeros(2), np.zeros(3)))
    with pytest.raises(ShapeError, match=r"7 dates for 5 \+ 3"):
        draw_forecast("x.png", np.zeros(5), np.zeros(3), dates=np.zeros(7))
    with pytest.raises(ConfigError, match=r"the picture is .*x\.doc; it ends in one of .*png"):
        draw_forecast(tmp_path / "x.doc", np.zeros(5), np.zeros(3))
    assert not (tmp_path / "x.doc").exists()
    monkeypatch.setitem(__import__("sys").modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"narae\[train\]"):
        draw_forecast(tmp_path / "x.png", np.zeros(5), np.zeros(3))
