"""Joint transforms one after the other, or with a chance."""

from collections.abc import Callable, Sequence
from typing import Any

from narae.vision.transforms import draws

Joint = Callable[[Any, Any], tuple[Any, Any]]


class Compose:
    """Joint transforms one after the other.

    >>> import narae
    >>> from narae.vision.transforms.joint import Pad, RandomHorizontalFlip
    >>> both = Compose([Pad(1), RandomHorizontalFlip(p=1.0)])
    >>> image, target = both(narae.zeros(3, 8, 8), {"boxes": narae.tensor([[0.0, 0, 2, 2]])})
    >>> image.shape, target["boxes"]
    (narae.Size([3, 10, 10]), tensor([[7., 1., 9., 3.]]))
    """

    def __init__(self, transforms: Sequence[Joint]) -> None:
        self.transforms = list(transforms)

    def __call__(self, image: Any, target: Any = None) -> tuple[Any, Any]:
        for transform in self.transforms:
            image, target = transform(image, target)
        return image, target

    def __repr__(self) -> str:
        lines = [repr(each).replace("\n", "\n    ") for each in self.transforms]
        return "\n    ".join(["Compose(", *lines]) + "\n)"


class RandomApply(Compose):
    """All of some joint transforms, with a probability, or none of them.

    Raises:
        ConfigError: for p outside of 0 to 1.
    """

    def __init__(self, transforms: Sequence[Joint], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = draws.check_probability(p, "RandomApply")

    def __call__(self, image: Any, target: Any = None) -> tuple[Any, Any]:
        return super().__call__(image, target) if draws.share() < self.p else (image, target)
