"""Between Pillow images, arrays and tensors, and between dtypes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.dtypes import as_numpy
from narae.base.errors import ConfigError, DTypeError, ShapeError, explain
from narae.tensors import Tensor
from narae.tensors.creation import from_numpy

from .images import is_pillow_image, max_value, pillow, refuse_kind

Array = npt.NDArray[Any]
_BRIGHTEST = 255
# Just under one step, so that 1.0 becomes the brightest integer and no other value more.
_ALMOST_ONE = 1.0 - 1e-3
_MODES_BY_CHANNELS = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}
_GREY_MODES = {"uint8": "L", "int16": "I;16", "uint16": "I;16", "int32": "I", "float32": "F"}


def to_tensor(pic: Any) -> Tensor:
    """A picture as a float tensor (channels, height, width); 8-bit values 0-255 become 0-1.

    Args:
        pic: a Pillow image, or an array (height, width) or (height, width, channels).

    >>> to_tensor(np.array([[0, 51, 255]], np.uint8))
    tensor([[[0.0000, 0.2000, 1.0000]]])
    """
    if not isinstance(pic, np.ndarray) and not is_pillow_image(pic):
        refuse_kind(pic, "ToTensor", "pic should be PIL Image or ndarray")
    array = pic if isinstance(pic, np.ndarray) else array_of_image(pic)
    if array.ndim not in (2, 3):
        rule = "pic should be 2/3 dimensional: (height, width) or (height, width, channels)"
        raise ShapeError(explain("ToTensor", f"the picture is {array.shape}", rule))
    return pictures_to_tensor(array[None])[0]


def pictures_to_tensor(pictures: Array) -> Tensor:
    """Arrays (items, height, width[, channels]) as a tensor (items, channels, height, width)."""
    tensor = from_numpy(_channels_first(pictures))
    return tensor.float() / _BRIGHTEST if tensor._value.dtype == np.uint8 else tensor


def pil_to_tensor(pic: Any) -> Tensor:
    """A Pillow image as a tensor (channels, height, width) of its own values.

    >>> from PIL import Image
    >>> pil_to_tensor(Image.new("RGB", (2, 1), "red")).flatten(1)
    tensor([[255, 255], [  0,   0], [  0,   0]], dtype=narae.uint8)
    """
    if not is_pillow_image(pic):
        refuse_kind(pic, "PILToTensor", "pic should be PIL Image")
    return from_numpy(_channels_first(np.array(pic)[None])[0])


def array_of_image(image: Any) -> Array:
    """A Pillow image's values; black and white become 0 and 255."""
    if image.mode == "I;16":
        return np.array(image).astype(np.int16)
    array = np.array(image)
    return array.astype(np.uint8) * _BRIGHTEST if image.mode == "1" else array


