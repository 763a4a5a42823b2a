"""How far gradients reach back in recurrent nets."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.base.errors import ConfigError, DataError
from narae.explain.gradient_flow import draw_gradient_flow, rnn_gradient_flow
from narae.text.models.recurrent import RecurrentLM

SIZE = 8


def linear_rnn(w):
    """Without input and bias a tanh net stays at 0, where its slope is 1: it is linear."""
    module = nn.RNN(2, SIZE, bias=False)
    with narae.no_grad():
        module.weight_hh_l0.copy_(narae.from_numpy(w.astype(np.float32)))
    return module


def random_matrix(seed=0):
    return np.random.default_rng(seed).normal(size=(SIZE, SIZE))


@pytest.mark.parametrize("radius", [0.8, 1.0, 1.2])
def test_the_slope_is_the_logarithm_of_the_spectral_radius(radius):
    """B12: norms over T - t for spectral radius <1, =1, >1; slope = log ρ."""
    w = random_matrix()
    w *= radius / np.abs(np.linalg.eigvals(w)).max()
    flow = rnn_gradient_flow(linear_rnn(w), narae.zeros(60, 2, 2))
    powers = [np.linalg.norm(np.linalg.matrix_power(w, 60 - t), 2) for t in range(61)]
    np.testing.assert_allclose(flow.norms, powers, rtol=1e-3)
    assert flow.slope == pytest.approx(np.log(radius), abs=0.02)


@pytest.mark.parametrize("radius", [0.9, 1.0, 1.1])
def test_an_orthogonal_matrix_has_its_radius_at_every_step(radius):
    """B12: the line is straight from the first step on."""
    q = np.linalg.qr(random_matrix())[0]
    flow = rnn_gradient_flow(linear_rnn(radius * q), narae.zeros(40, 1, 2))
    np.testing.assert_allclose(flow.norms, radius**flow.gaps, rtol=1e-4)
    assert flow.slope == pytest.approx(np.log(radius), abs=1e-4)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
@pytest.mark.parametrize("layers", [1, 2])
def test_jacobians_are_those_of_finite_differences(kind, layers):
    """B12: ∂h_T/∂h_0 from central differences in float64, which no gradient takes part in."""
    narae.manual_seed(0)
    module = kind(2, 3, layers, dtype=narae.float64)
    x = narae.randn(4, 1, 2, dtype=narae.float64)
    size = 3 * layers * (2 if kind is nn.LSTM else 1)

    def last(flat):
        parts = [
            narae.from_numpy(part.reshape(layers, 1, 3))
            for part in np.split(flat, size // 3 // layers)
        ]
        _, state = module(x, tuple(parts) if kind is nn.LSTM else parts[0])
        state = state if isinstance(state, tuple) else (state,)
        return np.concatenate([h.detach().numpy().ravel() for h in state])

    eye = np.eye(size) * 1e-5
    columns = [(last(row) - last(-row)) / 2e-5 for row in eye]
    found = rnn_gradient_flow(module, x).norms[0]
    assert found == pytest.approx(np.linalg.norm(np.stack(columns, 1), 2), rel=1e-6)


def flow_of(kind, forget=0.0, size=32):
    """Of PyTorch's initial weights, with a bias of the gate that keeps."""
    narae.manual_seed(0)
    module = kind(4, size)
    if kind is not nn.RNN:
        with narae.no_grad():  # the second gate: forget of an LSTM, update of a GRU
            module.bias_ih_l0[size : 2 * size] = forget
            module.bias_hh_l0[size : 2 * size] = 0.0
    return rnn_gradient_flow(module, narae.randn(60, 2, 4))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_gates_keep_gradients(kind):
    """B20: B12 with LSTM and GRU: nearer to 0 with a forget bias of 1, and near with 2."""
    plain, none, one, two = flow_of(nn.RNN), flow_of(kind), flow_of(kind, 1.0), flow_of(kind, 2.0)
    assert plain.slope < -0.5
    assert plain.slope < none.slope < one.slope < two.slope
    assert abs(one.slope) < 0.4 * abs(plain.slope)
    assert abs(two.slope) < 0.1
    assert one.norms[0] / plain.norms[0] > 1e8


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_a_net_without_weights_keeps_what_its_gate_keeps(kind):
    """B20: c' = sigmoid(bias) c, so the slope is its logarithm."""
    module = kind(2, 3)
    with narae.no_grad():
        for parameter in module.parameters():
            parameter.zero_()
        module.bias_ih_l0[3:6] = 1.0
    wanted = np.log(1 / (1 + np.exp(-1)))
    flow = rnn_gradient_flow(module, narae.zeros(30, 1, 2))
    assert flow.slope == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_a_cut_lets_nothing_through(kind):
    """B13: "`detach` every k; gradient past the cut is exactly 0"."""
    narae.manual_seed(0)
    module, x = kind(2, 5), narae.randn(11, 2, 2)
    cut, whole = rnn_gradient_flow(module, x, block=4), rnn_gradient_flow(module, x)
    assert (cut.norms[:9] == 0).all()  # states before the cuts at 4 and 8
    np.testing.assert_array_equal(cut.norms[9:], whole.norms[9:])
    assert (whole.norms > 0).all()


