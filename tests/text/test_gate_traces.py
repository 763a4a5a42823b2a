"""Gates of recurrent nets, step by step."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.base.errors import BoundsError, ConfigError, DataError, ShapeError
from narae.explain.gate_traces import gate_traces
from narae.text.models.forget_bias import set_forget_bias
from narae.text.models.recurrent import RecurrentLM


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_the_states_are_the_layers_own(kind, bias):
    """The gates computed in NumPy lead to the states that the layer has."""
    narae.manual_seed(0)
    layer, x = kind(3, 4, bias=bias), narae.randn(6, 2, 3)
    start = narae.randn(1, 2, 4)
    with narae.no_grad():
        given = (start, start) if kind is nn.LSTM else start
        out, state = layer(x, given)
    traces = gate_traces(layer, x, given)
    np.testing.assert_allclose(traces["hidden"], out.numpy(), atol=1e-6)
    if kind is nn.LSTM:
        np.testing.assert_allclose(traces["cell"][-1], state[1].numpy()[0], atol=1e-6)


@pytest.mark.parametrize(("kind", "gate"), [(nn.LSTM, "forget"), (nn.GRU, "update")])
def test_the_gate_that_keeps_is_the_one_of_the_forget_bias(kind, gate):
    """B20: a high forget bias opens that gate and no other."""
    narae.manual_seed(0)
    layer, x = kind(3, 4), narae.randn(6, 2, 3)
    before = gate_traces(layer, x)
    set_forget_bias(layer, 20.0)
    after = gate_traces(layer, x)
    assert after[gate].min() > 0.999 > before[gate].max()
    other = "input" if kind is nn.LSTM else "reset"
    np.testing.assert_allclose(after[other][0], before[other][0], atol=1e-12)


def test_a_layer_within_a_model(tmp_path):
    pytest.importorskip("matplotlib")
    model = RecurrentLM(11, width=4, layers=2)
    traces = gate_traces(model, narae.tensor([[1, 2, 3]]), layer="layers.0")
    assert traces["cell"].shape == (3, 1, 4)
    traces.draw(tmp_path / "gates.png", tokens="abc")
    assert (tmp_path / "gates.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(BoundsError, match="rows 0 to 0"):
        traces.draw(tmp_path / "gates.png", row=1)
    with pytest.raises(ShapeError, match="there are 2 tokens; each of 3 steps"):
        traces.draw(tmp_path / "gates.png", tokens="ab")


class Looping(nn.Module):
    """Calls its layer `calls` times."""

    def __init__(self, calls):
        super().__init__()
        self.layer, self.calls = nn.GRU(2, 3), calls
        self.register_buffer("seen", narae.zeros(1))

    def forward(self, x):
        self.seen.add_(1)
        for _ in range(self.calls):
            self.layer(x)
        return x


@pytest.mark.parametrize("calls", [0, 2])
def test_a_layer_that_is_not_called_once(calls):
    model = Looping(calls)
    with pytest.raises(DataError, match=f"calls layer {calls} times"):
        gate_traces(model, narae.zeros(3, 1, 2))
    assert model.seen.item() == 0  # put back


def test_a_model_that_fails_keeps_its_states():
    model = Looping(1)
    with pytest.raises(ValueError, match="input"):
        gate_traces(model, narae.zeros(3, 1, 5))
    assert model.seen.item() == 0


def test_layers_without_gates():
    x = narae.zeros(3, 1, 2)
    with pytest.raises(ConfigError, match="LSTM or GRU"):
        gate_traces(nn.RNN(2, 2), x)
    with pytest.raises(ConfigError, match="one module for each layer"):
        gate_traces(nn.GRU(2, 2, num_layers=2), x)
