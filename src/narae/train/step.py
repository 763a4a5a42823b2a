"""A step at work: the batch, what the model made of it, and the loss."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from narae.tensors import Tensor

Loss = Callable[[Any, Any], Tensor]
Metrics = Callable[[Any, Any], Mapping[str, Tensor]]
Forward = Callable[[Any, Any], tuple[Any, Any]]


@dataclass
class Step:
    """What the callbacks of a step see and may change.

    Attributes:
        model, loss_of: the network, and the function that judges its outputs.
        batch: a tuple of tensors (or of dicts and lists of them).
        out, target: what the model said, and what was right.
        loss: what goes backward.
        plain_loss: the loss before any callback changed it.
        numbers: more of what is to be averaged and shown, such as the norm of the gradients.
        notes: what a callback wants to remember until a later event of the same step.
    """

    model: Any
    loss_of: Loss
    batch: tuple[Any, ...]
    out: Any = None
    target: Any = None
    loss: Any = None
    plain_loss: Any = None
    numbers: dict[str, Tensor] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)


def inputs_then_target(model: Any, batch: tuple[Any, ...]) -> tuple[Any, Any]:
    """The last entry of a batch is the target, all others are the model's inputs."""
    return model(*batch[:-1]), batch[-1]


def no_metrics(out: Any, target: Any) -> Mapping[str, Tensor]:
    """Nothing but the loss."""
    return {}
