"""Where a token stands: attention alone does not see the order of what it looks at.

Three ways to tell it: waves that are added (Vaswani et al.), vectors that are learned and added,
and turning queries and keys by an angle that grows with the position (Su et al.).
"""

from typing import Any

import numpy as np

from narae.base.errors import BoundsError, ConfigError, explain
from narae.tensors import Tensor, cat
from narae.tensors.creation import from_numpy

from .module import Module
from .sparse import Embedding

_BASE = 10_000.0


def sinusoidal_table(length: int, width: int) -> Tensor:
    """Sine and cosine waves, each longer than the one before: (length, width).

        table[t, 2i] = sin(t / 10000^(2i / width)),   table[t, 2i + 1] = cos(t / 10000^(2i / width))

    Raises:
        ConfigError: for an odd width; waves come in pairs.

    Source: Vaswani et al., Attention is all you need (2017), section 3.5.

    >>> sinusoidal_table(2, 4)
    tensor([[0.0000, 1.0000, 0.0000, 1.0000],
            [0.8415, 0.5403, 0.0100, 0.9999]])
    """
    angles = _angles(length, width)  # (length, width / 2)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)  # (length, width / 2, 2)
    return from_numpy(waves.reshape(length, width).astype(np.float32))


def _angles(length: int, width: int) -> Any:
    """position / 10000^(2i / width), (length, width / 2)."""
    if width % 2:
        given, rule = f"the width is {width}", "each wave has a sine and a cosine"
        raise ConfigError(explain("positions", given, rule, "choose an even width"))
    speeds = _BASE ** (-np.arange(0, width, 2) / width)  # (width / 2,)
    return np.arange(length)[:, None] * speeds


def check_length(where: str, length: int, limit: int) -> None:
    """Refuse a sequence that is longer than the positions that there are.

    Raises:
        BoundsError: if it is.
    """
    if length > limit:
        given = f"the sequence has {length} tokens"
        rule = f"there are positions for {limit}"
        fix = f"cut it into pieces of at most {limit}, or make the model with a larger `length`"
        raise BoundsError(explain(where, given, rule, fix))


class SinusoidalPositions(Module):
    """Adds `sinusoidal_table` to what it is given.

    Args:
        length: the longest sequence
        width: features, an even number

    Shapes: (batch, time, width) -> (batch, time, width)

    >>> import narae
    >>> SinusoidalPositions(8, 4)(narae.zeros(1, 1, 4))
    tensor([[[0., 1., 0., 1.]]])
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.register_buffer("table", sinusoidal_table(length, width), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        check_length("SinusoidalPositions", x.shape[1], self.length)
        return x + self.table[: x.shape[1]]

    def at(self, x: Tensor, position: Tensor) -> Tensor:
        """The same for single tokens: x (batch, 1, width), position (batch,)."""
        return x + self.table[position].unsqueeze(1)  # (batch, 1, width)

    def extra_repr(self) -> str:
        return f"{self.length}, {self.table.shape[1]}"


class LearnedPositions(Module):
    """Adds a vector to each position; it is learned.

    Args:
        length: the longest sequence
        width: features

    Shapes: (batch, time, width) -> (batch, time, width)

    >>> import narae
    >>> LearnedPositions(8, 4)(narae.zeros(2, 3, 4)).shape
    narae.Size([2, 3, 4])
    """

    def __init__(self, length: int, width: int) -> None:
        super().__init__()
        self.length = length
        self.embedding = Embedding(length, width)

    def forward(self, x: Tensor) -> Tensor:
        check_length("LearnedPositions", x.shape[1], self.length)
        return x + self.embedding.weight[: x.shape[1]]

    def at(self, x: Tensor, position: Tensor) -> Tensor:
        """The same for single tokens: x (batch, 1, width), position (batch,)."""
        return x + self.embedding(position).unsqueeze(1)  # (batch, 1, width)


class RotaryPositions(Module):
    """Turns each half-pair (x[i], x[i + size / 2]) by the angle position / 10000^(2i / size).

    The product of a turned query and a turned key depends on how far apart they stand, not on
    where.

    Args:
        length: the longest sequence
        size: features of a head, an even number

    Shapes: (.., time, size) -> (.., time, size)

    Source: Su et al., RoFormer (2021), equation 34; halves as in GPT-NeoX.

    >>> import narae
    >>> turn = RotaryPositions(8, 4)
    >>> q, k = narae.randn(1, 4).expand(8, 4), narae.randn(1, 4).expand(8, 4)
    >>> scores = turn(q) @ turn(k).T
    >>> narae.allclose(scores[2, 0], scores[7, 5], atol=1e-5)
    True
    """

    def __init__(self, length: int, size: int) -> None:
        super().__init__()
        self.length = length
        angles = np.tile(_angles(length, size), 2)  # (length, size)
        self.register_buffer("cos", _float32(np.cos(angles)), persistent=False)
        self.register_buffer("sin", _float32(np.sin(angles)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        time = x.shape[-2]
        check_length("RotaryPositions", time, self.length)
        return x * self.cos[:time] + _quarter_turn(x) * self.sin[:time]

    def at(self, x: Tensor, position: Tensor) -> Tensor:
        """The same for single tokens: x (batch, heads, 1, size), position (batch,)."""
        cos, sin = (
            table[position].unsqueeze(1).unsqueeze(1)  # (batch, 1, 1, size)
            for table in (self.cos, self.sin)
        )
        return x * cos + _quarter_turn(x) * sin

    def extra_repr(self) -> str:
        return f"{self.length}, {self.cos.shape[1]}"


def _float32(x: Any) -> Tensor:
    return from_numpy(x.astype(np.float32))


def _quarter_turn(x: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return cat([-second, first], -1)


__all__ = [
    "LearnedPositions",
    "RotaryPositions",
    "SinusoidalPositions",
    "check_length",
    "sinusoidal_table",
]
