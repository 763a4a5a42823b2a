"""Latent autoregression: a state sums up the past; a recurrent network is one way to keep it."""

from collections.abc import Callable

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.nn import RNN, Linear, Module
from narae.tensors import Tensor, no_grad
from narae.tensors.creation import from_numpy
from narae.tensors.joining import stack

from .autoregression import Autoregression

Update = Callable[[Tensor, Tensor], Tensor]
Read = Callable[[Tensor], Tensor]


def latent_autoregression(x: Tensor, state: Tensor, update: Update, read: Read) -> Tensor:
    """h_t = update(x_t, h_(t-1)), and what comes next is read(h_t) alone.

    The state has one size, however long the past: AR(τ) looks back τ steps and no further. With
    update(x, h) = tanh(W_x x + W_h h + b) it is a recurrent network.

    Args:
        x: (batch, time, columns).
        state: h_0, (batch, width).
        update: from x_t (batch, columns) and the state to the next state.
        read: from the state (batch, width) to what is told of x_(t+1), (batch, targets).

    Returns:
        (batch, time, targets).
    """
    told = []
    for t in range(x.shape[1]):
        state = update(x[:, t], state)
        told.append(read(state))
    return stack(told, dim=1)


class LinearRecurrence(Module):
    """AR(τ) as a recurrent network: its state holds the last τ values, each step moves them on.

    W_x puts the new value at the end, W_h moves the others (it is a shift), and the output layer
    has the weights of the AR model. The network's ReLU does nothing to values that are not
    negative; so the series is lifted by a constant that the output layer takes off again.

    Args:
        model: one that tells one step.
        lift: added to each value: more than the lowest one is below 0.

    Raises:
        ConfigError: if the model tells several steps.
    """

    def __init__(self, model: Autoregression, lift: float = 0.0) -> None:
        super().__init__()
        if model.ahead != 1:
            given = f"it tells {model.ahead} steps"
            raise ConfigError(explain("LinearRecurrence", given, "a recurrence tells one"))
        order, self.lift = model.order, lift
        self.rnn = RNN(1, order, nonlinearity="relu", bias=False, batch_first=True)
        self.read = Linear(order, 1)
        new = np.zeros((order, 1), np.float32)
        new[-1] = 1
        constant = model.constant - lift * model.weights.sum(axis=1)
        with no_grad():
            self.rnn.weight_ih_l0.copy_(from_numpy(new))
            self.rnn.weight_hh_l0.copy_(from_numpy(np.eye(order, k=1, dtype=np.float32)))
            for parameter, values in zip(
                self.read.parameters(), (model.weights, constant), strict=True
            ):
                parameter.copy_(from_numpy(values))

    def forward(self, x: Tensor) -> Tensor:
        """What comes after each step, (batch, time, 1); right from the τ-th on."""
        return self.read(self.rnn(x + self.lift)[0])
