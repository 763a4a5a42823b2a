"""What a detector does with images before its network sees them, and with boxes afterwards."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import narae.nn.functional as F
from narae.base.errors import DataError, DTypeError, ShapeError, explain
from narae.nn import Module
from narae.tensors import Tensor, empty, float32, stack
from narae.tensors.creation import tensor

from .image_list import ImageList

Target = dict[str, Tensor]


class GeneralizedRCNNTransform(Module):
    """Normalizes images, resizes them (and their boxes and masks), and pads them to one batch.

    Args:
        min_size: the shorter side in pixels; of several, a step of training draws one.
        max_size: the longer side at most.
        image_mean: of each channel, for pixels in 0 to 1.
        image_std: of each channel.
        size_divisible: the sides of the batch are multiples of it.
        fixed_size: (width, height) of all images, in place of the two sizes.
        _skip_resize: whether images stay as they are in training.

    >>> import narae
    >>> transform = GeneralizedRCNNTransform(40, 80, [0.5] * 3, [0.25] * 3).eval()
    >>> images, _ = transform([narae.rand(3, 20, 30)])
    >>> images.image_sizes, tuple(images.tensors.shape)
    ([(40, 60)], (1, 3, 64, 64))
    """

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
        *,
        _skip_resize: bool = False,
    ) -> None:
        super().__init__()
        self.min_size = (min_size,) if isinstance(min_size, int) else tuple(min_size)
        self.max_size = max_size
        self.image_mean, self.image_std = list(image_mean), list(image_std)
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size
        self._skip_resize = _skip_resize

    def forward(
        self, images: Any, targets: Sequence[Mapping[str, Tensor]] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        """A batch, and the targets at its scale.

        Args:
            images: (channels, height, width) each, pixels in 0 to 1.
            targets: for each image "boxes" (n, 4), perhaps "masks" (n, height, width).

        Raises:
            DataError: there are no images.
            ShapeError: an image has another shape.
            DTypeError: an image is not of floating point.
        """
        if len(images) == 0:
            raise DataError(explain("detection", "no images", "a batch has at least one image"))
        if targets is not None and len(targets) != len(images):
            given = f"{len(images)} images and {len(targets)} targets"
            raise ShapeError(explain("detection", given, "each image has its target"))
        found: list[Tensor] = []
        moved: list[Target] = []
        for number, image in enumerate(images):
            self._check(image, number)
            target = None if targets is None else dict(targets[number])
            resized, target = self.resize(self.normalize(image), target)
            found.append(resized)
            if target is not None:
                moved.append(target)
        sizes = [_size(image) for image in found]
        batch = self.batch_images(found, self.size_divisible)
        return ImageList(batch, sizes), None if targets is None else moved

    def _check(self, image: Tensor, number: int) -> None:
        if image.ndim != 3 or image.numel() == 0:
            given = f"image {number} is {tuple(image.shape)}"
            rule = "images is expected to be a list of 3d tensors of shape [C, H, W]"
            raise ShapeError(explain("detection", given, rule))
        if not image.dtype.is_floating_point:
            given = f"image {number} is {image.dtype}"
            rule = "Expected input images to be of floating type (in range [0, 1])"
            raise DTypeError(explain("detection", given, rule, "image.float() / 255"))

    def normalize(self, image: Tensor) -> Tensor:
        """An image (channels, height, width) less the mean, over the deviation."""
        mean, std = (tensor(x, dtype=image.dtype) for x in (self.image_mean, self.image_std))
        return (image - mean[:, None, None]) / std[:, None, None]

    def resize(self, image: Tensor, target: Target | None = None) -> tuple[Tensor, Target | None]:
        """An image (channels, height, width) and its target at the wanted scale."""
        if self.training and self._skip_resize:
            return image, target
        before = _size(image)
        after = self._new_size(before, self._side())
        image = F.interpolate(image[None], size=after, mode="bilinear", align_corners=False)[0]
        if target is None:
            return image, None
        target["boxes"] = resize_boxes(target["boxes"], before, after)
        if "masks" in target:
            masks = target["masks"][:, None].float()  # (n, 1, height, width)
            target["masks"] = F.interpolate(masks, size=after)[:, 0].byte()
        return image, target

    def _side(self) -> int:
        """The shorter side: in training one of several, always at the price of one number."""
        if not self.training:
            return self.min_size[-1]
        drawn = empty(1).uniform_(0.0, float(len(self.min_size))).item()
        return self.min_size[min(int(drawn), len(self.min_size) - 1)]

    def _new_size(self, size: tuple[int, int], side: int) -> tuple[int, int]:
        if self.fixed_size is not None:
            return self.fixed_size[1], self.fixed_size[0]
        factor = min(side / min(size), self.max_size / max(size))
        height, width = (max(1, math.floor(x * factor)) for x in size)
        return height, width

    def batch_images(self, images: Sequence[Tensor], size_divisible: int = 32) -> Tensor:
        """Images in the upper left corners of one batch (batch, channels, height, width)."""
        height, width = (
            math.ceil(max([image.shape[axis] for image in images]) / size_divisible)
            * size_divisible
            for axis in (1, 2)
        )
        padded = [
            F.pad(image, (0, width - image.shape[2], 0, height - image.shape[1]))
            for image in images
        ]
        return stack(padded)

    def postprocess(
        self,
        result: list[Target],
        image_shapes: Sequence[Sequence[int]],
        original_image_sizes: Sequence[Sequence[int]],
    ) -> list[Target]:
        """Boxes of predictions at the scale of the images as they were given.

        Args:
            result: for each image "boxes" (n, 4) and more.
            image_shapes: (height, width) of each image as the network saw it.
            original_image_sizes: (height, width) as it was given.
        """
        sizes = zip(result, image_shapes, original_image_sizes, strict=True)
        return [
            {**found, "boxes": resize_boxes(found["boxes"], seen, given)}
            for found, seen, given in sizes
        ]

    def extra_repr(self) -> str:
        return (
            f"Normalize(mean={self.image_mean}, std={self.image_std}), "
            f"Resize(min_size={self.min_size}, max_size={self.max_size}, mode='bilinear')"
        )


def _size(image: Tensor) -> tuple[int, int]:
    height, width = image.shape[-2:]
    return int(height), int(width)


def resize_boxes(boxes: Tensor, original_size: Sequence[int], new_size: Sequence[int]) -> Tensor:
    """Boxes of an image that changed its size.

    Args:
        boxes: (n, 4) as corners.
        original_size: (height, width) before.
        new_size: (height, width) after.

    >>> import narae
    >>> resize_boxes(narae.tensor([[1.0, 1.0, 2.0, 2.0]]), (4, 4), (8, 4))
    tensor([[1., 2., 2., 4.]])
    """
    sizes = zip(new_size, original_size, strict=True)
    by_height, by_width = (
        tensor(float(new), dtype=float32) / tensor(float(old), dtype=float32) for new, old in sizes
    )
    return boxes * stack((by_width, by_height, by_width, by_height))
