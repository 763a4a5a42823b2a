"""Penalties on large weights."""

from typing import Any

from narae.base.errors import ConfigError, explain

from ..callback import Callback
from ..step import Step
from ..weights import weights_of


class Penalty(Callback):
    """Adds l1 · sum |w| + l2 / 2 · sum w² over all weights to the loss.

    The gradient of the second is l2 · w: with plain SGD the same as its `weight_decay=l2` for the
    weights. (With Adam it is not: there AdamW's decay is; Loshchilov & Hutter 2019, "Decoupled
    Weight Decay Regularization".) Biases and normalizations are left alone, and the loss that is
    shown is without the penalty.

    Krogh & Hertz 1991, "A Simple Weight Decay Can Improve Generalization"; Tibshirani 1996,
    "Regression Shrinkage and Selection via the Lasso".

    Args:
        l1, l2: factors, not negative, one of them positive.

    Raises:
        ConfigError: for others.

    >>> Penalty(l2=1e-4).l2
    0.0001
    """

    order = 31

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        if not (0 <= l1 < float("inf") and 0 <= l2 < float("inf") and l1 + l2 > 0):
            given, rule = f"l1 is {l1}, l2 is {l2}", "none is negative, and one is positive"
            raise ConfigError(explain("Penalty", given, rule))
        self.l1, self.l2 = float(l1), float(l2)

    def on_loss(self, step: Step) -> None:
        """Add it."""
        for w in weights_of(step.model):
            step.loss = step.loss + self._of(w)

    def _of(self, w: Any) -> Any:
        if not self.l1:
            return self.l2 / 2 * (w * w).sum()
        if not self.l2:
            return self.l1 * w.abs().sum()
        return self.l1 * w.abs().sum() + self.l2 / 2 * (w * w).sum()
