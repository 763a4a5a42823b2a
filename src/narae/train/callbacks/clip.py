"""A limit for the gradients."""

from narae.nn.utils import clip_grad_norm_

from ..callback import Callback
from ..checks import positive
from ..step import Step


class ClipGradients(Callback):
    """Scales all gradients of an update down to a total norm of at most `max_norm`.

    The norm before is averaged and shown as "grad_norm".

    Pascanu, Mikolov & Bengio 2013, "On the difficulty of training recurrent neural networks",
    algorithm 1.

    Args:
        max_norm: the largest norm.

    Raises:
        ConfigError: if it is not positive.

    >>> ClipGradients(1).max_norm
    1.0
    """

    order = 40

    def __init__(self, max_norm: float) -> None:
        self.max_norm = positive("ClipGradients", "max_norm", max_norm)

    def on_gradients(self, step: Step) -> None:
        """Scale, and note the norm."""
        step.numbers["grad_norm"] = clip_grad_norm_(step.model.parameters(), self.max_norm)
