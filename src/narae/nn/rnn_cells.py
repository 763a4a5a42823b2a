"""One step of a recurrent layer: `RNNCell`, `LSTMCell`, `GRUCell`."""

import math
from typing import Any

from narae import primitives as p
from narae.base.errors import ShapeError, explain
from narae.primitives.elementwise import add, tanh
from narae.tensors import Parameter, Tensor, empty, zeros
from narae.tensors.autocast import like, products
from narae.tensors.eager import apply

from . import init
from .module import Module


class RNNCellBase(Module):
    """What the cells share.

    Args:
        input_size, hidden_size: features of input and state.
        bias: whether gates have biases.
        num_chunks: how many gates there are.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool,
        num_chunks: int,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__()
        kind = {"device": device, "dtype": dtype}
        self.input_size, self.hidden_size, self.bias = input_size, hidden_size, bias
        wide = num_chunks * hidden_size
        self.weight_ih = Parameter(empty((wide, input_size), **kind))
        self.weight_hh = Parameter(empty((wide, hidden_size), **kind))
        for name in ("bias_ih", "bias_hh"):
            self.register_parameter(name, Parameter(empty(wide, **kind)) if bias else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all weights and biases uniformly in ±1 / √hidden_size."""
        bound = 1 / math.sqrt(self.hidden_size) if self.hidden_size > 0 else 0
        for weight in self.parameters():
            init.uniform_(weight, -bound, bound)

    def extra_repr(self) -> str:
        text = f"{self.input_size}, {self.hidden_size}"
        if not self.bias:
            text += f", bias={self.bias}"
        nonlinearity = getattr(self, "nonlinearity", "tanh")
        return text if nonlinearity == "tanh" else text + f", nonlinearity={nonlinearity}"

    def _linear(self, x: Tensor, name: str) -> Tensor:
        x, weight, bias = products(
            x, getattr(self, f"weight_{name}"), getattr(self, f"bias_{name}")
        )
        if bias is None:
            return apply(p.linear_without_bias, x, weight)
        return apply(p.linear, x, weight, bias)

    def _batched(self, x: Tensor, what: str, size: int) -> Tensor:
        """With a batch dimension, of the expected features."""
        name = type(self).__name__
        shape = tuple(x._value.shape)
        if len(shape) not in (1, 2):
            raise ValueError(f"{name}: Expected {what} to be 1D or 2D, got {len(shape)}D instead")
        if shape[-1] != size:
            raise ShapeError(
                explain(
                    name,
                    f"{what} has inconsistent size: got {shape[-1]} features, expected {size}; it "
                    f"is {shape}",
                    f"{what} is (batch, {size}) or ({size},)",
                    f"{name}({self.input_size}, {self.hidden_size}) was made for these sizes",
                )
            )
        return x if len(shape) == 2 else apply(p.unsqueeze, x, dim=0)

    def _state(self, h: Tensor | None, x: Tensor) -> Tensor:
        """The state with a batch dimension, or zeros."""
        batch = x._value.shape[0]
        if h is None:
            return zeros((batch, self.hidden_size), dtype=x.dtype)
        h = self._batched(h, "hidden", self.hidden_size)
        if h._value.shape[0] != batch:
            raise ShapeError(
                f"[{type(self).__name__}] Input batch size {batch} doesn't match hidden batch size "
                f"{h._value.shape[0]}"
            )
        return h

    def _unbatched(self, x: Tensor, like: Tensor) -> Tensor:
        return x if like._value.ndim == 2 else apply(p.squeeze, x, dim=(0,))


class RNNCell(RNNCellBase):
    """h' = tanh(W_ih x + b_ih + W_hh h + b_hh), or relu (Elman 1990).

    >>> import narae
    >>> narae.nn.RNNCell(10, 20)(narae.zeros(3, 10)).shape
    narae.Size([3, 20])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        nonlinearity: str = "tanh",
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 1, device, dtype)
        self.nonlinearity = nonlinearity

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        x = self._batched(input, "input", self.input_size)
        h = self._state(hx, x)
        if self.nonlinearity not in ("tanh", "relu"):
            raise RuntimeError(f"Unknown nonlinearity: {self.nonlinearity}")
        total = apply(add, self._linear(x, "ih"), self._linear(h, "hh"))
        out = apply(tanh if self.nonlinearity == "tanh" else p.relu, total)
        return self._unbatched(out, input)


class LSTMCell(RNNCellBase):
    """One step of `LSTM`: (h', c') from x and (h, c).

    >>> import narae
    >>> sum(weight.numel() for weight in narae.nn.LSTMCell(10, 20).parameters())
    2560
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 4, device, dtype)

    def forward(
        self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None
    ) -> tuple[Tensor, Tensor]:
        x = self._batched(input, "input", self.input_size)
        given = (None, None) if hx is None else hx
        h, c = (self._state(part, x) for part in given)
        gates = apply(add, self._linear(x, "ih"), self._linear(h, "hh"))
        h, c, _ = apply(p.lstm_cell, like(gates, c), c)
        return self._unbatched(h, input), self._unbatched(c, input)


class GRUCell(RNNCellBase):
    """One step of `GRU`: h' from x and h.

    >>> import narae
    >>> sum(weight.numel() for weight in narae.nn.GRUCell(10, 20).parameters())
    1920
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        bias: bool = True,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, bias, 3, device, dtype)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        x = self._batched(input, "input", self.input_size)
        h = self._state(hx, x)
        gates_x, gates_h = self._linear(x, "ih"), self._linear(h, "hh")
        out = apply(p.gru_cell, like(gates_x, h), like(gates_h, h), h)[0]
        return self._unbatched(out, input)


__all__ = ["GRUCell", "LSTMCell", "RNNCell", "RNNCellBase"]
