"""Early stopping: hold some samples out, and keep the epoch that does best on them.

What is held out is not learned from, so it has to pay for itself.

Run `python examples/regularization/early_stopping.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from functools import partial

import harness
from harness import Variant

from narae.train.callbacks import EarlyStopping

HELD_OUT = 60


def stopping(patience: int) -> Variant:
    """The network with some samples held out."""
    name = f"stopped, patience {patience}"
    return Variant(name, lambda model: [EarlyStopping("val_loss", patience)], held_out=HELD_OUT)


VARIANTS = (
    Variant("to the end, all samples"),
    Variant(f"to the end, {HELD_OUT} held out", held_out=HELD_OUT),
    *(stopping(patience) for patience in (1, 5, 20)),
)


def epochs_of(trainer, out, labels) -> dict[str, float]:
    """How many epochs there were."""
    return {"epochs": float(trainer.epoch)}


main = partial(harness.main, "early stopping", VARIANTS, more=epochs_of)

if __name__ == "__main__":
    main()
