"""Learning rates that fall from the last layer to the first."""

from collections.abc import Iterator
from typing import Any

from narae.base.errors import ConfigError, explain


def layer_groups(model: Any, lr: float, factor: float = 2.6) -> list[dict[str, Any]]:
    """Parameter groups for an optimizer: each layer learns `factor` times slower than the next.

        lr of layer k = lr / factor^(layers - k)

    Layers are the children of the model that have parameters, in order; a model with one such
    child is looked into. Parameters beside the children belong to the first layer.

    Howard & Ruder 2018, "Universal Language Model Fine-tuning for Text Classification", section
    3.2: discriminative fine-tuning, with 2.6 as the factor.

    Args:
        model: a module.
        lr: the learning rate of its last layer.
        factor: at least 1.

    Returns:
        Groups {"params", "lr"}, the first layer first. A schedule with a largest rate, such as
        `OneCycleLR`, takes a list: `max_lr=[group["lr"] for group in optimizer.param_groups]`.

    Raises:
        ConfigError: for a factor below 1, a rate that is not positive, or no parameters.

    >>> from narae import nn, optim
    >>> model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    >>> optimizer = optim.SGD(layer_groups(model, lr=0.1, factor=10))
    >>> [group["lr"] for group in optimizer.param_groups]
    [0.01, 0.1]
    """
    if not (factor >= 1 and lr > 0):
        given, rule = f"lr is {lr}, factor is {factor}", "lr is positive, factor at least 1"
        raise ConfigError(explain("layer_groups", given, rule))
    layers = list(_layers(model))
    if not layers:
        given = f"{type(model).__name__} has no parameters"
        raise ConfigError(explain("layer_groups", given, "there must be some to group"))
    last = len(layers) - 1
    return [{"params": x, "lr": lr / factor ** (last - i)} for i, x in enumerate(layers)]


def _layers(model: Any) -> Iterator[list[Any]]:
    """The parameters of each layer; shared ones belong to the first that has them."""
    children = [child for child in model.children() if any(True for _ in child.parameters())]
    beside = list(model.parameters(recurse=False))
    if len(children) == 1 and not beside:
        yield from _layers(children[0])
        return
    seen: set[int] = set()
    for child in children or [model]:
        found = [*beside, *child.parameters()] if not seen else list(child.parameters())
        fresh = list({id(x): x for x in found if id(x) not in seen}.values())
        seen |= {id(x) for x in fresh}
        if fresh:
            yield fresh
