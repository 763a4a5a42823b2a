"""Transforms of single pictures, under torchvision's names.

A transform that also has `batch(pictures)` can be applied to many pictures at once; data sets use
that when a loader asks for a whole batch.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import DTypeError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

_BRIGHTEST = 255


class Compose:
    """Transforms one after the other.

    >>> Compose([ToTensor(), Normalize((0.5,), (0.5,))])(np.zeros((1, 2), np.uint8))
    tensor([[[-1., -1.]]])
    """

    def __init__(self, transforms: Sequence[Callable[[Any], Any]]) -> None:
        self.transforms = list(transforms)

    def __call__(self, picture: Any) -> Any:
        for transform in self.transforms:
            picture = transform(picture)
        return picture

    def batch(self, pictures: Any) -> Any:
        """Apply each transform to many pictures at once; None if one of them cannot do that."""
        for transform in self.transforms:
            together = getattr(transform, "batch", None)
            pictures = together(pictures) if together else None
            if pictures is None:
                return None
        return pictures

    def __repr__(self) -> str:
        inner = "".join(f"\n    {transform}" for transform in self.transforms)
        return f"Compose({inner}\n)"


class ToTensor:
    """A picture as a float tensor (channels, height, width); 8-bit values 0-255 become 0-1.

    Args of the call: a Pillow image, or an array (height, width) or (height, width, channels).

    >>> ToTensor()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __call__(self, picture: Any) -> Tensor:
        array = _array_of(picture)
        if array.ndim not in (2, 3):
            given = f"the picture is {array.shape}"
            rule = "a picture is (height, width) or (height, width, channels)"
            raise ShapeError(explain("ToTensor", given, rule))
        return self.batch(array[None])[0]

    def batch(self, pictures: npt.NDArray[Any]) -> Tensor:
        """Pictures (items, height, width[, channels]) as (items, channels, height, width)."""
        if pictures.ndim == 3:
            pictures = pictures[..., None]  # (items, height, width, 1)
        moved = np.ascontiguousarray(np.moveaxis(pictures, -1, 1))
        tensor = from_numpy(moved)
        return tensor.float() / _BRIGHTEST if moved.dtype == np.uint8 else tensor

    def __repr__(self) -> str:
        return "ToTensor()"


class Normalize:
    """Shift and scale each channel: (x - mean) / std.

    Args:
        mean, std: one number a channel.

    Raises:
        ShapeError: if a std is 0.

    >>> import narae
    >>> Normalize([1.0, 2.0], [2.0, 2.0])(narae.zeros(2, 1, 1)).flatten()
    tensor([-0.5000, -1.0000])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        if not np.all(np.asarray(std)):
            given = f"std is {std}"
            raise ShapeError(explain("Normalize", given, "every std must differ from 0"))
        self.mean, self.std, self.inplace = mean, std, inplace

    def __call__(self, picture: Tensor) -> Tensor:
        if not isinstance(picture, Tensor) or not picture.is_floating_point():
            kind = picture.dtype if isinstance(picture, Tensor) else type(picture).__name__
            rule = "it takes float tensors (channels, height, width)"
            fix = "put ToTensor() before it"
            raise DTypeError(explain("Normalize", f"the picture is {kind}", rule, fix))
        if picture.ndim < 3:
            given, rule = f"the picture is {tuple(picture.shape)}", "it is (..., channels, h, w)"
            raise ShapeError(explain("Normalize", given, rule))
        return self.batch(picture)

    def batch(self, pictures: Tensor) -> Tensor:
        """Pictures (items, channels, height, width)."""
        mean, std = (self._per_channel(numbers, pictures) for numbers in (self.mean, self.std))
        if self.inplace:
            return pictures.sub_(mean).div_(std)
        return (pictures - mean) / std

    def _per_channel(self, numbers: Sequence[float], like: Tensor) -> Tensor:
        array = np.asarray(numbers, dtype=like.dtype.numpy)  # (channels,)
        return from_numpy(array.reshape(-1, 1, 1))  # (channels, 1, 1)

    def __repr__(self) -> str:
        return f"Normalize(mean={self.mean}, std={self.std})"


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

    def __call__(self, picture: Any) -> Any:
        return self.lambd(picture)

    def __repr__(self) -> str:
        return "Lambda()"


def _array_of(picture: Any) -> npt.NDArray[Any]:
    if isinstance(picture, np.ndarray):
        return picture
    if hasattr(picture, "convert") and hasattr(picture, "mode"):  # a Pillow image
        array = np.array(picture)
        return array.astype(np.uint8) * _BRIGHTEST if picture.mode == "1" else array
    given = f"the picture is {type(picture).__name__}"
    raise DTypeError(explain("ToTensor", given, "pic should be PIL Image or ndarray"))
