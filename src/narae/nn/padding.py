"""`pad`: constant, reflected, repeated or circular elements around a tensor."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.errors import ConfigError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.autocast import in_float32
from narae.tensors.creation import constant
from narae.tensors.eager import apply

_NUMPY_MODES = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}


def pad(
    input: Tensor, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> Tensor:
    """The input with elements added (or, for negative numbers, removed) at its edges.

    Args:
        input: any shape
        pad: (low, high) of the last dimension, then of the one before it, and so on
        mode: "constant" (value), "reflect" (mirrored without the edge), "replicate" (the edge
            again) or "circular" (from the other side)
        value: what "constant" adds; 0 by default

    >>> import narae
    >>> narae.nn.functional.pad(narae.tensor([[1., 2., 3.]]), (1, 2), mode="replicate")
    tensor([[1., 1., 2., 3., 3., 3.]])
    """
    if len(pad) % 2 or len(pad) > 2 * input.ndim:
        raise ShapeError(
            explain(
                "pad",
                f"the input is {tuple(input.shape)}, pad is {tuple(pad)}",
                "pad holds two numbers for each of at most all dimensions, the last one first",
            )
        )
    pairs = [(int(low), int(high)) for low, high in zip(pad[::2], pad[1::2], strict=True)]
    if mode == "constant":
        return _constant(input, pairs, 0 if value is None else value)
    if mode not in _NUMPY_MODES:
        raise ConfigError(f"pad mode {mode!r} is not constant, reflect, replicate or circular")
    if value:
        raise ConfigError(f'Padding mode "{mode}" doesn\'t take in value argument')
    if mode == "circular" or (mode == "reflect" and len(pairs) == 3):
        return _copied(input, pairs, mode)
    return _copied_in_float32(input, pairs, mode)


def _constant(x: Any, pairs: list[tuple[int, int]], value: float) -> Any:
    both = [(0, 0)] * (x.ndim - len(pairs)) + pairs[::-1]
    for dim, (low, high) in enumerate(both):
        if min(low, high) < 0:
            length = x.shape[dim] + min(low, 0) + min(high, 0)
            if length < 0:
                raise ShapeError(f"[pad] size {x.shape[dim]} cannot shrink by {low} and {high}")
            x = x.narrow(dim, -min(low, 0), length)
    before = tuple(max(low, 0) for low, _ in both)
    after = tuple(max(high, 0) for _, high in both)
    if not any((*before, *after)):
        return x.clone()
    return apply(p.pad, x, low=before, high=after, value=value)


def _copied(x: Any, pairs: list[tuple[int, int]], mode: str) -> Any:
    """Look elements up, one dimension after the other."""
    if x.ndim not in (len(pairs) + 1, len(pairs) + 2) or len(pairs) > 3:
        raise ShapeError(
            explain(
                f"pad, {mode}",
                f"the input is {tuple(x.shape)}, pad has {len(pairs)} pairs",
                "all dimensions but channels and batch are padded, one to three of them",
            )
        )
    for place, (low, high) in enumerate(pairs):
        dim = x.ndim - 1 - place
        _check_reach(x.shape[dim], low, high, mode)
        if (low, high) != (0, 0):
            source = _sources(x.shape[dim], low, high, mode)
            x = apply(p.take, x, constant(source), dim=dim)
    return x


_copied_in_float32 = in_float32(_copied)


def _sources(size: int, low: int, high: int, mode: str) -> Any:
    """Which element each place of the padded dimension is a copy of."""
    places = np.arange(size)
    if mode == "circular":  # what is removed comes round no more
        places = places[max(-low, 0) : size - max(-high, 0)]
        low, high = max(low, 0), max(high, 0)
    added = np.pad(places, (max(low, 0), max(high, 0)), _NUMPY_MODES[mode])  # type: ignore[call-overload]
    return added[max(-low, 0) : len(added) - max(-high, 0)]


def _check_reach(size: int, low: int, high: int, mode: str) -> None:
    limit = {"reflect": size - 1, "circular": size, "replicate": low + high}[mode]
    if max(low, high) > limit and mode != "replicate":
        raise ShapeError(
            explain(
                f"pad, {mode}",
                f"Padding size should be less than the corresponding input dimension, but got "
                f"padding ({low}, {high}) at a dimension of {size}",
                f"at most {limit} elements can be copied there",
            )
        )
    if size == 0 or size + low + high <= 0:
        raise ShapeError(f"[pad, {mode}] a dimension of {size} cannot be padded by {low}, {high}")


__all__ = ["pad"]
