"""Batch normalization, with good initial weights and with poor ones.

Run `python examples/regularization/batch_norm.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from functools import partial

import harness
from harness import Variant

VARIANTS = (
    Variant("as it is (He's weights)"),
    Variant("batch norm", network={"norm": True}),
    Variant("batch norm, dropout of 0.1", network={"norm": True, "dropout": 0.1}),
    Variant("small weights (0.01)", network={"std": 0.01}),
    Variant("small weights, batch norm", network={"std": 0.01, "norm": True}),
)

main = partial(harness.main, "batch normalization", VARIANTS)

if __name__ == "__main__":
    main()
