"""Receptive fields: how much of a picture one pixel of a feature map sees.

For a chain of layers, from the kernel sizes k, strides s and dilations d of the layers in order:

    jump_l  = s_l * jump_(l-1)
    field_l = field_(l-1) + (k_l - 1) * d_l * jump_(l-1)

For any model, by gradients: with all weights above zero, averages in place of maxima, and no
nonlinearity that cuts anything off, the gradient of one pixel is above zero just where it looks.

Source: Araujo, Norris and Sim, Computing receptive fields of convolutional neural networks (2019),
equation 2.
"""

import copy
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

import narae.nn as nn
from narae.base.errors import NotSupportedError, ShapeError, explain
from narae.tensors import enable_grad, no_grad, ones
from narae.tensors.backward import grad

from .watching import in_evaluation, last_of, watched

_DIM = 1e-12  # pixels so dark that no ReLU6 cuts them off
_SLIDING = (nn.Conv2d, nn.MaxPool2d, nn.AvgPool2d)
_POINTWISE = (
    *(nn.ReLU, nn.ReLU6, nn.Tanh, nn.Sigmoid, nn.GELU, nn.SiLU, nn.LeakyReLU, nn.ELU),
    *(nn.BatchNorm2d, nn.Dropout, nn.Dropout2d, nn.Identity, nn.LocalResponseNorm),
)


@dataclass(frozen=True)
class FieldRow:
    """What one pixel sees after a layer of a chain.

    Attributes:
        path: of the layer.
        field: (height, width) of what it sees of the picture.
        jump: pixels of the picture from one pixel to the next, (down, across).
    """

    path: str
    field: tuple[int, int]
    jump: tuple[int, int]


def chain_fields(model: nn.Module) -> list[FieldRow]:
    """Receptive fields after each convolution and pooling of a chain, by arithmetic.

    Args:
        model: a `Sequential` of convolutions, poolings, and what works on each pixel by itself;
            others in it are gone through.

    Raises:
        NotSupportedError: for a layer of another kind, which may branch or see everything.

    >>> small = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3))
    >>> [row.field for row in chain_fields(small)]  # two of 3 x 3 see as much as one of 5 x 5
    [(3, 3), (5, 5)]
    """
    rows: list[FieldRow] = []
    field, jump = (1, 1), (1, 1)
    for path, layer in _chain(model, ""):
        size, stride, dilation = (_pair(getattr(layer, name, 1)) for name in _GEOMETRY)
        before, old = field, jump
        field = (_wider(before, size, dilation, old, 0), _wider(before, size, dilation, old, 1))
        jump = (old[0] * stride[0], old[1] * stride[1])
        rows.append(FieldRow(path, field, jump))
    return rows


_GEOMETRY = ("kernel_size", "stride", "dilation")


def _wider(field: Any, size: Any, dilation: Any, jump: Any, dim: int) -> int:
    return field[dim] + (size[dim] - 1) * dilation[dim] * jump[dim]


def _pair(value: Any) -> tuple[int, int]:
    return (value, value) if isinstance(value, int) else (value[0], value[1])


def _chain(module: nn.Module, path: str) -> Iterable[tuple[str, nn.Module]]:
    if isinstance(module, _SLIDING):
        yield path, module
    elif isinstance(module, nn.Sequential):
        for name, child in module.named_children():
            yield from _chain(child, f"{path}.{name}" if path else name)
    elif not isinstance(module, _POINTWISE):
        given = f"{path or 'the model'} is {type(module).__name__}"
        rule = "a chain is convolutions, poolings, and layers that work on each pixel by itself"
        fix = "receptive_field(model, image_size) looks at any model"
        raise NotSupportedError(explain("chain_fields", given, rule, fix))


# --- any model ----------------------------------------------------------------------------------


def receptive_field(
    model: nn.Module,
    shape: tuple[int, int, int],
    layer: str | None = None,
) -> tuple[int, int]:
    """How high and wide a part of the picture the middle pixel of a layer sees, by gradients.

    Args:
        model: any; a copy of it is changed and run, in float64.
        shape: of a picture, (channels, height, width). A field that would reach beyond the
            picture ends there.
        layer: the path of the layer; the last one with feature maps, by default.

    Raises:
        ConfigError: if there is no such layer.
        ShapeError: if it gives no feature maps.

    >>> from narae.vision.models import resnet20
    >>> receptive_field(resnet20(), (3, 48, 48), "layer1")
    (15, 15)
    """
    if len(shape) != 3:
        rule = "a picture is (channels, height, width)"
        raise ShapeError(explain("receptive_field", f"shape is {shape}", rule))
    positive = _positive(copy.deepcopy(model))
    x = (ones(1, *shape).double() * _DIM).requires_grad_()
    watching = watched(positive, layer, "receptive_field")
    with in_evaluation(positive), enable_grad(), watching as seen:
        positive(x)
    maps = last_of(seen, layer, "receptive_field").value
    down, across = maps.shape[-2] // 2, maps.shape[-1] // 2
    slopes: Any = grad(maps[0, :, down, across].sum(), [x])[0]
    touched = slopes.numpy()[0].sum(axis=0) > 0  # (height, width)
    rows, columns = (np.flatnonzero(touched.any(axis=dim)) for dim in (1, 0))
    return int(rows[-1] - rows[0] + 1), int(columns[-1] - columns[0] + 1)


def _positive(model: nn.Module) -> nn.Module:
    """Weights above zero, and averages for maxima: nothing hides what a pixel sees."""
    model.double()
    with no_grad():
        for name, parameter in model.named_parameters():
            fan_in = max(1, parameter.numel() // parameter.shape[0])
            nn.init.constant_(parameter, 0.0 if name.endswith("bias") else 1.0 / fan_in)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.reset_running_stats()
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.MaxPool2d):
                setattr(parent, name, _averaged(child))
    return model


def _averaged(pool: nn.MaxPool2d) -> nn.Module:
    """The same windows, with means."""
    if pool.dilation not in (1, (1, 1)):
        given, rule = f"a pooling has dilation {pool.dilation}", "windows of means have none"
        raise NotSupportedError(explain("receptive_field", given, rule))
    return nn.AvgPool2d(pool.kernel_size, pool.stride, pool.padding, pool.ceil_mode)
