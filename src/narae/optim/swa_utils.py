"""Averaging of weights: mean models, their statistics, and the schedule, at PyTorch's address.

The models are modules, which live next door (`narae/nn/averaging.py`).

>>> import narae
>>> from narae.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
>>> model = narae.nn.Linear(2, 1)
>>> mean = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
>>> mean.update_parameters(model)
>>> narae.equal(mean.module.weight, model.weight)
True
"""

from typing import Any

from narae.base.upstairs import ask

from .lr_scheduler.swa import SWALR as SWALR

_NEXT_DOOR = (
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
)
__all__ = ["SWALR", *_NEXT_DOOR]


def __getattr__(name: str) -> Any:
    if name not in _NEXT_DOOR:
        raise AttributeError(f"module 'narae.optim.swa_utils' has no attribute {name!r}")
    value = globals()[name] = ask("optim.swa_utils", name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
