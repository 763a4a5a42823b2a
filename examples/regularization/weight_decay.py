"""Penalties on large weights: weight decay (L2) and L1.

Run `python examples/regularization/weight_decay.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from functools import partial

import harness
import numpy as np
from harness import Variant

from narae.train.callbacks import Penalty


def penalty(l1: float = 0.0, l2: float = 0.0) -> Variant:
    """The network with a penalty."""
    name = f"L1 of {l1:g}" if l1 else f"weight decay of {l2:g}"
    return Variant(name, callbacks=lambda model: [Penalty(l1, l2)])


VARIANTS = (
    Variant("as it is"),
    *(penalty(l2=factor) for factor in (1e-3, 1e-2, 3e-2, 1e-1)),
    *(penalty(l1=factor) for factor in (1e-4, 1e-3)),
)


def sizes(trainer, out, labels) -> dict[str, float]:
    """The root of the mean square of all weights, and the share that is nearly nothing."""
    weights = np.concatenate(
        [np.asarray(w.detach()).ravel() for w in trainer.judged.parameters() if w.ndim > 1]
    )
    return {
        "rms w": float(np.sqrt((weights**2).mean())),
        "|w| < 0.001": float((np.abs(weights) < 1e-3).mean()),
    }


main = partial(harness.main, "weight decay and L1", VARIANTS, more=sizes)

if __name__ == "__main__":
    main()
