"""Images of several sizes in one tensor."""

from collections.abc import Sequence

from narae.tensors import Tensor


class ImageList:
    """A batch of images, padded to one size, that remembers how large each of them is.

    Args:
        tensors: (batch, channels, height, width).
        image_sizes: (height, width) of each image without its padding.

    >>> import narae
    >>> images = ImageList(narae.zeros(2, 3, 64, 64), [(60, 64), (64, 32)])
    >>> len(images.image_sizes), tuple(images.to("cpu").tensors.shape)
    (2, (2, 3, 64, 64))
    """

    def __init__(self, tensors: Tensor, image_sizes: Sequence[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = list(image_sizes)

    def to(self, device: object) -> "ImageList":
        """The same list with its tensor on another device."""
        return ImageList(self.tensors.to(device), self.image_sizes)
