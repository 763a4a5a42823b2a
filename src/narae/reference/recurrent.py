"""Recurrent cells in NumPy: gates are computed in place, in one array."""

from typing import Any

import numpy as np

from narae import primitives as p

Array = Any


def _sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + exp(-x)), written to out; exp may overflow to infinity, which gives 0."""
    np.negative(x, out)
    with np.errstate(over="ignore"):
        np.exp(out, out)
    np.add(out, 1, out)
    np.reciprocal(out, out)


def lstm_cell(gates: Array, c: Array) -> tuple[Array, Array, Array]:
    """h, c and the gates after their functions."""
    size = c.shape[-1]
    active = np.empty(gates.shape, gates.dtype)  # (batch, 4 * hidden)
    # All gates at once, in memory order, is faster than the three that are sigmoids.
    _sigmoid(gates, active)
    g = active[..., 2 * size : 3 * size]
    np.tanh(gates[..., 2 * size : 3 * size], g)
    c_new = active[..., size : 2 * size] * c
    c_new += active[..., :size] * g
    h = np.tanh(c_new)
    h *= active[..., 3 * size :]
    return h, c_new, active


def lstm_cell_grad(
    grad_h: Array, grad_c: Array, c: Array, c_new: Array, active: Array
) -> tuple[Array, Array]:
    """The gradients of the gates and of the cell state before."""
    size = c.shape[-1]
    i, f, g, o = (active[..., k * size : (k + 1) * size] for k in range(4))
    squashed = np.tanh(c_new)
    out_c = grad_h * o  # becomes the whole gradient of c_new
    out_c *= 1 - squashed * squashed
    out_c += grad_c
    # Slopes of all gates at once: s - s² for sigmoids; tanh is put right afterwards.
    grad = np.multiply(active, active)
    np.subtract(active, grad, grad)
    grad_i, grad_f, grad_g, grad_o = (grad[..., k * size : (k + 1) * size] for k in range(4))
    np.multiply(g, g, grad_g)
    np.subtract(1, grad_g, grad_g)
    grad_i *= out_c * g
    grad_f *= out_c * c
    grad_g *= out_c * i
    grad_o *= np.multiply(grad_h, squashed, squashed)
    out_c *= f
    return grad, out_c


def gru_cell(gates_x: Array, gates_h: Array, h: Array) -> tuple[Array, Array]:
    """h, and the gates after their functions with the state's part of the last one."""
    size = h.shape[-1]
    active = np.empty((*h.shape[:-1], 4 * size), h.dtype)  # (batch, 4 * hidden)
    gates = gates_x[..., : 2 * size] + gates_h[..., : 2 * size]
    _sigmoid(gates, gates)
    active[..., : 2 * size] = gates
    r, z, n, n_h = (active[..., k * size : (k + 1) * size] for k in range(4))
    n_h[...] = gates_h[..., 2 * size :]
    np.multiply(r, n_h, n)
    n += gates_x[..., 2 * size :]
    np.tanh(n, n)
    out = h - n
    out *= z
    out += n
    return out, active


def gru_cell_grad(grad_h: Array, h: Array, active: Array) -> tuple[Array, Array, Array]:
    """The gradients of both projections and of the state before."""
    size = h.shape[-1]
    r, z, n, n_h = (active[..., k * size : (k + 1) * size] for k in range(4))
    grad_x = np.empty((*h.shape[:-1], 3 * size), h.dtype)  # (batch, 3 * hidden)
    grad_r, grad_z, grad_n = (grad_x[..., k * size : (k + 1) * size] for k in range(3))
    np.multiply(grad_h, 1 - z, grad_n)
    grad_n *= 1 - n * n
    np.multiply(grad_h, h - n, grad_z)
    grad_z *= z - z * z
    np.multiply(grad_n, n_h, grad_r)
    grad_r *= r - r * r
    grad_gates_h = grad_x.copy()
    grad_gates_h[..., 2 * size :] *= r
    return grad_x, grad_gates_h, grad_h * z


LOWERINGS: dict[Any, Any] = {
    p.lstm_cell: lstm_cell,
    p.lstm_cell_grad: lstm_cell_grad,
    p.gru_cell: gru_cell,
    p.gru_cell_grad: gru_cell_grad,
}
