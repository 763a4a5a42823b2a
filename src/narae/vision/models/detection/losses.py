"""What a recipe needs of the losses of a detector."""

from collections.abc import Mapping
from typing import Any

from narae.tensors import Tensor


def detector_losses(model: Any, batch: Any) -> dict[str, Tensor]:
    """The parts of the loss for a batch that `PadBoxes` made; for a recipe's `forward`.

    They are the same in training and in eval mode, but for what normalization and so on do.
    """
    images, boxes, labels, *_ = batch
    found: dict[str, Tensor] = model.losses(images, (boxes, labels))
    return found


def total_loss(losses: Mapping[str, Tensor]) -> Tensor:
    """The sum of all parts; for a recipe's `loss`.

    >>> import narae
    >>> total_loss({"class": narae.tensor(1.0), "box": narae.tensor(0.5)})
    tensor(1.5000)
    """
    first, *others = losses.values()
    for part in others:
        first = first + part
    return first


def parts_of(losses: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Each part as a number to show; for a recipe's `metrics`."""
    return {f"loss_{name}": part.detach() for name, part in losses.items()}
