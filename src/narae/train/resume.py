"""What a run needs beside its model and optimizer to go on in the same bits."""

import random
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from narae.base.errors import ConfigError, explain
from narae.tensors.creation import from_numpy
from narae.tensors.random import get_rng_state, set_rng_state

from .callback import Callback


def random_streams() -> dict[str, Any]:
    """Where the random streams of Narae, NumPy and Python are."""
    # The global stream of NumPy is what data sets of others draw from.
    state: Any = np.random.get_state()  # noqa: NPY002
    _, keys, position, has_gauss, gauss = state
    version, words, following = random.getstate()
    return {
        "narae": get_rng_state(),
        "numpy": [from_numpy(keys.astype(np.int64)), position, has_gauss, gauss],
        "python": [version, from_numpy(np.array(words, np.int64)), following],
    }


def restore_random_streams(state: Mapping[str, Any]) -> None:
    """Take all streams back to where they were."""
    set_rng_state(state["narae"])
    keys, position, has_gauss, gauss = state["numpy"]
    words = np.asarray(keys).astype(np.uint32)
    legacy = ("MT19937", words, int(position), int(has_gauss), float(gauss))
    np.random.set_state(legacy)  # noqa: NPY002
    version, words, following = state["python"]
    random.setstate((int(version), tuple(int(word) for word in np.asarray(words)), following))


def check_callbacks(callbacks: Sequence[Callback], saved: Sequence[Sequence[Any]]) -> None:
    """Refuse the state of a run with other callbacks.

    Raises:
        ConfigError: naming both.
    """
    own, other = [type(each).__name__ for each in callbacks], [name for name, _ in saved]
    if own != other:
        given = (
            f"the checkpoint has {', '.join(other) or 'none'}; this run {', '.join(own) or 'none'}"
        )
        rule = "a run goes on with the callbacks it began with"
        raise ConfigError(explain("resume", given, rule, "use the settings of the run"))