def test_a_layer_within_a_model():
    model = RecurrentLM(11, width=4, layers=2, rows=2)
    tokens = narae.tensor([[1, 2, 3], [4, 5, 6]])
    model(tokens, narae.ones(2))
    before = {name: x.numpy().copy() for name, x in model.named_buffers()}
    flow = rnn_gradient_flow(model, tokens, narae.zeros(2), layer="layers.1")
    assert flow.norms.shape == (4,)
    assert model.training
    for name, x in model.named_buffers():
        np.testing.assert_array_equal(x.numpy(), before[name])
    with pytest.raises(ConfigError, match=r"layers\.0, layers\.1"):
        rnn_gradient_flow(model, tokens)


def test_the_model_is_left_as_it_was():
    """No gradient of a parameter, and no module in another mode; dropout takes no part."""

    class Model(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm, self.layer = nn.BatchNorm1d(2), nn.GRU(2, 3, 2, dropout=0.5)
            self.drop = nn.Dropout(0.5)

        def forward(self, x):
            return self.layer(self.drop(self.norm(x.transpose(1, 2)).transpose(1, 2)))[0]

    narae.manual_seed(0)
    model, x = Model(), narae.randn(4, 3, 2)
    model.norm.eval()  # as of a part that is frozen
    with narae.no_grad():
        first, second = rnn_gradient_flow(model, x), rnn_gradient_flow(model, x)
    np.testing.assert_array_equal(first.norms, second.norms)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert [module.training for module in (model, model.norm, model.layer)] == [True, False, True]
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    np.testing.assert_array_equal(rnn_gradient_flow(model, x).norms, first.norms)
    assert (rnn_gradient_flow(model, x, block=2).norms[:3] == 0).all()


def test_what_explodes_is_infinite(tmp_path):
    """30^60 is no float32: the slope is that of the norms that are numbers."""
    pytest.importorskip("matplotlib")
    q = np.linalg.qr(random_matrix())[0]
    flow = rnn_gradient_flow(linear_rnn(30 * q), narae.zeros(60, 1, 2))
    assert np.isinf(flow.norms[0])
    assert flow.slope == pytest.approx(np.log(30), abs=1e-3)
    cut = rnn_gradient_flow(linear_rnn(q), narae.zeros(5, 1, 2), block=1)  # one norm, no slope
    draw_gradient_flow(tmp_path / "flow.png", {"large": flow, "cut": cut})
    assert (tmp_path / "flow.png").exists()


def test_what_cannot_be_looked_at():
    x = narae.zeros(3, 1, 2)
    with pytest.raises(ConfigError, match="no recurrent layer"):
        rnn_gradient_flow(nn.Linear(2, 2), x)
    with pytest.raises(ConfigError, match="one direction"):
        rnn_gradient_flow(nn.GRU(2, 2, bidirectional=True), x)
    with pytest.raises(ConfigError, match="block is 0"):
        rnn_gradient_flow(nn.GRU(2, 2), x, block=0)
    with pytest.raises(DataError, match="no rows"):
        rnn_gradient_flow(nn.GRU(2, 2), narae.zeros(3, 0, 2))
    with pytest.raises(DataError, match="two or more"):
        _ = rnn_gradient_flow(nn.GRU(2, 2), x, block=1).slope


def test_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    path = tmp_path / "flow.png"
    draw_gradient_flow(path, {"RNN": flow_of(nn.RNN, size=4)}, "gradients")
    assert path.read_bytes().startswith(b"\x89PNG")
