"""Dropout: forget random numbers after each layer while learning.

Run `python examples/regularization/dropout.py`; with `--small` in a few seconds.
"""

from __future__ import annotations

from functools import partial

import harness
from harness import Variant

VARIANTS = (
    Variant("as it is"),
    *(Variant(f"dropout of {p:g}", network={"dropout": p}) for p in (0.05, 0.1, 0.2, 0.5)),
)

main = partial(harness.main, "dropout", VARIANTS)

if __name__ == "__main__":
    main()
