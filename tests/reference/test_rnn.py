"""Recurrent layers against formulas: equations by hand, BPTT, truncation, numerical gradients."""

from __future__ import annotations

import numpy as np
import pytest

import narae
from narae import nn
from narae import primitives as p
from narae.autograd import gradcheck, gradgradcheck
from narae.autograd.scans import keeping_residuals
from narae.reference import execute


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def by_hand(kind, layer, x):
    """The textbook equations of one layer, one step after the other; x is (time, batch, input)."""
    w, u, b, v = (getattr(layer, name + "_l0").detach().numpy() for name in NAMES)
    h = np.zeros((x.shape[1], u.shape[1]))
    c, outs = np.zeros_like(h), []
    for step in x:
        gates_x, gates_h = step @ w.T + b, h @ u.T + v
        if kind == "RNN":
            h = np.tanh(gates_x + gates_h)
        elif kind == "LSTM":
            i, f, g, o = np.split(gates_x + gates_h, 4, axis=1)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
        else:
            (r, z, n), (r_h, z_h, n_h) = np.split(gates_x, 3, 1), np.split(gates_h, 3, 1)
            r, z = sigmoid(r + r_h), sigmoid(z + z_h)
            h = (1 - z) * np.tanh(n + r * n_h) + z * h
        outs.append(h)
    return np.stack(outs)


NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_the_equations(kind):
    """B8, B18, B19."""
    narae.manual_seed(1)
    layer = getattr(nn, kind)(3, 4, dtype=narae.float64)
    x = np.random.default_rng(0).normal(size=(7, 2, 3))
    out, _ = layer(narae.tensor(x))
    np.testing.assert_allclose(out.detach().numpy(), by_hand(kind, layer, x), rtol=0, atol=1e-12)


