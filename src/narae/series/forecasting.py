"""One step and many: told at once, or step by step from what was told before."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from narae.base.errors import ConfigError, DataError, ShapeError, explain
from narae.tensors import no_grad
from narae.tensors.creation import from_numpy

from .networks import Forecaster
from .table import Floats

_AT_ONCE = 1024


def forecast_direct(model: Forecaster, past: Floats) -> Floats:
    """All the steps that a network tells at once.

    Args:
        model: a network; it is put to `eval` for the time.
        past: (windows, time, columns).

    Returns:
        (windows, model.ahead, model.targets), float64.

    Raises:
        DataError: if a value is missing, infinite, or has no logarithm where the model takes it.
        ShapeError: if there are no windows, or they do not fit the model.
    """
    past = np.asarray(past)
    _check(model, past)
    found = []
    with _judging(model):
        for begin in range(0, len(past), _AT_ONCE):
            some = np.asarray(past[begin : begin + _AT_ONCE], np.float32)
            found.append(model(from_numpy(some)).numpy())
    return np.concatenate(found).astype(np.float64)


def forecast_recursive(model: Forecaster, past: Floats, steps: int) -> Floats:
    """As many steps as you like: what is told becomes the newest part of the past.

    The past moves on and keeps its length. Errors add up, as the network sees its own.

    Args:
        model: a network that tells every column.
        past: (windows, time, columns).
        steps: how many.

    Returns:
        (windows, steps, columns), float64.

    Raises:
        ConfigError: if the model does not tell every column, or steps are below 1.
        DataError, ShapeError: as for `forecast_direct`.
    """
    past = np.asarray(past, np.float64)
    if steps < 1 or model.targets != past.shape[-1]:
        given = f"{steps} steps, {model.targets} of {past.shape[-1]} columns are told"
        rule = "what comes next is made of every column"
        raise ConfigError(explain("forecast_recursive", given, rule, "forecast_direct"))
    known, time = past, past.shape[1]
    while known.shape[1] < time + steps:
        told = forecast_direct(model, known[:, -time:])
        known = np.concatenate([known, told], axis=1)
    return known[:, time : time + steps]


def _check(model: Forecaster, past: Floats) -> None:
    if past.ndim != 3 or not len(past):
        given = f"the past is {past.shape}"
        raise ShapeError(explain("forecast", given, "it is (windows, time, columns), some windows"))
    if not np.isfinite(past).all():
        given, fix = "a value of the past is NaN or infinite", "windows() leaves such windows out"
        raise DataError(explain("forecast", given, "every value is known", fix))
    if model.log and not (past > 0).all():
        given = f"a value of the past is {past.min()}"
        raise DataError(explain("forecast", given, "the model takes logarithms", "log=False"))


@contextmanager
def _judging(model: Forecaster) -> Iterator[None]:
    """Without dropout and gradients, and as before afterwards."""
    training = model.training
    model.eval()
    try:
        with no_grad():
            yield
    finally:
        model.train(training)
