"""How much of the last state's gradient reaches each earlier state of a recurrent net."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, DataError, explain
from narae.nn import Module
from narae.tensors import Tensor, cat, enable_grad, eye
from narae.tensors.backward import grad

from .line_figure import draw_lines
from .recurrent_run import RecurrentRun, State, recurrent_run
from .watching import in_evaluation

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GradientFlow:
    """Norms of the Jacobians of the last state.

    Attributes:
        norms: (time + 1,); entry t is the largest singular value of dh_T / dh_t, a mean over the
            batch; entry T is 1, and inf where the numbers of the model's dtype do not suffice. A
            state is that of all layers, and of an LSTM both h and c.
    """

    norms: Array

    @property
    def gaps(self) -> Array:
        """T - t of each entry, (time + 1,)."""
        return np.arange(len(self.norms), dtype=np.float64)[::-1]

    @property
    def slope(self) -> float:
        """Of log norm over T - t, fitted to what is not 0 or inf: log ρ for a linear net.

        Raises:
            DataError: if gradients reach fewer than one step back.
        """
        seen = self.drawable
        if seen.sum() < 2:
            given = f"{int(seen.sum())} norms are neither 0 nor inf"
            raise DataError(explain("GradientFlow.slope", given, "a line goes through two or more"))
        return float(np.polyfit(self.gaps[seen], np.log(self.norms[seen]), 1)[0])

    @property
    def drawable(self) -> npt.NDArray[np.bool_]:
        """Which norms have a place on a logarithmic axis, (time + 1,)."""
        return (self.norms > 0) & np.isfinite(self.norms)


def rnn_gradient_flow(
    model: Module, *inputs: Any, layer: str | None = None, block: int | None = None
) -> GradientFlow:
    """‖∂h_T/∂h_t‖ for each step t of a recurrent layer in a model.

    The Jacobian is exact: one pass backward, each row of the batch as often as there are numbers
    in a state. Dropout is off; the model's own gradients and states stay as they are.

    Args:
        model: RNN, LSTM, GRU, or a model with one
        *inputs: what it is called with
        layer: which layer, by its path; it can be left out where there is one only
        block: the state is cut from the graph after each `block` steps, as truncated
            backpropagation through time does

    Raises:
        ConfigError: if there is no such layer, or block is less than 1.
        DataError: if the model does not call the layer exactly once, or the batch is empty.

    Source: Bengio, Simard and Frasconi, Learning long-term dependencies with gradient descent is
    difficult (1994); Pascanu, Mikolov and Bengio, On the difficulty of training recurrent neural
    networks (2013), equation 5.

    >>> import narae
    >>> rnn_gradient_flow(narae.nn.GRU(2, 3), narae.zeros(5, 1, 2)).norms.shape
    (6,)
    """
    if block is not None and block < 1:
        given = f"block is {block}"
        raise ConfigError(explain("rnn_gradient_flow", given, "a block has at least one step"))
    run = recurrent_run("rnn_gradient_flow", model, inputs, layer)
    with enable_grad(), in_evaluation(run.module):
        states, size = _states(run, block)
    norms = [_norms(jacobians) for jacobians in _jacobians(states, size, run.x.shape[1])]
    return GradientFlow(np.stack(norms).mean(axis=1))


def _states(run: RecurrentRun, block: int | None) -> tuple[list[State], int]:
    """The state before each step and after the last, in a graph; and how many numbers it has."""
    size = sum(h.shape[0] * h.shape[2] for h in run.state)
    state = tuple(h.repeat(1, size, 1).requires_grad_() for h in run.state)
    x = run.x.repeat(1, size, 1)  # (time, numbers * batch, features)
    if run.module.batch_first:
        x = x.transpose(0, 1)
    dim, states = (1 if run.module.batch_first else 0), [state]
    for time in range(run.x.shape[0]):
        if block is not None and time and time % block == 0:
            state = tuple(h.detach().requires_grad_() for h in state)
        _, new = run.module(x.narrow(dim, time, 1), state if len(state) == 2 else state[0])
        state = new if isinstance(new, tuple) else (new,)
        states.append(state)
    return states, size


def _jacobians(states: list[State], size: int, batch: int) -> list[Array]:
    """Of the last state by each: (batch, numbers of the last, numbers of this one).

    The i-th copy of the batch goes backward from number i of the last state.
    """
    last = states[-1]
    with enable_grad():
        rows = eye(size, dtype=last[0].dtype).repeat_interleave(batch, 0)  # (size * batch, size)
        flat = cat([h.transpose(0, 1).flatten(1) for h in last], 1)  # (size * batch, size)
        total = (flat * rows).sum()
    slopes = iter(grad(total, [h for state in states for h in state], materialize_grads=True))
    return [_as_jacobians([next(slopes) for _ in state], size, batch) for state in states]


def _as_jacobians(slopes: Sequence[Tensor | None], size: int, batch: int) -> Array:
    """Gradients (layers, size * batch, hidden), by part of a state, as (batch, size, size)."""
    parts = [
        slope.numpy().swapaxes(0, 1).reshape(size, batch, -1)  # (size, batch, part)
        for slope in slopes
        if slope is not None
    ]
    return np.concatenate(parts, 2).swapaxes(0, 1).astype(np.float64)


def _norms(jacobians: Array) -> Array:
    """Largest singular values, (batch,); inf where a number is not finite."""
    finite = np.isfinite(jacobians).all((1, 2))
    norms = np.full(len(jacobians), np.inf)
    norms[finite] = np.linalg.norm(jacobians[finite], 2, (1, 2))
    return norms


def draw_gradient_flow(
    path: str | os.PathLike[str], flows: Mapping[str, GradientFlow], title: str = ""
) -> None:
    """Draw norms over T - t on a logarithmic axis, a line for each flow; 0 and inf are left out.

    Args:
        path: a PNG, PDF or SVG file to write.
        flows: by the name that is shown.
        title: above.

    Raises:
        MissingExtraError: if matplotlib is not installed.
    """
    lines = {}
    for name, flow in flows.items():
        seen = flow.drawable
        slope = f" (slope {flow.slope:+.3f})" if seen.sum() > 1 else ""
        lines[name + slope] = (flow.gaps[seen], flow.norms[seen])
    draw_lines(path, lines, title, "T − t, steps back", "‖∂h_T / ∂h_t‖", log=True)
