"""Early stopping: hold some samples out, and keep the epoch that does best on them.

What is held out is not learned from, so it has to pay for itself.

Run `python examples/regularization/early_stopping.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from functools import partial

import harness
from harness import Variant

from narae.train import Callback
from narae.train.callbacks.early_stopping import EarlyStopping

HELD_OUT = 60


class Epochs(Callback):
    """Leaves the number of epochs that a run had beside its model."""

    order = 75

    def on_epoch_end(self, trainer):
        trainer.judged.epochs = trainer.epoch


def stopping(patience: int) -> Variant:
    """The network with some samples held out."""

    def callbacks(model):
        return [EarlyStopping("val_loss", patience), Epochs()]

    return Variant(f"stopped, patience {patience}", callbacks, held_out=HELD_OUT)


def to_the_end(model):
    return [Epochs()]


VARIANTS = (
    Variant("to the end, all samples", to_the_end),
    Variant(f"to the end, {HELD_OUT} held out", to_the_end, held_out=HELD_OUT),
    *(stopping(patience) for patience in (1, 5, 20)),
)


def epochs_of(model, out, labels) -> dict[str, float]:
    """How many epochs there were."""
    return {"epochs": float(model.epochs)}


main = partial(harness.main, "early stopping", VARIANTS, more=epochs_of)

if __name__ == "__main__":
    main()
