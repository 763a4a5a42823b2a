"""The learning rate among an epoch's numbers."""

from ..callback import Callback
from ..trainer import Trainer


class LearningRate(Callback):
    """Adds the learning rate of an epoch's last update, "lr"; of several groups "lr_0", "lr_1"."""

    order = 55  # before schedules move it

    def __init__(self) -> None:
        self._rates: list[float] = []

    def on_step_end(self, trainer: Trainer) -> None:
        """Note what the update went by."""
        self._rates = [group["lr"] for group in trainer.optimizer.param_groups]

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Add it to the numbers."""
        alone = len(self._rates) == 1
        for index, rate in enumerate(self._rates):
            trainer.numbers["lr" if alone else f"lr_{index}"] = float(rate)