def _channels_first(pictures: Array) -> Array:
    if pictures.ndim == 3:
        pictures = pictures[..., None]  # (items, height, width, 1)
    return np.ascontiguousarray(np.moveaxis(pictures, -1, 1))


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (channels, height, width) or array (height, width, channels) as a Pillow image.

    Floats are multiplied by 255 and cut off.

    Args:
        pic: what to show, of 1 to 4 channels.
        mode: Pillow's name for what the channels mean; by default L, LA, RGB or RGBA.

    >>> to_pil_image(np.full((1, 2, 3), 0.5)).getpixel((0, 0))
    (127, 127, 127)
    """
    array = _channels_last(pic)
    if array.dtype.kind == "f" and mode != "F":
        array = (array * _BRIGHTEST).astype(np.uint8)
    channels = array.shape[2]
    mode = _grey_mode(array, mode) if channels == 1 else _colour_mode(array, mode)
    image = pillow().fromarray(array[..., 0] if channels == 1 else array)
    if image.mode == mode:
        return image
    # Pillow guesses a mode by the number of channels; the bytes are the same in its relatives.
    return pillow().frombytes(mode, image.size, np.ascontiguousarray(array).tobytes())


def _channels_last(pic: Any) -> Array:
    if not isinstance(pic, Tensor | np.ndarray):
        refuse_kind(pic, "ToPILImage", "pic should be Tensor or ndarray")
    array = pic.detach()._array if isinstance(pic, Tensor) else pic
    if array.ndim not in (2, 3):
        rule = "pic should be 2/3 dimensional"
        raise ShapeError(explain("ToPILImage", f"the picture is {array.shape}", rule))
    if array.ndim == 2:
        return array[..., None]
    array = np.moveaxis(array, 0, -1) if isinstance(pic, Tensor) else array
    if array.shape[-1] not in (1, 2, 3, 4):
        given = f"the picture has {array.shape[-1]} channels"
        fix = "" if isinstance(pic, Tensor) else "an array is (height, width, channels)"
        raise ShapeError(
            explain("ToPILImage", given, "pic should not have > 4 channels, nor none", fix)
        )
    return array


def _grey_mode(array: Array, mode: str | None) -> str:
    expected = _GREY_MODES.get(array.dtype.name)
    if expected is None:
        given = f"the values are {array.dtype.name}"
        raise DTypeError(explain("ToPILImage", given, f"they are one of {', '.join(_GREY_MODES)}"))
    if mode not in (None, expected):
        rule = f"{array.dtype.name} of one channel is {expected}"
        raise ConfigError(explain("ToPILImage", f"Incorrect mode ({mode}) is wanted", rule))
    return expected


def _colour_mode(array: Array, mode: str | None) -> str:
    permitted = _MODES_BY_CHANNELS[array.shape[2]]
    if mode not in (None, *permitted):
        rule = f"Only modes {', '.join(permitted)} are supported for {array.shape[2]} channels"
        raise ConfigError(explain("ToPILImage", f"mode is {mode}", rule))
    if array.dtype != np.uint8:
        given = f"Input type {array.dtype.name} is not supported"
        raise DTypeError(explain("ToPILImage", given, "coloured images are uint8"))
    return mode or permitted[0]


def convert_image_dtype(image: Tensor, dtype: Any = np.float32) -> Tensor:
    """A picture in another dtype, its values scaled: 255 in uint8 is 1.0 in floats.

    Raises:
        DTypeError: where floats have fewer digits than the integers (float32 to int32).

    >>> import narae
    >>> convert_image_dtype(narae.tensor([0, 255], dtype=narae.uint8), narae.float32)
    tensor([0., 1.])
    """
    if not isinstance(image, Tensor):
        refuse_kind(image, "ConvertImageDtype", "Input img should be Tensor Image")
    wanted, found = np.dtype(as_numpy(dtype)), image._value.dtype
    if wanted == found:
        return image
    to_float = wanted.kind not in "iu"
    if image.is_floating_point():
        return image.to(dtype) if to_float else _float_to_integer(image, wanted)
    if to_float:
        return image.to(dtype) / float(max_value(found))
    return _integer_to_integer(image, wanted)


def _float_to_integer(image: Tensor, wanted: np.dtype[Any]) -> Tensor:
    found = image._value.dtype
    if wanted.itemsize >= 4 and wanted.itemsize >= found.itemsize:
        given = f"The cast from {found.name} to {wanted.name} cannot be performed safely"
        raise DTypeError(explain("ConvertImageDtype", given, "floats have fewer digits"))
    return (image * (float(max_value(wanted)) + _ALMOST_ONE)).to(wanted)


def _integer_to_integer(image: Tensor, wanted: np.dtype[Any]) -> Tensor:
    before, after = max_value(image.dtype) + 1, max_value(wanted) + 1
    if before > after:
        return (image // (before // after)).to(wanted)
    return image.to(wanted) * (after // before)


def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """Shift and scale each channel: (x - mean) / std.

    Args:
        tensor: floats (..., channels, height, width).
        mean, std: one number a channel.
        inplace: write the result into the tensor.

    >>> import narae
    >>> normalize(narae.zeros(2, 1, 1), [1.0, 2.0], [2.0, 2.0]).flatten()
    tensor([-0.5000, -1.0000])
    """
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point():
        kind = tensor.dtype if isinstance(tensor, Tensor) else type(tensor).__name__
        rule = "Input tensor should be a float tensor (channels, height, width)"
        fix = "put ToTensor() before it"
        raise DTypeError(explain("Normalize", f"the picture is {kind}", rule, fix))
    if tensor.ndim < 3:
        given = f"the picture is {tuple(tensor.shape)}"
        raise ShapeError(explain("Normalize", given, "it is (..., channels, height, width)"))
    check_std(std)
    shift, scale = (_per_channel(numbers, tensor) for numbers in (mean, std))
    if inplace:
        return tensor.sub_(shift).div_(scale)
    return (tensor - shift) / scale


def _per_channel(numbers: Sequence[float], like: Tensor) -> Tensor:
    array = np.atleast_1d(np.asarray(numbers, dtype=like._value.dtype))  # (channels,)
    if array.ndim != 1 or len(array) not in (1, like.shape[-3]):
        given = f"the picture is {tuple(like.shape)}, there are {array.size} numbers"
        rule = f"mean and std have one number a channel: {like.shape[-3]}"
        raise ShapeError(explain("Normalize", given, rule))
    return from_numpy(array.reshape(-1, 1, 1))  # (channels, 1, 1)


def check_std(std: Any) -> None:
    """Refuse what Normalize would divide by."""
    if not np.all(np.asarray(std)):
        raise ConfigError(explain("Normalize", f"std is {std}", "every std must differ from 0"))
