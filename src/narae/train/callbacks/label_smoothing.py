"""Smoothed labels."""

from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors import Tensor
from narae.tensors.activations import log_softmax

from ..callback import Callback
from ..step import Step


class LabelSmoothing(Callback):
    """Spreads a share of each label evenly over all classes, in training only.

    loss = (1 - share) · loss + share · mean over classes of -log softmax(out), which for a cross
    entropy equals `CrossEntropyLoss(label_smoothing=share)`. The loss that is shown is the plain
    one, so that training and validation stay comparable.

    Szegedy, Vanhoucke, Ioffe, Shlens & Wojna 2016, "Rethinking the Inception Architecture for
    Computer Vision", section 7.

    Args:
        share: in (0, 1).
        ignore_index: samples with this target count nothing, as in the loss.

    Raises:
        ConfigError: for another share.

    >>> LabelSmoothing(0.1).share
    0.1
    """

    order = 30

    def __init__(self, share: float, ignore_index: int = -100) -> None:
        if not 0 < share < 1:
            given, rule = f"share is {share}", "it lies between 0 and 1"
            raise ConfigError(explain("LabelSmoothing", given, rule))
        self.share, self.ignore_index = float(share), ignore_index

    def on_loss(self, step: Step) -> None:
        """Blend the two losses."""
        dim = _class_dim(step.out, step.target)
        out = step.out.float() if step.out.element_size() < 4 else step.out  # of half precision
        even = -log_softmax(out, dim=dim).mean(dim=dim)  # the shape of the target
        counts = (step.target != self.ignore_index).to(even.dtype)
        even = (even * counts).sum() / counts.sum()
        step.loss = (1 - self.share) * step.loss + self.share * even


def _class_dim(out: Any, target: Any) -> int:
    """Where the classes are in `out`: as in PyTorch after the batch, or at the end."""
    if isinstance(out, Tensor) and isinstance(target, Tensor):
        sizes, labels = tuple(out.shape), tuple(target.shape)
        if not target.is_floating_point() and len(sizes) == len(labels) + 1:
            if len(sizes) > 1 and sizes[:1] + sizes[2:] == labels:
                return 1
            if sizes[:-1] == labels:
                return -1
        given = f"out is {sizes}, the target {target.dtype} {labels}".replace("narae.", "")
    else:
        given = f"out is a {type(out).__name__}, the target a {type(target).__name__}"
    rule = "labels are whole numbers, and out has a score for each class: (batch, classes, ...)"
    fix = "a regression has no labels to smooth; leave smoothing out"
    raise DataError(explain("LabelSmoothing", given, rule, fix))
