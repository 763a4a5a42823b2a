"""The numbers of each epoch in the log, for those who read it: `narae train -v`."""

import logging

from ..callback import Callback
from ..trainer import Trainer

logger = logging.getLogger("narae.train")


class EpochLog(Callback):
    """Logs each epoch at the level "info"; a line of JSON has the numbers as its fields.

    Args:
        recipe: its name, for the line.
    """

    order = 80

    def __init__(self, recipe: str) -> None:
        self._recipe = recipe

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the line."""
        words = " ".join(f"{name}={value:.6g}" for name, value in trainer.numbers.items())
        fields = {"recipe": self._recipe, "epoch": trainer.epoch, **trainer.numbers}
        logger.info("epoch %d: %s", trainer.epoch, words, extra=fields)
