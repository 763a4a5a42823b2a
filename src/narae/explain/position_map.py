"""What positions look like: the table that is added to the features of each token, as a picture.

narae.explain.position_map(model).save("positions.png")
"""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, ShapeError, explain
from narae.nn import Embedding, Module
from narae.nn.positions import LearnedPositions, SinusoidalPositions
from narae.tensors import Tensor

from .heat_figure import Heat, draw_heat

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class PositionMap:
    """A vector for each position.

    Attributes:
        values: (positions, features)
    """

    values: Array

    @property
    def similarities(self) -> Array:
        """The cosine of the angle between each two positions' vectors, (positions, positions)."""
        lengths = np.linalg.norm(self.values, axis=1, keepdims=True)  # (positions, 1)
        unit = self.values / np.maximum(lengths, np.finfo(self.values.dtype).tiny)
        return unit @ unit.T

    def save(self, path: str | os.PathLike[str]) -> None:
        """Draw a row for each position, a column for each feature.

        Args:
            path: a PNG, PDF or SVG file to write.

        Raises:
            MissingExtraError: if matplotlib is not installed.
        """
        title = "What is added to each token's features"
        most = float(np.abs(self.values).max())
        axes, scale = ("feature", "position"), (-most, most)  # 0 is white
        heat = Heat({"": self.values}, title, *axes, scale=scale, colors="RdBu_r")
        draw_heat(path, heat)


def position_map(positions: Module | Tensor | Array) -> PositionMap:
    """The vectors that tell positions apart.

    Args:
        positions: a table (positions, features), such as `sinusoidal_table(50, 128)`; a module of
            positions; or a model that has one, such as GPT, BERT or TranslationTransformer.

    Raises:
        ConfigError: for a model that adds no vectors, such as one with rotary positions.
        ShapeError: for a table that is none.

    Source: Vaswani et al., Attention is all you need (2017), section 3.5.

    >>> from narae.nn.positions import SinusoidalPositions
    >>> position_map(SinusoidalPositions(50, 128)).values.shape
    (50, 128)
    """
    table = _table_of(positions) if isinstance(positions, Module) else positions
    values = np.array(table.detach().numpy() if isinstance(table, Tensor) else table)
    if values.ndim != 2 or 0 in values.shape:
        given, rule = f"the table is {values.shape}", "it is (positions, features)"
        raise ShapeError(explain("position_map", given, rule))
    return PositionMap(values)


def _table_of(module: Module) -> Tensor:
    own = getattr(module, "positions", module)
    if isinstance(own, LearnedPositions):
        own = own.embedding
    if isinstance(own, SinusoidalPositions):
        return own.table
    if isinstance(own, Embedding):
        return own.weight
    given, rule = (
        f"{type(module).__name__} has no table of positions",
        "vectors are added to tokens",
    )
    fix = "rotary positions turn queries and keys instead: position_map(module.cos) shows how"
    raise ConfigError(explain("position_map", given, rule, fix))
