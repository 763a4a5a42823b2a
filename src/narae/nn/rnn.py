"""Recurrent layers: `RNN`, `LSTM`, `GRU`, each several layers deep and in one or two directions."""

import math
import numbers
from typing import Any

from narae import primitives as p
from narae.base.errors import ShapeError, explain
from narae.base.notices import warn_user
from narae.tensors import Parameter, Tensor, empty, zeros
from narae.tensors.autocast import products
from narae.tensors.creation import constant
from narae.tensors.eager import apply
from narae.tensors.modes import modes

from . import init
from .dropout import dropout
from .module import Module
from .recurrence import GATES, Weights, project, run_layer
from .rnn_cells import GRUCell, LSTMCell, RNNCell, RNNCellBase
from .utils.rnn import PackedSequence, Packing

State = tuple[Tensor, ...]


class RNNBase(Module):
    """What the recurrent layers share: parameters, checks, the loop over layers and directions.

    Args:
        mode: "RNN_TANH", "RNN_RELU", "LSTM" or "GRU".
        input_size: features of the input.
        hidden_size: features of the state.
        num_layers: layers on top of each other.
        bias: whether gates have biases.
        batch_first: whether input and output are (batch, time, features).
        dropout: the probability to drop outputs between layers, in training.
        bidirectional: whether a second set of weights runs backwards in time.
        proj_size: features that the state of an LSTM is projected to; 0 for none.
    """

    def __init__(
        self,
        mode: str,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        self.mode = mode
        self.input_size, self.hidden_size = input_size, hidden_size
        self.num_layers, self.bias, self.batch_first = num_layers, bias, batch_first
        self.dropout, self.bidirectional = dropout, bidirectional
        self.proj_size = proj_size
        self._check_options()
        self.dropout = float(dropout)
        kind = {"device": device, "dtype": dtype}
        self._all_weights: list[list[str]] = []
        for layer in range(num_layers):
            for direction in range(self._directions):
                self._add_weights(layer, "_reverse" if direction else "", kind)
        self._flat_weights_names = [name for names in self._all_weights for name in names]
        self.reset_parameters()

    def _check_options(self) -> None:
        probability = self.dropout
        is_number = isinstance(probability, numbers.Number) and not isinstance(probability, bool)
        if not is_number or not 0 <= probability <= 1:
            raise ValueError(
                "dropout should be a number in range [0, 1] representing the probability of an "
                f"element being zeroed: it is {probability!r}"
            )
        if probability > 0 and self.num_layers == 1:
            warn_user(
                "dropout option adds dropout after all but last recurrent layer, so non-zero "
                f"dropout expects num_layers greater than 1, but got dropout={probability} and "
                f"num_layers={self.num_layers}"
            )
        _check_type("bias", self.bias, bool)
        _check_type("batch_first", self.batch_first, bool)
        _check_type("input_size", self.input_size, int)
        _check_type("hidden_size", self.hidden_size, int)
        for name in ("input_size", "hidden_size", "num_layers"):
            if getattr(self, name) <= 0:
                raise ValueError(f"{name} must be greater than zero: it is {getattr(self, name)}")
        if self.proj_size < 0:
            raise ValueError(
                "proj_size should be a positive integer or zero to disable projections: it is "
                f"{self.proj_size}"
            )
        if self.proj_size >= self.hidden_size:
            raise ValueError(
                f"proj_size has to be smaller than hidden_size: they are {self.proj_size} and "
                f"{self.hidden_size}"
            )

    @property
    def _directions(self) -> int:
        return 2 if self.bidirectional else 1

    @property
    def _state_size(self) -> int:
        """Features of h."""
        return self.proj_size or self.hidden_size

    def _add_weights(self, layer: int, suffix: str, kind: dict[str, Any]) -> None:
        """Parameters of one direction of one layer, in PyTorch's order."""
        wide = GATES[self.mode] * self.hidden_size
        size = self.input_size if layer == 0 else self._state_size * self._directions
        shapes: dict[str, Any] = {"weight_ih": (wide, size), "weight_hh": (wide, self._state_size)}
        if self.bias:
            shapes.update(bias_ih=(wide,), bias_hh=(wide,))
        if self.proj_size:
            shapes["weight_hr"] = (self.proj_size, self.hidden_size)
        names = [f"{name}_l{layer}{suffix}" for name in shapes]
        for name, shape in zip(names, shapes.values(), strict=True):
            self.register_parameter(name, Parameter(empty(shape, **kind)))
        self._all_weights.append(names)

    def reset_parameters(self) -> None:
        """Draw all weights and biases uniformly in ±1 / √hidden_size."""
        bound = 1 / math.sqrt(self.hidden_size)
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    @property
    def all_weights(self) -> list[list[Parameter]]:
        """The parameters of each direction of each layer."""
        return [[getattr(self, name) for name in names] for names in self._all_weights]

    @property
    def _flat_weights(self) -> list[Parameter]:
        return [getattr(self, name) for name in self._flat_weights_names]

    def flatten_parameters(self) -> None:
        """Nothing: weights need no special place in memory here. Kept for PyTorch's programs."""

    # --- forward ---------------------------------------------------------------------------

    def forward(self, input: Any, hx: Any = None) -> Any:
        if isinstance(input, PackedSequence):
            return self._forward_packed(input, hx)
        return self._forward_plain(input, hx)

    def _forward_plain(self, input: Tensor, hx: Any) -> Any:
        if not isinstance(input, Tensor):
            raise TypeError(
                f"{self._name}(): argument 'input' must be Tensor, not {type(input).__name__}"
            )
        rank = input._value.ndim
        if rank not in (2, 3):
            raise ValueError(f"{self._name}: Expected input to be 2D or 3D, got {rank}D instead")
        single = rank == 2
        batch_dim = 0 if self.batch_first else 1
        state = self._given_state(hx, single)
        if single:
            input = apply(p.unsqueeze, input, dim=batch_dim)
        self._check_input(input, 3)
        shape = input._value.shape
        state = self._checked_state(state, shape[batch_dim], input)
        x = _swap_batch(input) if self.batch_first else input
        if x._value.shape[0] == 0:
            raise ShapeError(
                f"[{self._name}] Expected sequence length to be larger than 0 in RNN; the input is "
                f"{tuple(shape)}"
            )
        out, state = self._run(x, state, None)
        out = _swap_batch(out) if self.batch_first else out
        if single:
            out = apply(p.squeeze, out, dim=(batch_dim,))
            state = tuple(apply(p.squeeze, h, dim=(1,)) for h in state)
        return out, self._returned(state)

    def _forward_packed(self, input: PackedSequence, hx: Any) -> Any:
        packing = Packing(input.batch_sizes)
        self._check_input(input.data, 2)
        state = self._given_state(hx, single=False)
        if state is not None:
            state = tuple(_reorder(h, input.sorted_indices) for h in state)
        state = self._checked_state(state, packing.batch, input.data)
        out, state = self._run(input.data, state, packing)
        packed = PackedSequence(
            out, input.batch_sizes, input.sorted_indices, input.unsorted_indices
        )
        state = tuple(_reorder(h, input.unsorted_indices) for h in state)
        return packed, self._returned(state)

    def _run(self, x: Tensor, state: State, packing: Packing | None) -> tuple[Tensor, State]:
        """All layers.

        Args:
            x: (time, batch, features), or packed rows (rows, features).
            state: h, and c for LSTM, each (layers * directions, batch, features).
        """
        finals: list[State] = []
        for layer in range(self.num_layers):
            outs = []
            for direction in range(self._directions):
                place = layer * self._directions + direction
                start = tuple(apply(p.select, h, dim=0, index=place) for h in state)
                out, final = self._run_direction(x, start, place, bool(direction), packing)
                outs.append(out)
                finals.append(final)
            x = outs[0] if len(outs) == 1 else apply(p.concat, *outs, dim=x._value.ndim - 1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                x = dropout(x, self.dropout, True)
        return x, tuple(_stacked(parts) for parts in zip(*finals, strict=True))

    def _run_direction(
        self, x: Tensor, start: State, place: int, reverse: bool, packing: Packing | None
    ) -> tuple[Tensor, State]:
        x, *weights = products(x, *self._weights(place))
        w = Weights(*weights)
        if self.mode != "GRU":  # its state keeps its precision, as in PyTorch
            start = products(*start)
        gates = project(self.mode, x, w)
        if packing is None:
            return run_layer(self.mode, gates, start, w, reverse)
        mask = constant(packing.mask)
        out, final = run_layer(self.mode, packing.padded(gates), start, w, reverse, mask)
        return packing.packed(out), final

    def _weights(self, place: int) -> Weights:
        found = {name.split("_l")[0]: getattr(self, name) for name in self._all_weights[place]}
        return Weights(
            found["weight_ih"],
            found["weight_hh"],
            found.get("bias_ih"),
            found.get("bias_hh"),
            found.get("weight_hr"),
        )

    # --- state -----------------------------------------------------------------------------

    @property
    def _name(self) -> str:
        return type(self).__name__

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        """Features of each part of the state."""
        return (self._state_size,)

    def _given_state(self, hx: Any, single: bool) -> State | None:
        """The user's state as a tuple, with a batch dimension."""
        if hx is None:
            return None
        if not isinstance(hx, Tensor):
            raise TypeError(
                f"{self._name}(): argument 'hx' must be Tensor, not {type(hx).__name__}"
            )
        rank = hx._value.ndim
        if rank != (2 if single else 3):
            kind = "unbatched 2-D" if single else "batched 3-D"
            raise RuntimeError(
                f"For {kind} input, hx should also be {2 if single else 3}-D but got {rank}-D "
                "tensor"
            )
        return (apply(p.unsqueeze, hx, dim=1),) if single else (hx,)

    def _checked_state(self, state: State | None, batch: int, like: Tensor) -> State:
        """The state, or zeros; of the expected sizes."""
        count = self.num_layers * self._directions
        expected = [(count, int(batch), size) for size in self._state_sizes]
        if state is None:
            return tuple(zeros(shape, dtype=like.dtype) for shape in expected)
        for place, (h, shape) in enumerate(zip(state, expected, strict=True)):
            if tuple(h._value.shape) != shape:
                name = "size" if len(state) == 1 else f"hidden[{place}] size"
                what = "hidden size" if len(state) == 1 else name
                raise ShapeError(
                    explain(
                        self._name,
                        f"Expected {what} {shape}, got {list(h.shape)}",
                        "a state is (num_layers * directions, batch, features), batch_first or not",
                        "narae.zeros" + str(shape),
                    )
                )
            if h._value.dtype != like._value.dtype:
                raise ShapeError(
                    f"[{self._name}] input and hidden state must have one dtype: they are "
                    f"{like.dtype} and {h.dtype}. Fix: hx.to({like.dtype})"
                )
        return state

    def _returned(self, state: State) -> Any:
        return state[0]

    def _check_input(self, input: Tensor, rank: int) -> None:
        dtype = getattr(self, self._all_weights[0][0]).dtype
        if input.dtype != dtype and modes.autocast is None:
            raise ValueError(
                f"RNN input dtype ({input.dtype}) does not match weight dtype ({dtype}). "
                f"Convert input: input.to({dtype}), or convert model: model.to({input.dtype})"
            )
        shape = tuple(input._value.shape)
        if len(shape) != rank:
            raise ShapeError(
                f"[{self._name}] input must have {rank} dimensions, got {len(shape)}: {shape}"
            )
        if shape[-1] != self.input_size:
            raise ShapeError(
                explain(
                    self._name,
                    "input.size(-1) must be equal to input_size. Expected "
                    f"{self.input_size}, got {shape[-1]}: the input is {shape}",
                    "the last dimension holds the features of one step",
                    f"{self._name}({shape[-1]}, {self.hidden_size}), or reshape the input",
                )
            )

    def extra_repr(self) -> str:
        parts = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {
            "proj_size": 0,
            "num_layers": 1,
            "bias": True,
            "batch_first": False,
            "dropout": 0,
            "bidirectional": False,
        }
        for name, default in defaults.items():
            if getattr(self, name) != default:
                parts.append(f"{name}={getattr(self, name)}")
        return ", ".join(parts)


def _check_type(name: str, value: Any, kind: type) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"{name} should be of type {kind.__name__}, got: {type(value).__name__}")


def _swap_batch(x: Tensor) -> Tensor:
    """(batch, time, features) <-> (time, batch, features)."""
    return apply(p.permute, x, dims=(1, 0, 2))


def _stacked(parts: State) -> Tensor:
    """States of all layers and directions: (layers * directions, batch, features)."""
    return apply(p.concat, *(apply(p.unsqueeze, h, dim=0) for h in parts), dim=0)


def _reorder(h: Tensor, order: Tensor | None) -> Tensor:
    """Choose sequences of a state (layers, batch, features)."""
    return h if order is None else apply(p.take, h, order, dim=1)


class RNN(RNNBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh) at every step (Elman 1990).

    Args:
        input_size, hidden_size, num_layers: see `RNNBase`.
        nonlinearity: "tanh" or "relu".

    Returns:
        out: (time, batch, directions * hidden), the state of the last layer at every step.
        h_n: (layers * directions, batch, hidden), the last state.

    >>> import narae
    >>> out, h_n = narae.nn.RNN(10, 20, num_layers=2)(narae.zeros(5, 3, 10))
    >>> out.shape, h_n.shape
    (narae.Size([5, 3, 20]), narae.Size([2, 3, 20]))
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        if len(args) > 3:
            self_nonlinearity, args = args[3], (*args[:3], *args[4:])
        else:
            self_nonlinearity = kwargs.pop("nonlinearity", "tanh")
        modes = {"tanh": "RNN_TANH", "relu": "RNN_RELU"}
        if self_nonlinearity not in modes:
            raise ValueError(
                f"Unknown nonlinearity '{self_nonlinearity}'. Select from 'tanh' or 'relu'."
            )
        super().__init__(modes[self_nonlinearity], *args, **kwargs)
        self.nonlinearity = self_nonlinearity


class LSTM(RNNBase):
    """Long short-term memory (Hochreiter and Schmidhuber 1997), with forget gates.

    i, f, g, o = W_ih x + b_ih + W_hh h + b_hh;
    c' = sigmoid(f) c + sigmoid(i) tanh(g); h' = sigmoid(o) tanh(c').

    Args:
        input_size, hidden_size, num_layers: see `RNNBase`.

    Returns:
        out: (time, batch, directions * hidden), the h of the last layer at every step.
        (h_n, c_n): (layers * directions, batch, hidden) each, the last state.

    >>> import narae
    >>> sum(weight.numel() for weight in narae.nn.LSTM(10, 20, bias=False).parameters())
    2400
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__("LSTM", *args, **kwargs)

    @property
    def _state_sizes(self) -> tuple[int, ...]:
        return self._state_size, self.hidden_size

    def _given_state(self, hx: Any, single: bool) -> State | None:
        if hx is None:
            return None
        if not isinstance(hx, (tuple, list)) or len(hx) != 2:
            raise TypeError(
                f"LSTM(): argument 'hx' must be a tuple of two Tensors (h_0, c_0), not "
                f"{type(hx).__name__}"
            )
        rank = 2 if single else 3
        if any(h._value.ndim != rank for h in hx):
            kind = "unbatched 2-D" if single else "batched 3-D"
            raise RuntimeError(
                f"For {kind} input, hx and cx should also be {rank}-D but got "
                f"({hx[0]._value.ndim}-D, {hx[1]._value.ndim}-D) tensors"
            )
        return tuple(apply(p.unsqueeze, h, dim=1) for h in hx) if single else tuple(hx)

    def _returned(self, state: State) -> Any:
        return state


class GRU(RNNBase):
    """Gated recurrent units (Cho et al. 2014).

    r, z = sigmoid(W_ih x + b_ih + W_hh h + b_hh);
    n = tanh(W_in x + b_in + r (W_hn h + b_hn)); h' = (1 - z) n + z h.

    Args:
        input_size, hidden_size, num_layers: see `RNNBase`.

    Returns:
        out: (time, batch, directions * hidden), the state of the last layer at every step.
        h_n: (layers * directions, batch, hidden), the last state.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if "proj_size" in kwargs:
            raise ValueError("proj_size argument is only supported for LSTM, not RNN or GRU")
        super().__init__("GRU", *args, **kwargs)


__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "GRUCell",
    "LSTMCell",
    "RNNBase",
    "RNNCell",
    "RNNCellBase",
]
