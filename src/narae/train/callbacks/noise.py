"""Noise in the inputs and in the weights."""

from typing import Any

from narae.base.errors import ConfigError, DataError, explain
from narae.tensors import Tensor, no_grad
from narae.tensors.keyed_normal import keyed_normal_like

from ..callback import Callback
from ..checks import positive
from ..step import Step
from ..trainer import Trainer
from ..weights import weights_of


class InputNoise(Callback):
    """Adds normal noise to what the model sees while it learns.

    For small noise this is Tikhonov regularization: the mean loss grows by std² / 2 times the
    squared norm of the outputs' derivatives by the inputs (Bishop 1995, "Training with noise is
    equivalent to Tikhonov regularization").

    Args:
        std: standard deviation of the noise, in the units of the inputs.

    Raises:
        ConfigError: if std is not positive.

    >>> InputNoise(0.1).std
    0.1
    """

    order = 20

    def __init__(self, std: float) -> None:
        self.std = positive("InputNoise", "std", std)

    def on_batch(self, step: Step) -> None:
        """Add it to all floating point tensors but the last entry of the batch, the target."""
        *inputs, target = step.batch
        if not any(map(_is_real, inputs)):
            kinds = ", ".join(type(x).__name__ for x in step.batch)
            given = f"a batch is ({kinds}), of which no input is a tensor of floating point numbers"
            rule = "noise is added to numbers"
            fix = "whole numbers, such as tokens, have none: use weight noise or dropout"
            raise DataError(explain("InputNoise", given, rule, fix))
        noisy = [x + self.std * keyed_normal_like(x) if _is_real(x) else x for x in inputs]
        step.batch = (*noisy, target)


class WeightNoise(Callback):
    """Adds normal noise to the weights for the time of each forward and backward pass.

    The gradients are taken at the noisy weights; before the update the weights are what they were,
    bit for bit. Biases and normalizations keep still.

    An 1996, "The Effects of Adding Noise During Backpropagation Training on a Generalization
    Performance"; Graves 2011, "Practical Variational Inference for Neural Networks", section 5.

    Args:
        std: standard deviation of the noise, in the units of the weights.

    Raises:
        ConfigError: if std is not positive.

    >>> WeightNoise(0.01).std
    0.01
    """

    order = 20

    def __init__(self, std: float) -> None:
        self.std = positive("WeightNoise", "std", std)

    def on_fit_start(self, trainer: Trainer) -> None:
        """Refuse a second one: it would take the noise of the first for the weights.

        Raises:
            ConfigError: if there is another one.
        """
        if sum(isinstance(each, WeightNoise) for each in trainer.callbacks) > 1:
            given, fix = "there are two of them", "one of std (a² + b²)^½ is the same"
            raise ConfigError(explain("WeightNoise", given, "a training has one", fix))

    def on_batch(self, step: Step) -> None:
        """Add it, and keep the weights."""
        with no_grad():
            kept = [(w, w.clone()) for w in weights_of(step.model)]
            for w, clean in kept:
                w.add_(self.std * keyed_normal_like(clean))
        step.notes["clean weights"] = kept

    def on_backward(self, step: Step) -> None:
        """Put the weights back."""
        with no_grad():
            for w, clean in step.notes["clean weights"]:
                w.copy_(clean)


def _is_real(item: Any) -> bool:
    return isinstance(item, Tensor) and item.is_floating_point()
