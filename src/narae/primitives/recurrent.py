"""Recurrent cells after their matrix products: gates in, new state out.

`gates` are sums of the projections of input and state, (batch, gates * hidden), in PyTorch's order.
Each cell also returns what its backward pass reads.
"""

from collections.abc import Sequence
from typing import Any

from .composite import Composite
from .elementwise import add, mul, sigmoid, sub, tanh
from .generators import zeros
from .movement import concat, narrow
from .record import shape_of


def _parts(x: Any, count: int) -> list[Any]:
    """Equal pieces of the last dimension."""
    dim = len(shape_of(x)) - 1
    size = shape_of(x)[dim] // count
    return [narrow(x, dim, place * size, size) for place in range(count)]


def _joined(*parts: Any) -> Any:
    return concat(*parts, dim=len(shape_of(parts[0])) - 1)


def _sigmoid_slope(out: Any) -> Any:
    return mul(out, sub(1, out))


def _tanh_slope(out: Any) -> Any:
    return sub(1, mul(out, out))


def _or_zeros(grad: Any, like: Any) -> Any:
    return zeros(shape_of(like), like.dtype) if grad is None else grad


# --- LSTM -----------------------------------------------------------------------------------


def _lstm(gates: Any, c: Any) -> tuple[Any, Any, Any]:
    i, f, g, o = _parts(gates, 4)  # each (batch, hidden)
    i, f, g, o = sigmoid(i), sigmoid(f), tanh(g), sigmoid(o)
    c_new = add(mul(f, c), mul(i, g))
    return mul(o, tanh(c_new)), c_new, _joined(i, f, g, o)


def _lstm_backward(grad_h: Any, grad_c: Any, c: Any, c_new: Any, active: Any) -> tuple[Any, Any]:
    """Gradients of the gates and of the cell state before."""
    i, f, g, o = _parts(active, 4)
    squashed = tanh(c_new)
    total = add(grad_c, mul(mul(grad_h, o), _tanh_slope(squashed)))
    grad_gates = _joined(
        mul(mul(total, g), _sigmoid_slope(i)),
        mul(mul(total, c), _sigmoid_slope(f)),
        mul(mul(total, i), _tanh_slope(g)),
        mul(mul(grad_h, squashed), _sigmoid_slope(o)),
    )
    return grad_gates, mul(total, f)


lstm_cell_grad: Composite = Composite(
    "lstm_cell_grad",
    "grad_h grad_c c c_new active",
    "the gradients of lstm_cell",
    _lstm_backward,
    by_decomposition=True,
    outputs=2,
    grad_name="ThnnFusedLstmCellBackwardBackward0",
)


def _lstm_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    gates: Any,
    c: Any,
    c_new: Any,
    active: Any,
) -> tuple[Any, Any]:
    grad_h, grad_c = (_or_zeros(grad, c) for grad in grads[:2])
    return lstm_cell_grad(grad_h, grad_c, c, c_new, active)  # type: ignore[no-any-return]


# Hochreiter and Schmidhuber 1997, with the forget gate of Gers, Schmidhuber and Cummins 2000.
lstm_cell: Composite = Composite(
    "lstm_cell",
    "gates c",
    "i, f, g, o = gates; c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c'); gives "
    "h', c', and the gates after their functions",
    _lstm,
    saves="gates c out1 out2",
    joint_grad=_lstm_grad,
    outputs=3,
    results=2,
    grad_name="ThnnFusedLstmCellBackward0",
)


# --- GRU ------------------------------------------------------------------------------------


def _gru(gates_x: Any, gates_h: Any, h: Any) -> tuple[Any, Any]:
    r_x, z_x, n_x = _parts(gates_x, 3)  # each (batch, hidden)
    r_h, z_h, n_h = _parts(gates_h, 3)
    r, z = sigmoid(add(r_x, r_h)), sigmoid(add(z_x, z_h))
    n = tanh(add(n_x, mul(r, n_h)))
    return add(n, mul(z, sub(h, n))), _joined(r, z, n, n_h)


def _gru_backward(grad_h: Any, h: Any, active: Any) -> tuple[Any, Any, Any]:
    """Gradients of both projections and of the state before."""
    r, z, n, n_h = _parts(active, 4)
    grad_n = mul(mul(grad_h, sub(1, z)), _tanh_slope(n))
    grad_z = mul(mul(grad_h, sub(h, n)), _sigmoid_slope(z))
    grad_r = mul(mul(grad_n, n_h), _sigmoid_slope(r))
    grad_gates_x = _joined(grad_r, grad_z, grad_n)
    grad_gates_h = _joined(grad_r, grad_z, mul(grad_n, r))
    return grad_gates_x, grad_gates_h, mul(grad_h, z)


gru_cell_grad: Composite = Composite(
    "gru_cell_grad",
    "grad_h h active",
    "the gradients of gru_cell",
    _gru_backward,
    by_decomposition=True,
    outputs=3,
    grad_name="ThnnFusedGruCellBackwardBackward0",
)


def _gru_grad(
    needs: Sequence[bool],
    grads: Sequence[Any],
    gates_x: Any,
    gates_h: Any,
    h: Any,
    active: Any,
) -> tuple[Any, Any, Any]:
    return gru_cell_grad(grads[0], h, active)  # type: ignore[no-any-return]


# Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder; r as in cuDNN.
gru_cell: Composite = Composite(
    "gru_cell",
    "gates_x gates_h h",
    "r = sigmoid(r_x + r_h); z = sigmoid(z_x + z_h); n = tanh(n_x + r n_h); h' = (1 - z) n + z h; "
    "gives h', and r, z, n, n_h",
    _gru,
    saves="gates_x gates_h h out1",
    joint_grad=_gru_grad,
    outputs=2,
    grad_name="ThnnFusedGruCellBackward0",
)
