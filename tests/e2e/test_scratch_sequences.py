"""The programs of examples/scratch from the homework: counting ones, and the norm at zero."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae

pytest.importorskip("matplotlib")

from tests.e2e.scratch_programs import differences, leaf, program


@given(st.floats(-1.5, 1.5), st.floats(-1.3, 1.3), st.integers(1, 7), st.integers(0, 999))
@settings(max_examples=25)
def test_gradients_through_time(w_x, w_rec, length, seed):
    """B14: S_k = f(S_{k-1}·w_rec + X_k·w_x): wx_grad and wRec_grad both equal autograd."""
    counting, rng = program("24"), np.random.default_rng(seed)
    x = rng.integers(0, 2, (4, length)).astype(float)
    target = x.sum(axis=1)
    states = counting.forward(x, w_x, w_rec)
    w_x_, w_rec_ = leaf(w_x), leaf(w_rec)
    state = narae.zeros(4, dtype=narae.float64)
    for k in range(length):
        state = state * w_rec_ + narae.tensor(x[:, k]) * w_x_
    loss = (state - narae.tensor(target)).square().mean()
    loss.backward()
    assert counting.loss_of(states, target) == pytest.approx(loss.item(), rel=1e-9, abs=1e-12)
    wx_grad, w_rec_grad, sizes = counting.backward(x, states, target, w_rec)
    assert wx_grad == pytest.approx(w_x_.grad.item(), rel=1e-9, abs=1e-9)
    assert w_rec_grad == pytest.approx(w_rec_.grad.item(), rel=1e-9, abs=1e-9)
    # The gradient of state k is that of the last times w_rec^(T-k).
    exact = sizes[-1] * np.abs(w_rec) ** np.arange(length, -1, -1)
    assert sizes == pytest.approx(exact, rel=1e-9, abs=1e-12)


def test_it_learns_to_count_ones():
    """B14: learns to count ones: W_x → 1, W_rec → 1."""
    counting = program("24")
    x, target = counting.sequences()
    assert target.tolist() == [sum(row) for row in x.tolist()]
    path = counting.learn(x, target)
    assert path[0].tolist() == [-1.0, 1.4]
    assert path[-1] == pytest.approx([1.0, 1.0], abs=1e-3)
    longer = np.random.default_rng(5).integers(0, 2, (3, 15)).astype(float)
    counted = counting.forward(longer, *path[-1])[:, -1]
    assert np.rint(counted).tolist() == longer.sum(axis=1).tolist()


def test_the_norm_has_no_gradient_at_zero():
    """B15: the gradient of the un-squared norm at 0 is NaN/undefined; a clear message."""
    norm = program("25")
    assert np.isnan(norm.gradient_at_zero(norm.root_of_squares)).all()
    assert norm.gradient_at_zero(lambda x: x.norm()) == [0.0] * 3
    message = norm.message_at_zero()
    assert "nan" in message
    assert "25_norm_at_zero.py" in message
    assert "root_of_squares" in message
    assert "Fix: " in message
    torch = pytest.importorskip("torch")
    x = torch.zeros(3, requires_grad=True)
    (x * x).sum().sqrt().backward()
    assert x.grad.isnan().all()


def test_a_perfect_fit_breaks_the_norm():
    """B15: SGD on the L2 norm of the error: gradients by hand are right, until the error is 0."""
    norm = program("25")
    error = np.array([0.3, -2.0, 1.0])
    slope = differences(lambda e: float(np.linalg.norm(e)), error)
    assert norm.norm_gradient(error) == pytest.approx(slope, abs=1e-8)
    assert np.isnan(norm.norm_gradient(np.zeros(3))).all()
    lr = 1 / np.linalg.norm(norm.X)
    weights = norm.fit(norm.norm_gradient, 2.0, lr, 3)
    assert weights[1] == 3
    assert np.isnan(weights[2:]).all()
    assert norm.fit(norm.square_gradient, 2.0, 0.02, 60)[-1] == pytest.approx(3, abs=1e-9)
