"""`weights=`: what a model is given to begin with, from a file, a state dict or a repository."""

from typing import Any

import narae.nn as nn
from narae.io.weights import read_weights
from narae.nn.weights import LoadedWeights, Mismatch, load_state

__all__ = ["LoadedWeights", "Mismatch", "load_weights"]


def load_weights(
    model: nn.Module, weights: Any, ignore_mismatched: bool = False, strict: bool = True
) -> LoadedWeights:
    """Give a model its weights; all of them, or none if something does not fit.

    Args:
        model: what to load into.
        weights: a path of what `narae.load` reads (a file, or a folder with `model.safetensors` or
            its index), a state dict, or a Hugging Face repository "owner/name".
        ignore_mismatched: leave out tensors of other shapes, such as those of a head for other
            classes; they keep the numbers that they have, and a warning says so.
        strict: both sides must have the same names.

    Raises:
        DataError: naming every tensor that does not fit, and names that look alike.
        FileFormatError: if the file is damaged, or holds no state dict.
        MissingDataError: if there is no such file or repository.
        MissingExtraError: if a repository is named, and huggingface-hub is not installed.

    >>> import narae
    >>> model, other = narae.nn.Linear(2, 3), narae.nn.Linear(2, 3)
    >>> print(load_weights(model, {"state_dict": {"module.weight": other.weight.detach(),
    ...                                           "module.bias": other.bias.detach()}}))
    the state dict: 2 tensors loaded
    >>> bool((model.weight == other.weight).all())
    True
    """
    read = read_weights(weights)
    return load_state(model, read.state, read.source, ignore_mismatched, strict)
