"""Numbers for TensorBoard."""

import json
from pathlib import Path
from typing import Any

from narae.base.errors import require

from ..callback import Callback
from ..trainer import Trainer


class TensorBoard(Callback):
    """Writes the numbers of each epoch as scalars: "loss/train", "loss/val", "lr".

    What a run wrote after the checkpoint that it goes on from is hidden by `purge_step`, as
    TensorBoard has it for runs that were restarted.

    Args:
        folder: where to; `tensorboard --logdir` shows it.

    Raises:
        MissingExtraError: if tensorboardX is not installed.
    """

    order = 80

    def __init__(self, folder: Path) -> None:
        self._library = require("tensorboardX", "tensorboard", "log=tensorboard")
        self._folder = folder
        self._writer: Any = None

    def on_fit_start(self, trainer: Trainer) -> None:
        """Open a file."""
        again = trainer.epoch + 1 if self._folder.exists() else None
        # The name of a file has its second only; the suffix keeps one that is there already.
        suffix = f".from-{again:06d}" if again else ""
        self._writer = self._library.SummaryWriter(
            str(self._folder), purge_step=again, filename_suffix=suffix
        )
        if again is None:
            settings = json.dumps(trainer.about, indent=2, default=str)
            self._writer.add_text("run", f"```json\n{settings}\n```", 0)

    def on_epoch_end(self, trainer: Trainer) -> None:
        """Write the scalars."""
        for name, value in trainer.numbers.items():
            part, _, rest = name.partition("_")
            tag = f"{rest}/{part}" if part in ("train", "val") and rest else name
            self._writer.add_scalar(tag, value, trainer.epoch)
        self._writer.flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
