"""Transforms between Pillow images, tensors and dtypes; normalization and whitening."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ShapeError, explain
from narae.tensors import Tensor

from .containers import Transform
from .functional import converting


class ToTensor:
    """A picture as a float tensor (channels, height, width); 8-bit values 0-255 become 0-1.

    Args of the call: a Pillow image, or an array (height, width) or (height, width, channels).

    >>> ToTensor()(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """

    def __call__(self, pic: Any) -> Tensor:
        return converting.to_tensor(pic)

    def batch(self, pictures: npt.NDArray[Any]) -> Tensor:
        """Pictures (items, height, width[, channels]) as (items, channels, height, width)."""
        return converting.pictures_to_tensor(pictures)

    def __repr__(self) -> str:
        return "ToTensor()"


class PILToTensor:
    """A Pillow image as a tensor (channels, height, width) of its own values."""

    def __call__(self, pic: Any) -> Tensor:
        return converting.pil_to_tensor(pic)

    def __repr__(self) -> str:
        return "PILToTensor()"


class ToPILImage:
    """A tensor (channels, height, width) or array (height, width, channels) as a Pillow image.

    Args:
        mode: Pillow's name for what the channels mean; by default L, LA, RGB or RGBA.
    """

    def __init__(self, mode: str | None = None) -> None:
        self.mode = mode

    def __call__(self, pic: Any) -> Any:
        return converting.to_pil_image(pic, self.mode)

    def __repr__(self) -> str:
        return "ToPILImage()" if self.mode is None else f"ToPILImage(mode={self.mode})"


class ConvertImageDtype(Transform):
    """A tensor in another dtype, its values scaled: 255 in uint8 is 1.0 in floats."""

    def __init__(self, dtype: Any) -> None:
        super().__init__()
        self.dtype = dtype

    def forward(self, image: Tensor) -> Tensor:
        return converting.convert_image_dtype(image, self.dtype)


class Normalize(Transform):
    """Shift and scale each channel: (x - mean) / std.

    Args:
        mean, std: one number a channel.
        inplace: write the result into the picture.

    Raises:
        ConfigError: if a std is 0.

    >>> import narae
    >>> Normalize([1.0, 2.0], [2.0, 2.0])(narae.zeros(2, 1, 1)).flatten()
    tensor([-0.5000, -1.0000])
    """

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        converting.check_std(std)
        self.mean, self.std, self.inplace = mean, std, inplace

    def forward(self, tensor: Tensor) -> Tensor:
        return converting.normalize(tensor, self.mean, self.std, self.inplace)

    def batch(self, pictures: Tensor) -> Tensor:
        """Pictures (items, channels, height, width)."""
        return self.forward(pictures)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, std={self.std}"


class LinearTransformation(Transform):
    """The flattened picture minus a mean, times a matrix; whitening is one of these.

    Args:
        transformation_matrix: (numbers, numbers), for channels · height · width numbers.
        mean_vector: (numbers,)

    Raises:
        ShapeError: if the sizes do not fit.
    """

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns or len(mean_vector) != rows:
            given = f"the matrix is {(rows, columns)}, the mean {tuple(mean_vector.shape)}"
            rule = "transformation_matrix should be square, mean_vector should have the same length"
            raise ShapeError(explain("LinearTransformation", given, rule))
        if transformation_matrix.dtype != mean_vector.dtype:
            given = f"they are {transformation_matrix.dtype} and {mean_vector.dtype}"
            rule = "Input tensors should have the same dtype"
            raise ShapeError(explain("LinearTransformation", given, rule))
        self.transformation_matrix, self.mean_vector = transformation_matrix, mean_vector

    def forward(self, tensor: Tensor) -> Tensor:
        numbers = len(self.mean_vector)
        shape = tensor.shape
        if int(np.prod(shape[-3:])) != numbers:
            given = f"the picture is {tuple(shape)}, the matrix takes {numbers} numbers"
            rule = "Input tensor and transformation matrix have incompatible shape"
            raise ShapeError(explain("LinearTransformation", given, rule))
        flat = tensor.reshape(-1, numbers) - self.mean_vector  # (items, numbers)
        return (flat @ self.transformation_matrix.to(flat.dtype)).reshape(*shape)

    def extra_repr(self) -> str:
        matrix, mean = self.transformation_matrix.tolist(), self.mean_vector.tolist()
        return f"transformation_matrix={matrix}, mean_vector={mean}"
