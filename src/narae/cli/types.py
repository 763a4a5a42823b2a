"""What the values of options must look like."""

import argparse
import math


def count(text: str) -> int:
    """A whole number from 1."""
    number = whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not at least 1")
    return number


def whole(text: str) -> int:
    """A whole number."""
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number") from None


def positive(text: str) -> float:
    """A positive, finite number."""
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not 0 < number < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return number


def shape(text: str) -> tuple[int, ...]:
    """Sizes with commas or crosses between them.

    >>> shape("1,28,28"), shape("1x28x28")
    ((1, 28, 28), (1, 28, 28))
    """
    try:
        sizes = tuple(int(size) for size in text.replace("x", ",").split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not sizes such as 1,28,28") from None
    if min(sizes) < 1:
        raise argparse.ArgumentTypeError(f"{text} has a size below 1")
    return sizes
