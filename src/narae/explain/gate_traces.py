"""What the gates of a recurrent net do at each step, as arrays and as a picture."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import BoundsError, ConfigError, ShapeError, explain, require
from narae.nn import Module
from narae.tensors import Tensor

from .line_figure import save
from .recurrent_run import RecurrentRun, recurrent_run

Array = npt.NDArray[np.float64]
# What lies between 0 and 1; the others lie around 0.
_GATES = {"input", "forget", "output", "reset", "update"}


@dataclass(frozen=True)
class GateTraces:
    """Values of one layer for one batch.

    Attributes:
        values: by name, (time, batch, hidden) each: of an LSTM "input", "forget", "candidate",
            "output", "cell" and "hidden"; of a GRU "reset", "update", "candidate" and "hidden".
    """

    values: Mapping[str, Array]

    def __getitem__(self, name: str) -> Array:
        return self.values[name]

    def draw(self, path: str | os.PathLike[str], row: int = 0, tokens: Any = None) -> None:
        """Draw each value of one row of the batch: time runs to the right, units downwards.

        Args:
            path: a PNG, PDF or SVG file to write.
            row: of the batch.
            tokens: what was read, (time,), to be written under the picture.

        Raises:
            BoundsError: if there is no such row.
            ShapeError: if there is not one token for each step.
            MissingExtraError: if matplotlib is not installed.
        """
        time, batch, _ = self.values["hidden"].shape
        if not 0 <= row < batch:
            given, rule = f"row is {row}", f"the batch has rows 0 to {batch - 1}"
            raise BoundsError(explain("GateTraces.draw", given, rule))
        if tokens is not None and len(tokens) != time:
            given, rule = f"there are {len(tokens)} tokens", f"each of {time} steps reads one"
            raise ShapeError(explain("GateTraces.draw", given, rule))
        figures = require("matplotlib.figure", "train", "drawing gates")
        count = len(self.values)
        figure = figures.Figure(figsize=(9, 1.5 * count), layout="constrained")
        panels = figure.subplots(count, 1, sharex=True)
        for axes, (name, values) in zip(panels, self.values.items(), strict=True):
            most = max(1.0, float(np.abs(values[:, row]).max()))  # a cell may be larger than 1
            least, colors = (0, "viridis") if name in _GATES else (-most, "RdBu")
            options = {"aspect": "auto", "interpolation": "nearest", "cmap": colors}
            image = axes.imshow(values[:, row].T, vmin=least, vmax=most, **options)
            axes.set_ylabel(name)
            axes.set_yticks([])
            figure.colorbar(image, ax=axes, pad=0.01)
        if tokens is None:
            panels[-1].set_xlabel("time")
        else:
            panels[-1].set_xticks(range(len(tokens)), [str(token) for token in tokens])
        save(figure, path)


def gate_traces(model: Module, *inputs: Any, layer: str | None = None) -> GateTraces:
    """The gates of an LSTM or GRU of one layer, within a model, at each step.

    Args:
        model: LSTM, GRU, or a model with one
        *inputs: what it is called with
        layer: which, by its path; it can be left out where there is one only

    Raises:
        ConfigError: if there is no such layer, or it has no gates or several layers.

    Source: the pictures follow Karpathy, Johnson and Fei-Fei, Visualizing and understanding
    recurrent networks (2015), section 4.2.

    >>> import narae
    >>> traces = gate_traces(narae.nn.LSTM(2, 3), narae.zeros(5, 1, 2))
    >>> list(traces.values)
    ['input', 'forget', 'candidate', 'output', 'cell', 'hidden']
    >>> traces["forget"].shape
    (5, 1, 3)
    """
    run = recurrent_run("gate_traces", model, inputs, layer)
    cells = {"LSTM": _lstm, "GRU": _gru}
    if run.module.mode not in cells or run.module.num_layers > 1:
        rule = "one layer of an LSTM or GRU is looked at; deeper nets as one module for each layer"
        raise ConfigError(explain("gate_traces", f"the layer is {run.module!r}", rule))
    steps = cells[run.module.mode](run)
    names = steps[0].keys()
    return GateTraces({name: np.stack([step[name] for step in steps]) for name in names})


def _weights(run: RecurrentRun) -> tuple[Array, Array, Array, Array]:
    """Of the input, of the state, and a bias of each."""
    module = run.module
    ih, hh = _array(module.weight_ih_l0), _array(module.weight_hh_l0)
    if not module.bias:
        return ih, hh, np.zeros(len(hh)), np.zeros(len(hh))
    return ih, hh, _array(module.bias_ih_l0), _array(module.bias_hh_l0)


def _array(parameter: Tensor) -> Array:
    return parameter.detach().numpy().astype(np.float64)


def _lstm(run: RecurrentRun) -> list[dict[str, Array]]:
    w, u, b, more = _weights(run)
    h, c = (part.numpy()[0].astype(np.float64) for part in run.state)  # (batch, hidden)
    steps = []
    for x in run.x.numpy():  # (batch, features)
        i, f, g, o = np.split(x @ w.T + h @ u.T + b + more, 4, axis=1)
        i, f, o, g = _sigmoid(i), _sigmoid(f), _sigmoid(o), np.tanh(g)
        c = f * c + i * g
        h = o * np.tanh(c)
        found = {"input": i, "forget": f, "candidate": g, "output": o, "cell": c, "hidden": h}
        steps.append(found)
    return steps


def _gru(run: RecurrentRun) -> list[dict[str, Array]]:
    w, u, b, more = _weights(run)
    h = run.state[0].numpy()[0].astype(np.float64)  # (batch, hidden)
    steps = []
    for x in run.x.numpy():  # (batch, features)
        r, z, n = np.split(x @ w.T + b, 3, axis=1)
        kept_r, kept_z, kept_n = np.split(h @ u.T + more, 3, axis=1)
        r, z = _sigmoid(r + kept_r), _sigmoid(z + kept_z)
        n = np.tanh(n + r * kept_n)
        h = (1 - z) * n + z * h
        steps.append({"reset": r, "update": z, "candidate": n, "hidden": h})
    return steps


def _sigmoid(x: Array) -> Array:
    out: Array = 0.5 * (1 + np.tanh(0.5 * x))
    return out
