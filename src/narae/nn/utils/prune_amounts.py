"""How much is pruned, and which elements or channels those are."""

import numbers
from typing import Any

from narae.base.errors import ShapeError
from narae.tensors import rand, rand_like, topk, zeros


def check_amount(amount: Any) -> None:
    """Refuse what is neither a share nor a count.

    Raises:
        TypeError: for what is no number.
        ValueError: for a share outside [0, 1], or a negative count.
    """
    if not isinstance(amount, numbers.Real):
        raise TypeError(f"Invalid type for amount: {amount}. Must be int or float.")
    whole = isinstance(amount, numbers.Integral)
    number: Any = amount
    if number < 0 or (not whole and number > 1):
        raise ValueError(
            f"amount={amount} should either be a float in the range [0, 1] or a non-negative "
            "integer"
        )


def count_of(amount: Any, size: int) -> int:
    """How many of `size`."""
    return int(amount) if isinstance(amount, numbers.Integral) else round(amount * size)


def check_count(count: int, size: int) -> None:
    """Refuse to prune more than there is.

    Raises:
        ValueError: naming both numbers.
    """
    if count > size:
        raise ValueError(
            f"amount={count} should be smaller than the number of parameters to prune={size}"
        )


def check_structured(t: Any) -> None:
    """Refuse to look for channels in a vector.

    Raises:
        ValueError: naming the shape.
    """
    if t.ndim <= 1:
        raise ShapeError(
            "Structured pruning can only be applied to multidimensional tensors. Found tensor of "
            f"shape {tuple(t.shape)} with {t.ndim} dims"
        )


def check_dim(t: Any, dim: int) -> None:
    """Refuse a dimension that is not there.

    Raises:
        IndexError: naming it.
    """
    if not -t.ndim <= dim < t.ndim:
        raise IndexError(f"Invalid index {dim} for tensor of size {tuple(t.shape)}")


def smallest_places(t: Any, count: int) -> Any:
    """Flat positions of the elements nearest to zero."""
    return topk(t.abs().reshape(-1), count, largest=False).indices


def random_places(t: Any, count: int) -> Any:
    """Flat positions drawn at random."""
    return topk(rand_like(t).reshape(-1), count).indices


def random_channels(size: int, count: int) -> Any:
    """True for each channel that stays, when `count` random ones go."""
    share = rand(size)
    return share > share.kthvalue(count).values


def norm_along(t: Any, n: Any, dim: int) -> Any:
    """The n-norm of each channel along a dimension."""
    others = [place for place in range(t.ndim) if place != dim % t.ndim]
    return t.norm(n, others)


def strongest_channels(norms: Any, count: int) -> Any:
    """True for each channel that stays, when the `count` weakest go."""
    kept = zeros(norms.shape)
    kept[topk(norms, norms.numel() - count).indices] = 1
    return kept > 0
