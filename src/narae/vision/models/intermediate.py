"""Results from the middle of a model: for segmentation and detection, which need feature maps."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import narae.nn as nn
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor


class IntermediateLayerGetter(nn.ModuleDict):
    """The first layers of a model, which hand out the results of some of them.

    It holds the model's direct children up to the last one asked for, under their names, and
    calls them one after another; so it fits models whose `forward` does the same.

    Args:
        model: a model whose children follow each other.
        return_layers: for each layer whose result is wanted, the name of that result.

    Raises:
        ConfigError: if the model has no such layer.

    >>> import narae
    >>> from narae.vision.models import resnet20
    >>> backbone = IntermediateLayerGetter(resnet20(), {"layer1": "low", "layer3": "high"})
    >>> {name: tuple(x.shape) for name, x in backbone(narae.zeros(1, 3, 32, 32)).items()}
    {'low': (1, 16, 32, 32), 'high': (1, 64, 8, 8)}
    """

    def __init__(self, model: nn.Module, return_layers: Mapping[str, str]) -> None:
        names = [name for name, _ in model.named_children()]
        missing = [name for name in return_layers if name not in names]
        if missing:
            given = f"no layer {', '.join(missing)} in {type(model).__name__}"
            rule = f"its layers are {', '.join(names)}"
            raise ConfigError(explain("IntermediateLayerGetter", given, rule))
        last = max(names.index(name) for name in return_layers)
        super().__init__(OrderedDict(list(model.named_children())[: last + 1]))
        self.return_layers = {str(name): str(new) for name, new in return_layers.items()}

    def forward(self, x: Tensor) -> Any:
        out = OrderedDict()
        for name, module in self.items():
            x = module(x)
            if name in self.return_layers:
                out[self.return_layers[name]] = x
        return out
