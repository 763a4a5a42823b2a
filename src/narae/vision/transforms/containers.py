"""Transforms made of transforms: in a row, with a chance, in random order; functions as one."""

from collections.abc import Callable, Sequence
from typing import Any

from narae.base.errors import ConfigError, DTypeError, explain
from narae.nn import Module

from . import draws


class Transform(Module):
    """A transform that is a module too, so that `nn.Sequential` takes it."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.extra_repr()})"


class Compose:
    """Transforms one after the other.

    >>> import numpy as np
    >>> from narae.vision.transforms import Normalize, ToTensor
    >>> Compose([ToTensor(), Normalize((0.5,), (0.5,))])(np.zeros((1, 2), np.uint8))
    tensor([[[-1., -1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, img: Any) -> Any:
        for transform in self.transforms:
            img = transform(img)
        return img

    def batch(self, pictures: Any) -> Any:
        """Apply each transform to many pictures at once; None if one of them cannot do that."""
        for transform in self.transforms:
            together = getattr(transform, "batch", None)
            pictures = together(pictures) if together else None
            if pictures is None:
                return None
        return pictures

    def __repr__(self) -> str:
        return f"Compose({_lines(self.transforms)}\n)"


class Lambda:
    """Any function as a transform.

    >>> Lambda(lambda picture: picture * 2)(21)
    42
    """

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            given = f"lambd is {type(lambd).__name__}"
            raise DTypeError(explain("Lambda", given, "Argument lambd should be callable"))
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return "Lambda()"


class RandomApply(Transform):
    """All of some transforms, with a probability, or none of them.

    Args:
        transforms: what to apply, in this order.
        p: the probability.

    >>> RandomApply([Lambda(lambda picture: picture + 1)], p=1.0)(1)
    2
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = draws.check_probability(p, "RandomApply")

    def forward(self, img: Any) -> Any:
        if self.p < draws.share():
            return img
        for transform in self.transforms:
            img = transform(img)
        return img

    def __repr__(self) -> str:
        return f"RandomApply(\n    p={self.p}{_lines(self.transforms)}\n)"


class RandomTransforms:
    """What chooses among transforms."""

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        if not isinstance(transforms, Sequence):
            given = f"transforms is {type(transforms).__name__}"
            rule = "Argument transforms should be a sequence"
            raise DTypeError(explain(type(self).__name__, given, rule))
        self.transforms = transforms

    def __repr__(self) -> str:
        return f"{type(self).__name__}({_lines(self.transforms)}\n)"


class RandomOrder(RandomTransforms):
    """All of some transforms, in random order (from Narae's stream, not from `random`)."""

    def __call__(self, img: Any) -> Any:
        for place in draws.order(len(self.transforms)):
            img = self.transforms[place](img)
        return img


class RandomChoice(RandomTransforms):
    """One of some transforms (chosen by Narae's stream, not by `random`).

    Args:
        transforms: what to choose from.
        p: a weight for each; by default all are equally likely.
    """

    def __init__(
        self, transforms: Sequence[Callable[[Any], Any]], p: Sequence[float] | None = None
    ) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence):
            given = f"p is {p!r}"
            raise DTypeError(explain("RandomChoice", given, "Argument p should be a sequence"))
        if p is not None and (len(p) != len(transforms) or min(p) < 0 or not sum(p)):
            given = f"p is {list(p)}, there are {len(transforms)} transforms"
            rule = "each has a weight that is not negative, and one has some"
            raise ConfigError(explain("RandomChoice", given, rule))
        self.p = p

    def __call__(self, *args: Any) -> Any:
        weights = [1.0] * len(self.transforms) if self.p is None else self.p
        return self.transforms[draws.weighted(weights)](*args)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


def _lines(transforms: Any) -> str:
    return "".join(f"\n    {transform}" for transform in transforms)
