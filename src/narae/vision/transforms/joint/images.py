"""What changes the image and leaves boxes and masks where they are."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae.tensors.creation import from_numpy
from narae.vision import transforms
from narae.vision.transforms.functional.images import is_pillow_image


class OnImage:
    """A transform of images alone, as one of samples.

    >>> import narae
    >>> OnImage(lambda image: image + 1)(narae.zeros(1, 1, 1), {"boxes": ()})
    (tensor([[[1.]]]), {'boxes': ()})
    """

    def __init__(self, transform: Callable[[Any], Any]) -> None:
        self.transform = transform

    def __call__(self, image: Any, target: Any = None) -> tuple[Any, Any]:
        return self.transform(image), target

    def __repr__(self) -> str:
        return f"OnImage({self.transform!r})"


class ColorJitter(OnImage):
    """Brightness, contrast, saturation and hue at random, as `transforms.ColorJitter` says."""

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        super().__init__(transforms.ColorJitter(brightness, contrast, saturation, hue))


class Normalize(OnImage):
    """Each channel of the image minus a mean, divided by a standard deviation."""

    def __init__(self, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__(transforms.Normalize(mean, std))


class ToTensor:
    """The image as a float tensor (channels, height, width) in 0 to 1; a Pillow mask as classes.

    >>> import numpy as np
    >>> from PIL import Image
    >>> image, mask = ToTensor()(Image.new("RGB", (2, 1)), Image.new("L", (2, 1), 7))
    >>> image.shape, mask
    (narae.Size([3, 1, 2]), tensor([[7, 7]]))
    """

    def __call__(self, image: Any, target: Any = None) -> tuple[Any, Any]:
        if is_pillow_image(target):
            target = from_numpy(np.asarray(target).astype(np.int64))  # (height, width)
        elif isinstance(target, dict) and is_pillow_image(target.get("mask")):
            mask = from_numpy(np.asarray(target["mask"]).astype(np.int64))
            target = {**target, "mask": mask}
        return transforms.ToTensor()(image), target

    def __repr__(self) -> str:
        return "ToTensor()"