def test_backpropagation_through_time_by_hand():
    """B9, B11: one weight for all steps, its gradient the sum over steps, from the last to the
    first: grad_h[t] = grad_out[t] + W_hhᵀ (grad_h[t + 1] (1 - h[t + 1]²))."""
    rng = np.random.default_rng(1)
    x, grad_out = rng.normal(size=(6, 2, 3)), rng.normal(size=(6, 2, 4))
    layer = nn.RNN(3, 4, dtype=narae.float64)
    out, _ = layer(narae.tensor(x))
    (out * narae.tensor(grad_out)).sum().backward()
    u, h = layer.weight_hh_l0.detach().numpy(), out.detach().numpy()
    before = np.concatenate([np.zeros((1, 2, 4)), h[:-1]])
    grad_u, grad_w, flowing = np.zeros_like(u), np.zeros((4, 3)), np.zeros((2, 4))
    for t in range(5, -1, -1):
        slope = (grad_out[t] + flowing) * (1 - h[t] ** 2)
        grad_u += slope.T @ before[t]
        grad_w += slope.T @ x[t]
        flowing = slope @ u
    np.testing.assert_allclose(layer.weight_hh_l0.grad.numpy(), grad_u, rtol=0, atol=1e-12)
    np.testing.assert_allclose(layer.weight_ih_l0.grad.numpy(), grad_w, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_truncated_backpropagation(kind):
    """B13: `detach` cuts the gradient: past the cut it is exactly zero, after it as without."""
    layer = getattr(nn, kind)(2, 3, dtype=narae.float64)
    x = narae.tensor(np.random.default_rng(2).normal(size=(8, 1, 2)), requires_grad=True)
    first, state = layer(x[:5])
    state = tuple(h.detach() for h in state) if kind == "LSTM" else state.detach()
    second, _ = layer(x[5:], state)
    second.sum().backward()
    assert (x.grad[:5].numpy() == 0).all()
    assert (x.grad[5:].numpy() != 0).all()
    whole, _ = layer(x)
    np.testing.assert_allclose(narae.cat([first, second]).detach().numpy(), whole.detach().numpy())


@pytest.mark.parametrize("kind", ["RNN", "LSTM", "GRU"])
def test_numerical_gradients_to_second_order(kind):
    """B11."""
    narae.manual_seed(2)
    layer = getattr(nn, kind)(2, 3, bidirectional=True, dtype=narae.float64)
    x = narae.tensor(np.random.default_rng(3).normal(size=(3, 1, 2)), requires_grad=True)
    names = list(layer.state_dict())
    weights = [getattr(layer, name) for name in names]

    def run(x, *_):
        out, state = layer(x)
        return (out, *state) if kind == "LSTM" else (out, state)

    assert gradcheck(run, (x, *weights))
    assert gradgradcheck(run, (x, *weights), fast_mode=True)


def cells():
    rng = np.random.default_rng(4)

    def of(*shape):
        return rng.normal(size=shape)

    yield p.lstm_cell, (of(2, 12), of(2, 3))
    active = np.abs(np.tanh(of(2, 12)))
    yield p.lstm_cell_grad, (of(2, 3), of(2, 3), of(2, 3), of(2, 3), active)
    yield p.gru_cell, (of(2, 9), of(2, 9), of(2, 3))
    yield p.gru_cell_grad, (of(2, 3), of(2, 3), active)


@pytest.mark.parametrize(("record", "operands"), list(cells()))
def test_numpy_forms_mean_what_the_decompositions_say(record, operands):
    for found, wanted in zip(
        execute(record, operands, {}), record.decompose(*operands), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("record", "operands"), list(cells()))
def test_second_derivatives_of_cells(record, operands):
    inputs = tuple(narae.tensor(x, requires_grad=True) for x in operands)
    if record in (p.lstm_cell, p.gru_cell):
        assert gradcheck(lambda *xs: record(*xs)[0], inputs)
    assert gradgradcheck(lambda *xs: record(*xs), inputs)


# --- scan keeps what backward reads ---------------------------------------------------------


def scan_body():
    from narae.ir import trace
    from narae.primitives.elementwise import add, exp, mul, sin

    def step(w, k, h, x):
        inner = add(mul(sin(w), h), mul(x, k))
        return sin(inner), mul(exp(inner), h)

    return trace(step, [((3,), np.dtype("float64"))] * 4, "step")


def test_residuals_spare_the_second_forward_run():
    body = scan_body()
    forward, backward = keeping_residuals(body, 2, 1)
    assert len(forward.outputs) == len(body.outputs) + backward.residuals
    again = [node.operation.name for node in backward.body.nodes]
    assert "sin" not in again
    assert "exp" not in again
    assert keeping_residuals(body, 2, 1)[0] is forward


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("length", [1, 4])
def test_gradients_from_residuals_are_those_of_running_again(reverse, length):
    body = scan_body()
    forward, backward = keeping_residuals(body, 2, 1)
    rng = np.random.default_rng(5)
    arrays = [rng.normal(size=3) for _ in range(3)] + [rng.normal(size=(length, 3))]
    layout = {"constants": 2, "carries": 1, "length": length, "reverse": reverse}

    def gradients(**attrs):
        from narae.tensors.eager import apply

        inputs = [narae.tensor(x, requires_grad=True) for x in arrays]
        carry, ys = apply(p.scan, *inputs, **layout, **attrs)[:2]
        loss = (carry * carry).sum() + (ys * ys.cos()).sum()
        first = narae.autograd.grad(loss, inputs, create_graph=True)
        second = narae.autograd.grad(sum((g * g).sum() for g in first), inputs)
        return [x.detach().numpy() for x in (*first, *second)]

    for found, wanted in zip(
        gradients(body=forward, backward=backward), gradients(body=body), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-13)


def test_writing_to_the_output_is_allowed():
    """What backward reads is kept apart from what the user gets."""
    layer = nn.LSTM(2, 3)
    x = narae.ones(4, 1, 2, requires_grad=True)
    out, _ = layer(x)
    wanted = narae.autograd.grad(out.sum(), [x], retain_graph=True)[0]
    out.mul_(1.0)
    assert np.array_equal(narae.autograd.grad(out.sum(), [x])[0].numpy(), wanted.numpy())


def test_inference_keeps_nothing():
    layer = nn.GRU(2, 3)
    with narae.no_grad():
        out, state = layer(narae.ones(4, 1, 2))
    assert not out.requires_grad
    assert not state.requires_grad
    assert np.array_equal(out[-1].numpy(), state[0].numpy())


def test_a_length_beyond_the_padding_is_refused():
    """PyTorch reads past the end of the memory here."""
    with pytest.raises(RuntimeError, match="a length of 9; the input has 5 steps"):
        nn.utils.rnn.pack_padded_sequence(narae.zeros(5, 3, 2), [9, 3, 2])
