"""One direction of one recurrent layer: a `scan` over time.

The inputs of all steps are projected by one matrix product before the scan; the product with the
state is inside.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from narae import primitives as p
from narae.autograd.scans import keeping_residuals
from narae.ir import Program, trace
from narae.primitives.elementwise import add, tanh, where
from narae.tensors import Tensor
from narae.tensors.eager import apply
from narae.tensors.modes import modes

# The gates of each kind of cell: how many times `hidden` the projections are wide.
GATES = {"RNN_TANH": 1, "RNN_RELU": 1, "LSTM": 4, "GRU": 3}


class Weights(NamedTuple):
    """The parameters of one direction of one layer, in PyTorch's order.

    Attributes:
        ih: (gates * hidden, input)
        hh: (gates * hidden, state)
        bias_ih, bias_hh: (gates * hidden,), or None
        hr: (projection, hidden) of an LSTM with projections
    """

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    hr: Tensor | None


def transposed(w: Tensor) -> Tensor:
    """The transpose of a matrix."""
    return apply(p.permute, w, dims=(1, 0))


def project(mode: str, x: Tensor, w: Weights) -> Tensor:
    """The input's part of all gates: (.., input) -> (.., gates * hidden).

    Both biases are added here, but for GRU, whose last gate scales the state's part.
    """
    if w.bias_ih is None:
        return apply(p.linear_without_bias, x, w.ih)
    bias = w.bias_ih if mode == "GRU" else apply(add, w.bias_ih, w.bias_hh)
    return apply(p.linear, x, w.ih, bias)


def run_layer(
    mode: str,
    gates: Tensor,
    state: tuple[Tensor, ...],
    w: Weights,
    reverse: bool,
    mask: Tensor | None = None,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """All steps of one direction.

    Args:
        gates: projections of the input, (time, batch, gates * hidden).
        state: (batch, hidden) of h, and of c for LSTM.
        mask: (time, batch, 1) of bool; where it is False a sequence has ended and keeps its state.

    Returns:
        the h of every step, (time, batch, hidden), and the last state.
    """
    constants = _constants(mode, w)
    sequences = (gates,) if mask is None else (gates, mask)
    operands = (*constants, *state, *sequences)
    whole = (*constants, *state)
    metas = tuple((tuple(x._value.shape), x._value.dtype) for x in whole)
    steps = tuple((tuple(x._value.shape[1:]), x._value.dtype) for x in sequences)
    body = _body(mode, len(constants), mask is not None, w.hr is not None, metas, steps)
    attrs = {
        "constants": len(constants),
        "carries": len(state),
        "length": int(gates._value.shape[0]),
        "reverse": reverse,
    }
    if modes.grad and any(x.requires_grad for x in operands):
        body, backward = keeping_residuals(body, len(constants), len(state))
        results = apply(p.scan, *operands, body=body, **attrs, backward=backward)
    else:
        results = apply(p.scan, *operands, body=body, **attrs)
    count = len(state)
    return results[count], results[:count]


def _constants(mode: str, w: Weights) -> tuple[Tensor, ...]:
    found = [transposed(w.hh)]
    if mode == "GRU" and w.bias_hh is not None:
        found.append(w.bias_hh)
    if w.hr is not None:
        found.append(transposed(w.hr))
    return tuple(found)


@lru_cache(maxsize=256)
def _body(
    mode: str, constants: int, masked: bool, projected: bool, metas: Any, steps: Any
) -> Program:
    """One step as a program: constants, state, gates (and mask) -> new state, h."""
    states = len(metas) - constants

    def step(*values: Any) -> tuple[Any, ...]:
        consts, state = values[:constants], values[constants : constants + states]
        found = _cell(mode, consts, state, values[constants + states], projected)
        if masked:
            mask = values[-1]
            found = tuple(where(mask, new, old) for new, old in zip(found, state, strict=True))
        return (*found, found[0])

    return trace(step, [*metas, *steps], mode.lower() + "_step")


def _cell(mode: str, consts: Any, state: Any, gates: Any, projected: bool) -> tuple[Any, ...]:
    h = state[0]
    product = p.matmul(_like(h, consts[0]), consts[0])  # (batch, gates * hidden)
    if mode == "LSTM":
        h, c, _ = p.lstm_cell(add(gates, product), state[1])
        return (p.matmul(h, consts[1]) if projected else h), c
    if mode == "GRU":
        part = product if len(consts) == 1 else add(product, consts[1])
        return (p.gru_cell(_like(gates, h), _like(part, h), h)[0],)
    total = add(gates, product)
    return (tanh(total) if mode == "RNN_TANH" else p.relu(total),)


def _like(x: Any, other: Any) -> Any:
    """x in the dtype of another value; they differ under `autocast` only."""
    return x if x.dtype == other.dtype else p.cast(x, dtype=other.dtype)
