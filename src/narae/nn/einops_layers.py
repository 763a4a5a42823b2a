"""einops on Narae's tensors: a backend for its functions, and its layers.

einops (Rogozhnikov, "Einops: clear and reliable tensor manipulations with Einstein-like notation",
ICLR 2022) finds a framework among the subclasses of its `AbstractBackend`; `register` adds one.
"""

import functools
from typing import Any

from narae.base.errors import ConfigError, require
from narae.tensors import Tensor, cat, einsum, from_numpy, stack
from narae.tensors import arange as arange_of

from .module import Module

_PURPOSE = "rearranging by patterns such as 'b c h w -> b (c h w)'"


def _einops() -> Any:
    return require("einops", "einops", _PURPOSE)


class _Backend:
    """What einops asks of a framework; einops calls it with its own words (`axis`)."""

    framework_name = "narae"

    def is_appropriate_type(self, tensor: Any) -> bool:
        """Whether this backend is the one for a tensor."""
        return isinstance(tensor, Tensor)

    def from_numpy(self, x: Any) -> Tensor:
        """A tensor on the memory of an array."""
        return from_numpy(x)

    def to_numpy(self, x: Any) -> Any:
        """The numbers of a tensor."""
        return x.detach().numpy()

    def arange(self, start: int, stop: int) -> Tensor:
        """Whole numbers."""
        return arange_of(start, stop)

    def transpose(self, x: Any, order: Any) -> Tensor:
        """Dimensions in another order."""
        return x.permute(tuple(order))

    def reduce(self, x: Any, operation: str, dims: Any) -> Tensor:
        """One of einops' reductions over several dimensions."""
        if operation in ("min", "max"):
            return getattr(x, f"a{operation}")(tuple(dims))
        if operation in ("sum", "mean", "any", "all"):
            return getattr(x, operation)(tuple(dims))
        if operation != "prod":
            raise ConfigError(f"[einops] Unknown reduction {operation!r}")
        for dim in sorted(dims, reverse=True):
            x = x.prod(dim)
        return x

    def stack_on_zeroth_dimension(self, tensors: Any) -> Tensor:
        """A list of tensors as one."""
        return stack(tensors)

    def add_axis(self, x: Any, new_position: int) -> Tensor:
        """A new dimension of size 1."""
        return x.unsqueeze(new_position)

    def add_axes(self, x: Any, n_axes: int, pos2len: Any) -> Tensor:
        """New dimensions, repeated without memory."""
        sizes = [-1] * n_axes
        for place, length in pos2len.items():
            x, sizes[place] = self.add_axis(x, place), length
        return x.expand(sizes)

    def tile(self, x: Any, repeats: Any) -> Tensor:
        """Copies side by side."""
        return x.repeat(repeats)

    def concat(self, tensors: Any, **place: int) -> Tensor:
        """One after the other along `axis`."""
        return cat(tensors, place["axis"])

    def is_float_type(self, x: Any) -> bool:
        """Whether a mean can be taken."""
        return x.is_floating_point()

    def einsum(self, pattern: str, *x: Any) -> Tensor:
        """einsum, by the letters that einops found."""
        return einsum(pattern, *x)


@functools.cache
def register() -> None:
    """Let `einops.rearrange` and the like take Narae's tensors, from now on.

    `import narae.einops` does it.

    Raises:
        ImportError: when einops is not installed.
    """
    _einops()
    parent = require("einops._backends", "einops", _PURPOSE).AbstractBackend
    register.backend = type("NaraeBackend", (_Backend, parent), {})  # type: ignore[attr-defined]


class Rearrange(Module):
    """`einops.rearrange` as a layer, with einops' own arguments.

    Args:
        pattern: such as "b c h w -> b (c h w)".
        axes_lengths: sizes that the pattern leaves open.

    Shape:
        as the pattern says.

    >>> import narae
    >>> import narae.einops
    >>> layer = narae.einops.Rearrange("b c h w -> b (c h w)")
    >>> layer(narae.zeros(2, 3, 4, 4)).shape
    narae.Size([2, 48])
    """

    def __init__(self, pattern: str, **axes_lengths: int) -> None:
        super().__init__()
        register()
        self.pattern, self.axes_lengths = pattern, axes_lengths

    def forward(self, input: Tensor) -> Tensor:
        return _einops().rearrange(input, self.pattern, **self.axes_lengths)

    def extra_repr(self) -> str:
        return ", ".join([repr(self.pattern), *_shown(self.axes_lengths)])


class Reduce(Module):
    """`einops.reduce` as a layer, with einops' own arguments.

    Args:
        pattern: such as "b c (h 2) (w 2) -> b c h w".
        reduction: "min", "max", "sum", "mean", "prod", "any" or "all".
        axes_lengths: sizes that the pattern leaves open.

    Shape:
        as the pattern says.

    >>> import narae
    >>> import narae.einops
    >>> pool = narae.einops.Reduce("b c (h 2) (w 2) -> b c h w", "max")
    >>> pool(narae.zeros(2, 3, 4, 4)).shape
    narae.Size([2, 3, 2, 2])
    """

    def __init__(self, pattern: str, reduction: str, **axes_lengths: int) -> None:
        super().__init__()
        register()
        self.pattern, self.reduction, self.axes_lengths = pattern, reduction, axes_lengths

    def forward(self, input: Tensor) -> Tensor:
        return _einops().reduce(input, self.pattern, self.reduction, **self.axes_lengths)

    def extra_repr(self) -> str:
        words = [repr(self.pattern), repr(self.reduction)]
        return ", ".join([*words, *_shown(self.axes_lengths)])


def _shown(lengths: dict[str, int]) -> list[str]:
    return [f"{name}={length}" for name, length in lengths.items()]
