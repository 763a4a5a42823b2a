"""Networks that look at a past and tell the next steps: RNN, LSTM, GRU, TCN, Transformer."""

from typing import Any

from narae.base.errors import ConfigError, ShapeError, explain
from narae.nn import GRU, LSTM, RNN, LayerNorm, Linear, Module, Parameter, TransformerEncoder
from narae.nn import TransformerEncoderLayer as EncoderLayer
from narae.nn.transformer import Transformer
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy
from narae.tensors.joining import cat
from narae.tensors.random import randn

from .scaling import Scaling
from .tcn import TemporalConvNet

_CELLS: dict[str, Any] = {"rnn": RNN, "lstm": LSTM, "gru": GRU}
KINDS = (*_CELLS, "tcn", "transformer")


class Recurrent(Module):
    """A recurrent network's outputs at each step.

    Args:
        cell: "rnn", "lstm" or "gru".
        columns: of the series.
        width: of the state.
        layers: stacked on one another.
        dropout: between layers.
    """

    def __init__(
        self, cell: str, columns: int, width: int, layers: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        between = dropout if layers > 1 else 0.0  # there is no place for it after the last
        self.layers = _CELLS[cell](columns, width, layers, batch_first=True, dropout=between)
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)[0]  # (batch, time, width)


class CausalTransformer(Module):
    """An encoder whose attention looks back only; places are learned vectors.

    Args:
        columns: of the series.
        width: of each step's vector.
        layers, heads: of the encoder.
        dropout: in the encoder.
        longest: steps that there are places for.
    """

    def __init__(
        self,
        columns: int,
        width: int,
        layers: int = 2,
        heads: int = 4,
        dropout: float = 0.0,
        longest: int = 512,
    ) -> None:
        super().__init__()
        self.embed = Linear(columns, width)
        self.places = Parameter(0.02 * randn(longest, width))
        layer = EncoderLayer(width, heads, 2 * width, dropout, batch_first=True, norm_first=True)
        self.encoder = TransformerEncoder(layer, layers, norm=LayerNorm(width))
        self.width = width

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, time, columns) to (batch, time, width).

        Raises:
            ShapeError: if there are more steps than places.
        """
        time = x.shape[1]
        if time > len(self.places):
            given, rule = f"{time} steps", f"there are places for {len(self.places)}"
            raise ShapeError(explain("CausalTransformer", given, rule, "longest="))
        x = self.embed(x) + self.places[:time]  # (batch, time, width)
        mask = Transformer.generate_square_subsequent_mask(time)
        return self.encoder(x, mask=mask, is_causal=True)


def body_of(kind: str, columns: int, width: int, layers: int = 1, dropout: float = 0.0) -> Any:
    """A network from (batch, time, columns) to (batch, time, width) that sees no future.

    Args:
        kind: "rnn", "lstm", "gru", "tcn" or "transformer".
        columns, width, layers, dropout: sizes; a "tcn" sees the last 4 · 2^layers - 3 steps.

    Raises:
        ConfigError: for another kind.

    >>> body_of("gru", 1, 16).width
    16
    """
    if kind in _CELLS:
        return Recurrent(kind, columns, width, layers, dropout)
    if kind == "tcn":
        return TemporalConvNet(columns, [width] * layers, dropout=dropout)
    if kind == "transformer":
        return CausalTransformer(columns, width, layers, dropout=dropout)
    rule = f"it is one of {', '.join(KINDS)}"
    raise ConfigError(explain("forecaster", f"kind is {kind!r}", rule))


class Forecaster(Module):
    """The next steps from a past, both in the units of the series.

    It scales what comes in, looks at it with a body, reads the body's last output with one linear
    layer, and scales back; so a saved model needs nothing besides. What the layer tells is the
    difference to a naive forecast, which a network need then not learn: the last value, or with
    a `season` the value a season before.

    Args:
        body: from (batch, time, columns) to (batch, time, body.width); see `body_of`.
        ahead: steps to tell.
        scaling: of all columns, fitted on the training part; kept with the weights.
        targets: how many of the first columns to tell.
        season: steps of a season; 0: the difference is to the last value.
        relative: let the body see differences to the last step only. What it tells then moves with
            the level of the series, also to levels that were never learned from.

    Example:
        >>> import narae, numpy as np
        >>> scaling = Scaling.fit(np.array([[1.0], [3.0]]))
        >>> model = Forecaster(body_of("lstm", 1, 8), ahead=4, scaling=scaling)
        >>> model(narae.ones(2, 12, 1)).shape
        narae.Size([2, 4, 1])
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        body: Any,
        ahead: int,
        scaling: Scaling,
        targets: int = 1,
        season: int = 0,
        relative: bool = False,
    ) -> None:
        super().__init__()
        columns = len(scaling.mean)
        if ahead < 1 or not 1 <= targets <= columns or season < 0:
            given = f"ahead={ahead}, targets={targets}, season={season}"
            rule = f"ahead is at least 1, targets 1 to {columns} (the columns), season at least 0"
            raise ConfigError(explain("Forecaster", given, rule))
        self.body, self.log, self.relative = body, scaling.log, relative
        self.ahead, self.targets, self.season = ahead, targets, season
        self.read = Linear(body.width, ahead * targets)
        self.register_buffer("mean", from_numpy(scaling.mean).float())
        self.register_buffer("std", from_numpy(scaling.std).float())

    def forward(self, past: Tensor) -> Tensor:
        """From (batch, time, columns) to (batch, ahead, targets), in units of the series.

        Raises:
            ShapeError: if the past is not of this form, or shorter than a season.
        """
        if past.ndim != 3 or past.shape[2] != len(self.mean) or past.shape[1] < max(self.season, 1):
            given, rule = f"the past is {tuple(past.shape)}", f"it has {len(self.mean)} columns"
            rule = f"it is (batch, time, columns), {rule}, and at least {max(self.season, 1)} steps"
            raise ShapeError(explain("Forecaster", given, rule))
        x = ((past.log() if self.log else past) - self.mean) / self.std
        seen = x - x[:, -1:] if self.relative else x
        told = self.read(self.body(seen)[:, -1])  # (batch, ahead · targets)
        told = told.reshape(len(past), self.ahead, self.targets) + self._naive(x)
        told = told * self.std[: self.targets] + self.mean[: self.targets]
        return told.exp() if self.log else told

    def _naive(self, x: Tensor) -> Tensor:
        """What to add to, (batch, 1 or ahead, targets)."""
        if not self.season:
            return x[:, -1:, : self.targets]
        last = x[:, x.shape[1] - self.season :, : self.targets]  # (batch, season, targets)
        times = -(-self.ahead // self.season)
        return cat([last] * times, dim=1)[:, : self.ahead]
