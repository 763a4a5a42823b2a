"""From settings to callbacks: each setting that is not "off" becomes one."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import ConfigError, explain

from .callback import Callback
from .callbacks.averaging import EMA, SWA
from .callbacks.clip import ClipGradients
from .callbacks.cutmix import CutMix, MixupOrCutMix
from .callbacks.early_stopping import EarlyStopping
from .callbacks.freezing import Freeze
from .callbacks.label_smoothing import LabelSmoothing
from .callbacks.mixup import Mixup
from .callbacks.noise import InputNoise, WeightNoise
from .callbacks.penalty import Penalty
from .settings import Settings

Make = Callable[[Settings, Any], Callback]

# Settings of which one must be on, and what they become, given all settings and the model.
_TABLE: dict[tuple[str, ...], Make] = {
    ("mixup", "cutmix"): lambda s, model: _mixing(s.mixup, s.cutmix),
    ("input_noise",): lambda s, model: InputNoise(s.input_noise),
    ("weight_noise",): lambda s, model: WeightNoise(s.weight_noise),
    ("smoothing",): lambda s, model: LabelSmoothing(s.smoothing),
    ("l1", "l2"): lambda s, model: Penalty(s.l1, s.l2),
    ("clip",): lambda s, model: ClipGradients(s.clip),
    ("ema",): lambda s, model: EMA(model, s.ema),
    ("swa",): lambda s, model: SWA(model, s.swa),
    ("freeze",): lambda s, model: Freeze(model, s.freeze, s.unfreeze),
    ("patience",): lambda s, model: EarlyStopping(s.monitor, s.patience),
}


def callbacks_of(settings: Settings, model: Any) -> list[Callback]:
    """What the settings ask for, for a model.

    Raises:
        ConfigError: for settings that do not go together, or a module to freeze that there is not.

    >>> import narae
    >>> [type(each).__name__ for each in callbacks_of(Settings(mixup=0.2, clip=1), None)]
    ['Mixup', 'ClipGradients']
    """
    if settings.ema and settings.swa:
        given, rule = "ema and swa are both on", "there is one mean that is judged"
        raise ConfigError(explain("settings", given, rule, "set one of them to 0"))
    if settings.unfreeze and not settings.freeze:
        given = f"unfreeze is {settings.unfreeze}, and freeze names no module"
        raise ConfigError(explain("settings", given, "what unfreezes was frozen first"))
    return [
        make(settings, model)
        for names, make in _TABLE.items()
        if any(getattr(settings, name) for name in names)
    ]


def _mixing(mixup: float, cutmix: float) -> Callback:
    if mixup and cutmix:
        return MixupOrCutMix(mixup, cutmix)
    return Mixup(mixup) if mixup else CutMix(cutmix)
