"""Colours of drawn things, said as torchvision says them."""

from collections.abc import Sequence
from typing import Any

from narae.base.errors import ConfigError, explain, require

Colour = tuple[int, int, int]
Colours = str | tuple[int, int, int] | Sequence[str | tuple[int, int, int]] | None

# Torchvision's own palette: the i-th colour is i times this, modulo 255.
_PALETTE = (2**25 - 1, 2**15 - 1, 2**21 - 1)


def palette(count: int) -> list[Colour]:
    """As many colours as there are things; the first is black.

    >>> palette(3)
    [(0, 0, 0), (1, 127, 31), (2, 254, 62)]
    """
    return [
        (i * _PALETTE[0] % 255, i * _PALETTE[1] % 255, i * _PALETTE[2] % 255) for i in range(count)
    ]


def parse_colours(colours: Colours, count: int, what: str) -> list[Colour]:
    """One (red, green, blue) a thing, of names, codes or triples.

    Args:
        colours: None for the palette; one colour for all; or a list, a colour a thing.
        count: how many things there are.
        what: who asks, for messages.

    Raises:
        ConfigError: if there are too few colours, or one is none.

    >>> parse_colours("red", 2, "draw")
    [(255, 0, 0), (255, 0, 0)]
    """
    if colours is None:
        return palette(count)
    if isinstance(colours, list):
        if len(colours) < count:
            given = f"there are {len(colours)} colors for {count} things"
            rule = "Number of colors must be equal or larger than the number of objects"
            raise ConfigError(explain(what, given, rule))
        return [_one_colour(colour, what) for colour in colours]
    return [_one_colour(colours, what)] * count


def _one_colour(colour: Any, what: str) -> Colour:
    if isinstance(colour, str):
        try:
            red, green, blue, *_ = require("PIL.ImageColor", "data", "drawing").getrgb(colour)
        except ValueError as error:
            rule = 'a color is a name, a code such as "#FF00FF", or (red, green, blue)'
            raise ConfigError(explain(what, f"the color is {colour!r}", rule)) from error
        return red, green, blue
    if not isinstance(colour, tuple) or len(colour) != 3:
        rule = "If passed as tuple, colors should be an RGB triplet"
        raise ConfigError(explain(what, f"the color is {colour!r}", rule))
    return int(colour[0]), int(colour[1]), int(colour[2])
