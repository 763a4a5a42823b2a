"""How to train, whatever the recipe: each setting that is not "off" becomes a callback."""

from dataclasses import dataclass, fields, replace
from typing import Any

from narae.base.errors import ConfigError, explain

_SHARES = ("ema", "swa", "smoothing")  # from 0 to below 1
_AMOUNTS = ("clip", "mixup", "cutmix", "input_noise", "weight_noise", "l1", "l2")
_COUNTS = {"epochs": 1, "accumulate": 1, "validate_every": 0, "patience": 0, "unfreeze": 0}
_COUNTS |= {"save_steps": 0, "keep": 1}
_LOGS = ("jsonl", "csv", "tensorboard", "mlflow", "wandb")


@dataclass(frozen=True)
class Settings:
    """The part of a run that is the same for every recipe.

    Attributes:
        epochs: passes over the training data.
        seed: of every random number in the run.
        validate_every: epochs from validation to validation; 0: 1, or a twentieth of more than 50
            epochs.
        compile: make each step one program.
        precision: "float32", or "bfloat16" for `autocast`.
        accumulate: batches whose gradients are added up before an update.
        clip: the largest norm of all gradients together; 0: no limit.
        monitor: the number that tells which epoch is best, such as "val_loss"; empty: accuracy on
            the test data, or the loss where there is none.
        patience: epochs without a better one after which to stop; 0: never.
        ema: how much of the running mean of the parameters stays at each update (such as 0.999);
            validation and the best checkpoint are then of the mean. 0: no mean.
        swa: the share of the epochs after which the mean of each epoch's parameters is taken;
            0: never.
        mixup, cutmix: alpha of the Beta distribution that mixes samples; 0: do not mix.
        smoothing: the share of each label that is spread over all classes.
        input_noise, weight_noise: standard deviation of noise added to inputs, or to the weights
            for the time of a forward and backward pass.
        l1, l2: factors of the sum of |w| and of w² / 2 of all weights, added to the loss.
        freeze: names of modules that do not learn at first, with commas between them.
        unfreeze: the epoch (1 is the first) from which on they do; 0: never.
        save_steps: updates from checkpoint to checkpoint within an epoch; 0: none.
        keep: how many of the newest checkpoints stay.
        log: where numbers go beside metrics.jsonl, names with commas: csv, tensorboard, mlflow,
            wandb.
    """

    epochs: int = 10
    seed: int = 0
    validate_every: int = 0
    compile: bool = True
    precision: str = "float32"
    accumulate: int = 1
    clip: float = 0.0
    monitor: str = ""
    patience: int = 0
    ema: float = 0.0
    swa: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0
    smoothing: float = 0.0
    input_noise: float = 0.0
    weight_noise: float = 0.0
    l1: float = 0.0
    l2: float = 0.0
    freeze: str = ""
    unfreeze: int = 0
    save_steps: int = 0
    keep: int = 2
    log: str = "jsonl"

    def __post_init__(self) -> None:
        for name, least in _COUNTS.items():
            _check(name, getattr(self, name), getattr(self, name) >= least, f"is at least {least}")
        for name in _SHARES:
            _check(name, getattr(self, name), 0 <= getattr(self, name) < 1, "lies in [0, 1)")
        for name in _AMOUNTS:
            amount = getattr(self, name)
            _check(name, amount, 0 <= amount < float("inf"), "is 0 or a positive number")
        known = ("float32", "bfloat16")
        log_names(self.log)
        _check("precision", self.precision, self.precision in known, "is float32 or bfloat16")

    def changed(self, **values: Any) -> "Settings":
        """The same settings with other values where one is given (not None)."""
        return replace(self, **{name: x for name, x in values.items() if x is not None})

    @property
    def epochs_per_validation(self) -> int:
        """`validate_every`, or what 0 stands for."""
        return self.validate_every or (1 if self.epochs <= 50 else self.epochs // 20)


SETTING_NAMES = tuple(field.name for field in fields(Settings))


def log_names(log: str) -> list[str]:
    """The names in the setting `log`.

    Raises:
        ConfigError: for one that there is not.

    >>> log_names("jsonl, csv")
    ['jsonl', 'csv']
    """
    names = [name.strip() for name in log.split(",") if name.strip()]
    for name in names:
        _check("log", log, name in _LOGS, f"holds names among {', '.join(_LOGS)}")
    return names


def _check(name: str, value: Any, holds: bool, rule: str) -> None:
    if not holds:
        raise ConfigError(explain("settings", f"{name} is {value}", f"it {rule}"))
