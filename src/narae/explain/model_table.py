"""All models side by side: parameters, products, memory, and the time of a forward pass."""

import statistics
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import narae.nn as nn
from narae.base.errors import ConfigError, NaraeError, explain
from narae.nn.init import undrawn
from narae.tensors import Tensor, no_grad, rand
from narae.tensors.compilation import compile as compile_module
from narae.train.summary import quantity, size_text, summarize
from narae.vision.models.registry import get_model, list_models, picture_shape

_HEAD = ("model", "picture", "parameters", "MACs", "weights", "activations", "time")


@dataclass(frozen=True)
class ModelRow:
    """What one model costs.

    Attributes:
        name: as `get_model` takes it.
        picture: (channels, height, width).
        parameters: how many numbers are trained.
        macs: products that are added up, for the batch; None where the model cannot be traced.
        weight_bytes: memory of parameters and buffers.
        activation_bytes: memory of all layers' results; None where the model cannot be traced.
        seconds: of a forward pass of the batch; None if none was timed.
    """

    name: str
    picture: tuple[int, int, int]
    parameters: int
    macs: int | None
    weight_bytes: int
    activation_bytes: int | None
    seconds: float | None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def model_rows(
    patterns: Sequence[str] = (),
    *,
    picture: tuple[int, int, int] | None = None,
    batch_size: int = 1,
    timed: bool = True,
    compiled: bool = False,
    repeats: int = 3,
) -> Iterator[ModelRow]:
    """Look at models, one after the other.

    Args:
        patterns: of names, such as "resnet*"; none for all.
        picture: (channels, height, width); each model's own by default.
        batch_size: pictures in a forward pass.
        timed: whether to measure a forward pass.
        compiled: time it as one program.
        repeats: the median of so many passes, after a first one that does not count.

    Raises:
        ConfigError: if no model fits the patterns.

    >>> [(row.name, row.parameters) for row in model_rows(["lenet5"], timed=False)]
    [('lenet5', 61706)]
    """
    names = list_models(include=list(patterns) or None)
    if not names:
        given, rule = f"no model fits {' '.join(patterns)}", "patterns are such as 'resnet*'"
        raise ConfigError(explain("models", given, rule, "`narae models --no-time` shows all"))
    for name in names:
        shape = picture or picture_shape(name)
        yield _row(name, (batch_size, *shape), timed, compiled, repeats)


def _row(
    name: str, shape: tuple[int, int, int, int], timed: bool, compiled: bool, repeats: int
) -> ModelRow:
    with undrawn():  # what the weights are changes no number here
        model = get_model(name).eval()
    held = [*model.parameters(), *model.buffers()]
    sizes = (sum(x.numel() for x in model.parameters()), sum(map(_bytes, held)))
    x = rand(*shape)
    macs = activations = seconds = None
    try:
        found = summarize(model, x)
        macs, activations = found.flops // 2, found.output_bytes
        seconds = _seconds(model, x, compiled, repeats) if timed else None
    except NaraeError:  # a detector, which takes lists and decides by what it sees
        if _is_for_batches(name):
            raise
    return ModelRow(name, shape[1:], sizes[0], macs, sizes[1], activations, seconds)


def _is_for_batches(name: str) -> bool:
    from narae.vision.models.registry import get_model_builder

    return ".detection" not in get_model_builder(name).__module__


def _bytes(x: Tensor) -> int:
    return x.numel() * x.element_size()


def _seconds(model: nn.Module, x: Tensor, compiled: bool, repeats: int) -> float:
    """The median time of a forward pass."""
    for parameter in model.parameters():  # memory may hold numbers that are slow to multiply
        nn.init.constant_(parameter, 1.0 / max(1, parameter.numel() // parameter.shape[0]))
    run = compile_module(model) if compiled else model
    times = []
    with no_grad():
        for _ in range(repeats + 1):
            begin = time.perf_counter()
            run(x)
            times.append(time.perf_counter() - begin)
    return statistics.median(times[1:])


# --- on the screen ------------------------------------------------------------------------------


def head_line(names: Sequence[str]) -> str:
    """The table's first line, for models of these names."""
    return _line(_HEAD, max(map(len, (*names, _HEAD[0]))))


def row_line(row: ModelRow, names: Sequence[str]) -> str:
    """One line of the table."""
    cells = (
        row.name,
        "x".join(map(str, row.picture)),
        f"{row.parameters:,}",
        "-" if row.macs is None else quantity(row.macs),
        size_text(row.weight_bytes),
        "-" if row.activation_bytes is None else size_text(row.activation_bytes),
        "-" if row.seconds is None else f"{1000 * row.seconds:,.1f} ms",
    )
    return _line(cells, max(map(len, (*names, _HEAD[0]))))


_WIDTHS = (11, 13, 9, 9, 12, 12)


def _line(cells: Sequence[str], first: int) -> str:
    others = (cell.rjust(width) for cell, width in zip(cells[1:], _WIDTHS, strict=True))
    return "  ".join([cells[0].ljust(first), *others]).rstrip()
