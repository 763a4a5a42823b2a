"""Patches of one picture in another."""

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor, where
from narae.tensors.beta import beta
from narae.tensors.creation import arange
from narae.tensors.random import rand, randint

from ..checks import positive
from .mixup import Mixing, Mixup


class CutMix(Mixing):
    """A box of each picture comes from another one; the share is that of the pixels that stay.

    The box has the area 1 - share with share ~ Beta(alpha, alpha), and its middle is anywhere; what
    would lie outside is cut off, and the share follows.

    Yun, Han, Oh, Chun, Choe & Yoo 2019, "CutMix: Regularization Strategy to Train Strong
    Classifiers with Localizable Features", section 3.1 and algorithm A1.

    Args:
        alpha: 1 in the paper, where every share is as probable.

    Raises:
        ConfigError: if alpha is not positive.

    >>> CutMix(1).alpha
    1.0
    """

    def __init__(self, alpha: float) -> None:
        self.alpha = positive("CutMix", "alpha", alpha)

    def mix(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures with the box, (batch, ..., height, width), and the share of `x` in them."""
        if x.ndim < 3:
            given, rule = f"x is {tuple(x.shape)}", "it holds pictures (batch, ..., height, width)"
            raise ShapeError(explain("CutMix", given, rule, "mixup takes inputs of any shape"))
        height, width = x.shape[-2:]
        side = (1 - beta(self.alpha, self.alpha)).sqrt()  # of the box, in sides of the picture
        rows, columns = _span(height, side), _span(width, side)  # (height,), (width,)
        inside = rows[:, None] & columns  # (height, width)
        share = 1 - inside.to(x.dtype).mean()  # ()
        return where(inside, other, x), share


def _span(size: int, side: Tensor) -> Tensor:
    """Which of `size` places lie in a span with a random middle, (size,) of bool."""
    places, middle = arange(size), randint(size, ())
    half = (size * side / 2).floor()
    return (places >= middle - half) & (places < middle + half)


class MixupOrCutMix(Mixing):
    """One of the two for each batch, each as probable.

    Args:
        mixup, cutmix: alpha of each.

    Raises:
        ConfigError: if one of them is not positive.

    >>> MixupOrCutMix(0.2, 1.0).cutmix.alpha
    1.0
    """

    def __init__(self, mixup: float, cutmix: float) -> None:
        self.mixup, self.cutmix = Mixup(mixup), CutMix(cutmix)

    def mix(self, x: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """The mixed inputs, and the share of `x` in them."""
        lines, line_share = self.mixup.mix(x, other)
        boxes, box_share = self.cutmix.mix(x, other)
        coin = rand(()) < 0.5
        return where(coin, lines, boxes), where(coin, line_share, box_share)
