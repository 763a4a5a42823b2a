"""AR(τ): the next value as a weighted sum of the last τ, by least squares or gradient descent."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain
from narae.nn import Linear
from narae.nn.functional import mse_loss
from narae.optim import SGD
from narae.tensors.compilation import compile as compile_step
from narae.tensors.creation import from_numpy

from .table import Floats
from .windows import windows


@dataclass(frozen=True)
class Autoregression:
    """x_t = c + w_1 x_(t-τ) + ... + w_τ x_(t-1) + noise: only the last τ values matter.

    With τ = 1 it is a Markov model: given the last value, earlier ones tell nothing. One with
    several outputs tells each of the next steps directly, with weights of its own.

    Attributes:
        weights: (ahead, τ), the earliest value first.
        constant: (ahead,).

    Example:
        >>> t = np.arange(60.0)
        >>> model = Autoregression.fit(np.sin(0.3 * t), order=2)  # sin obeys an AR(2) exactly
        >>> model.weights.round(6).tolist() == [[-1.0, round(2 * np.cos(0.3), 6)]]
        True
    """

    weights: Floats
    constant: Floats

    @property
    def order(self) -> int:
        """τ, how many values it looks back."""
        return int(self.weights.shape[1])

    @property
    def ahead(self) -> int:
        """How many steps it tells directly."""
        return len(self.weights)

    @classmethod
    def fit(cls, values: Floats, order: int, ahead: int = 1) -> "Autoregression":
        """Least squares over all windows of the training part.

        Args:
            values: (time,), the training part; windows with missing values are left out.
            order: τ.
            ahead: steps to tell directly; more come recursively.

        Raises:
            ConfigError, DataError: as `windows` does; if there are fewer windows than weights.
        """
        return _solved(*_pairs(values, order, ahead))

    @classmethod
    def descend(
        cls, values: Floats, order: int, ahead: int = 1, steps: int = 2000
    ) -> "Autoregression":
        """The same weights by gradient descent: `nn.Linear`, the mean squared error, and SGD.

        Values are scaled first; the learning rate is 1 / L, with L the largest curvature of the
        loss, so it falls at each step. How many steps it takes depends on how alike neighbouring
        values are: on a straight line, very many.

        Args:
            values, order, ahead: as for `fit`.
            steps: updates, each with all windows.

        Raises:
            ConfigError, DataError: as `windows` does; if the values are constant.
        """
        x, y = _pairs(values, order, ahead)
        mean, std = float(x.mean()), float(x.std())
        if not std > 0:
            raise DataError(explain("Autoregression", "values are constant", "they vary"))
        x, y = (x - mean) / std, (y - mean) / std
        design = np.concatenate([x, np.ones((len(x), 1))], axis=1)
        curvature = 2 * np.linalg.eigvalsh(design.T @ design / len(x))[-1] / ahead
        weights, constant = _descended(x, y, 1 / curvature, steps)
        return cls(weights, constant * std + mean * (1 - weights.sum(axis=1)))

    def forecast(self, past: Floats, steps: int = 1) -> Floats:
        """Tell the next steps; those beyond `ahead` from what was told before.

        Args:
            past: (..., time, 1), at least τ rows.
            steps: how many.

        Returns:
            (..., steps, 1).

        Raises:
            ConfigError: if steps are below 1.
            ShapeError: if the past is too short, or has several columns.
        """
        if steps < 1:
            raise ConfigError(explain("Autoregression", f"{steps} steps", "at least 1"))
        past = np.asarray(past, np.float64)
        if past.ndim < 2 or past.shape[-1] != 1 or past.shape[-2] < self.order:
            given = f"the past is {past.shape}"
            rule = f"it is (..., time, 1) with at least {self.order} rows"
            raise ShapeError(explain("Autoregression", given, rule))
        known = past[..., 0]  # (..., time)
        while known.shape[-1] < past.shape[-2] + steps:
            told = known[..., known.shape[-1] - self.order :] @ self.weights.T + self.constant
            known = np.concatenate([known, told], axis=-1)
        begin = past.shape[-2]
        return known[..., begin : begin + steps, None]


def _pairs(values: Floats, order: int, ahead: int) -> tuple[Floats, Floats]:
    if np.ndim(values) != 1:
        raise ShapeError(explain("Autoregression", f"values are {np.shape(values)}", "(time,)"))
    found = windows(values, order, ahead)
    return found.past[..., 0], found.future[..., 0]  # (windows, τ), (windows, ahead)


def _solved(x: Floats, y: Floats) -> Autoregression:
    if len(x) <= x.shape[1]:  # more than one choice of weights makes no error at all
        given = f"{len(x)} windows for {x.shape[1]} weights and a constant"
        rule = "there are at least as many windows"
        raise DataError(explain("Autoregression", given, rule, "a smaller order, or more data"))
    design = np.concatenate([x, np.ones((len(x), 1))], axis=1)  # (windows, τ + 1)
    solution = np.linalg.lstsq(design, y, rcond=None)[0].T  # (ahead, τ + 1)
    return Autoregression(solution[:, :-1], solution[:, -1])


def _descended(x: Floats, y: Floats, lr: float, steps: int) -> tuple[Floats, Floats]:
    inputs, targets = from_numpy(x), from_numpy(y)
    layer = Linear(x.shape[1], y.shape[1], dtype=inputs.dtype)
    optimizer = SGD(layer.parameters(), lr=lr)

    def step() -> None:
        mse_loss(layer(inputs), targets).backward()
        optimizer.step()
        optimizer.zero_grad()

    compiled = compile_step(step)
    for _ in range(steps):
        compiled()
    weight, bias = (each.detach().numpy().copy() for each in layer.parameters())
    return weight, bias


def order_curve(values: Floats, orders: Sequence[int], cut: int) -> dict[int, tuple[float, float]]:
    """How good each τ is: mean squared errors, one step ahead, on the rows before and after a cut.

    On the training part it only falls as τ grows; on the other it turns where the model begins
    to learn noise. All orders tell the same rows: those that the longest can tell.

    Args:
        values: (time,); windows of the longest order with missing values are left out.
        orders: values of τ to try.
        cut: the first row that is not learned from.

    Returns:
        For each τ, the errors (training, validation).

    Raises:
        ConfigError: if there are no orders, or one is below 1.
        DataError: if a part is too short.
    """
    if not orders or min(orders) < 1:
        given = f"orders are {list(orders)}"
        raise ConfigError(explain("order_curve", given, "some to try, each at least 1"))
    longest, curve = max(orders), {}
    parts = (windows(values, longest, end=cut), windows(values, longest, begin=cut))
    training = parts[0]
    for order in orders:
        model = _solved(training.past[:, -order:, 0], training.future[..., 0])
        errors = [np.square(model.forecast(part.past) - part.future).mean() for part in parts]
        curve[order] = (float(errors[0]), float(errors[1]))
    return curve
