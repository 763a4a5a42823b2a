"""What each layer is like: its weights, its gradient, and what it gives on one batch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from narae.tensors import Tensor
from narae.train.data import first_tensor

Array = npt.NDArray[Any]
_BINS = 24


@dataclass
class LayerStatistics:
    """One layer on one batch; numbers that there are not are None.

    Attributes:
        path, kind: its name in the model and its class.
        parameters: how many numbers it learns, without those of layers inside it.
        weight_mean, weight_std: of all its parameters with two or more dimensions; of all its
            parameters where there is none such.
        grad_norm: the Euclidean norm of the loss' gradient by its parameters.
        shape: of its output.
        mean, std, zeros: of its output's numbers, and the share of them that are exactly zero.
        counts, low, high: a histogram of the output, and its ends.
    """

    path: str
    kind: str
    parameters: int = 0
    weight_mean: float | None = None
    weight_std: float | None = None
    grad_norm: float | None = None
    shape: tuple[int, ...] | None = None
    mean: float | None = None
    std: float | None = None
    zeros: float | None = None
    counts: list[int] = field(default_factory=list)
    low: float = 0.0
    high: float = 0.0


def layer_statistics(model: Any, loss: Callable[[], Tensor]) -> list[LayerStatistics]:
    """Statistics of each layer that has no layers inside, or parameters of its own.

    Nothing of the model changes: gradients are those from before, or none.

    Args:
        model: the network.
        loss: runs it on a batch, once, and gives the loss.

    Example:
        >>> from narae import nn, ones
        >>> model = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
        >>> found = layer_statistics(model, lambda: model(ones(4, 2)).sum())
        >>> [(layer.path, layer.kind, layer.parameters, layer.shape) for layer in found]
        [('0', 'Linear', 9, (4, 3)), ('1', 'ReLU', 0, (4, 3))]
    """
    modules = {path: module for path, module in model.named_modules() if _is_shown(module)}
    found = {path: LayerStatistics(path, type(x).__name__) for path, x in modules.items()}
    hooks = [module.register_forward_hook(_watch(found[path])) for path, module in modules.items()]
    before = [(parameter, parameter.grad) for parameter in model.parameters()]
    try:
        for parameter, _ in before:
            parameter.grad = None
        loss().backward()
        for path, module in modules.items():
            _describe_parameters(found[path], module)
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, grad in before:
            parameter.grad = grad
    return list(found.values())


def _is_shown(module: Any) -> bool:
    own = next(iter(module.parameters(recurse=False)), None)
    return own is not None or next(module.children(), None) is None


def _watch(layer: LayerStatistics) -> Callable[[Any, Any, Any], None]:
    def after(module: Any, inputs: Any, out: Any) -> None:
        tensor = first_tensor(out)
        if tensor is not None and layer.shape is None:  # of a layer used twice, the first time
            _describe_output(layer, np.asarray(tensor.detach()))

    return after


def _describe_output(layer: LayerStatistics, out: Array) -> None:
    layer.shape = tuple(out.shape)
    values = np.asarray(out, np.float64).ravel()
    values = values[np.isfinite(values)]
    if not len(values):
        return
    layer.mean, layer.std = float(values.mean()), float(values.std())
    layer.zeros = float(np.mean(values == 0))
    layer.low, layer.high = float(values.min()), float(values.max())
    if layer.low < layer.high:
        layer.counts = np.histogram(values, _BINS)[0].tolist()


def _describe_parameters(layer: LayerStatistics, module: Any) -> None:
    own = list(module.parameters(recurse=False))
    layer.parameters = sum(parameter.numel() for parameter in own)
    weights = [x for x in own if len(x.shape) > 1] or own
    if layer.parameters:
        values = np.concatenate([_numbers(weight) for weight in weights])
        layer.weight_mean, layer.weight_std = float(values.mean()), float(values.std())
    grads = [_numbers(parameter.grad) for parameter in own if parameter.grad is not None]
    if grads:
        layer.grad_norm = float(np.sqrt(sum(float(grad @ grad) for grad in grads)))


def _numbers(x: Tensor) -> Array:
    return np.asarray(x.detach(), np.float64).ravel()
