"""The weights of a run as a file that other programs read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, explain
from narae.io import atomic_write, save
from narae.io.saving import TORCH_ENDINGS
from narae.tensors import Tensor


def export_weights(weights: Mapping[str, Tensor], path: Path) -> str:
    """Write a state dict, each tensor under its name.

    Args:
        weights: such as `load_weights` or `Module.state_dict` gives.
        path: ends in .safetensors; in .pt, .pth, .th or .bin for `torch.load`; in .npz for NumPy.
            A file that is there is replaced.

    Returns:
        How much was written, in words.

    Raises:
        ConfigError: for another ending.
        MissingDataError: if its folder does not exist.
    """
    if path.suffix in (".safetensors", *TORCH_ENDINGS):
        # Copies: safetensors stores tensors that share memory once, under one of their names.
        save({name: tensor.detach().clone() for name, tensor in weights.items()}, path)
    elif path.suffix == ".npz":
        arrays: dict[str, Any] = {name: _array(tensor) for name, tensor in weights.items()}
        with atomic_write(path) as file:
            np.savez(file, **arrays)
    else:
        raise ConfigError(_other_ending(path))
    numbers = sum(tensor.numel() for tensor in weights.values())
    return f"{len(weights)} tensors, {numbers:,} numbers"


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    # NumPy's files know no bfloat16; float32 holds each of its numbers.
    return np.asarray(tensor.float() if tensor.dtype.name == "bfloat16" else tensor)


def _other_ending(path: Path) -> str:
    given = f"{path} ends in {path.suffix or 'nothing'}"
    rule = "weights are written as .safetensors, as .pt for PyTorch, or as .npz for NumPy"
    return explain("export", given, rule, f"{path.with_suffix('.safetensors')}")
