"""Batch normalization by hand: mean 0 and variance 1 for every neuron, in every mini-batch.

Run `python examples/scratch/17_batch_normalization.py`; with `--mnist` on MNIST's digits.
"""

from __future__ import annotations

import common
import numpy as np
from layers import Affine, Network, Relu, batches
from optimizers import SGD

import narae
import narae.nn as nn

SCALES = np.logspace(0, -4, 16)
DEPTH, WIDTH = 5, 50


class BatchNorm:
    """out = gamma·(x - mean) / √(var + eps) + beta, mean and variance taken over the batch.

    In training it also follows the mean and the unbiased variance with a moving average; these take
    the place of the batch's own when the network is used.

    Source: S. Ioffe, C. Szegedy, "Batch normalization", 2015, algorithm 1.
    """

    def __init__(self, features: int, momentum: float = 0.1, eps: float = 1e-5) -> None:
        self.params = {"gamma": np.ones(features), "beta": np.zeros(features)}
        self.grads = {}
        self.momentum, self.eps = momentum, eps
        self.running_mean, self.running_var = np.zeros(features), np.ones(features)

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:  # (items, features)
        if train:
            mean, var = x.mean(axis=0), x.var(axis=0)
            self.follow(mean, var * len(x) / (len(x) - 1))
        else:
            mean, var = self.running_mean, self.running_var
        self.std = np.sqrt(var + self.eps)
        self.normal = (x - mean) / self.std
        return self.params["gamma"] * self.normal + self.params["beta"]

    def follow(self, mean: np.ndarray, var: np.ndarray) -> None:
        """Move the running statistics a tenth of the way to those of the batch."""
        self.running_mean += self.momentum * (mean - self.running_mean)
        self.running_var += self.momentum * (var - self.running_var)

    def backward(self, grad_out: np.ndarray) -> np.ndarray:
        """Mean and variance depend on x too: what points along them is taken out."""
        self.grads = {"gamma": (grad_out * self.normal).sum(axis=0), "beta": grad_out.sum(axis=0)}
        grad = grad_out * self.params["gamma"]
        along_mean = grad.mean(axis=0)
        along_std = (grad * self.normal).mean(axis=0)
        return (grad - along_mean - self.normal * along_std) / self.std


def compare(steps: int = 3) -> float:
    """The largest difference from nn.BatchNorm1d: training, gradients, statistics, then eval."""
    rng = np.random.default_rng(0)
    ours, theirs, gaps = BatchNorm(4), nn.BatchNorm1d(4).double(), []

    def gap(array: np.ndarray, tensor: narae.Tensor) -> None:
        gaps.append(float(np.abs(array - tensor.detach().numpy()).max()))

    for _ in range(steps):
        x, grad_out = rng.normal(3, 2, (8, 4)), rng.normal(0, 1, (8, 4))
        x_ = narae.from_numpy(x).requires_grad_()
        theirs.zero_grad()
        expected = theirs(x_)
        expected.backward(narae.from_numpy(grad_out))
        gap(ours.forward(x), expected)
        gap(ours.backward(grad_out), x_.grad)
        gap(ours.grads["gamma"], theirs.weight.grad)
        gap(ours.grads["beta"], theirs.bias.grad)
        gap(ours.running_mean, theirs.running_mean)
        gap(ours.running_var, theirs.running_var)
    theirs.eval()
    gap(ours.forward(x, train=False), theirs(x_))
    return max(gaps)


def train(
    scale: float, normalize: bool, images: np.ndarray, labels: np.ndarray, epochs: int
) -> list[float]:
    """Five hidden layers whose weights start with standard deviation `scale`.

    Returns:
        The accuracy on the training digits after each epoch.
    """
    rng = np.random.default_rng(0)
    x = images.reshape(len(images), -1).astype(float)
    layers, fan_in = [], x.shape[1]
    for _ in range(DEPTH):
        layers.append(Affine(rng.normal(0, scale, (fan_in, WIDTH)), np.zeros(WIDTH)))
        layers += [BatchNorm(WIDTH), Relu()] if normalize else [Relu()]
        fan_in = WIDTH
    layers.append(Affine(rng.normal(0, scale, (fan_in, 10)), np.zeros(10)))
    model, optimizer, accuracies = Network(layers), SGD(lr=0.1), []
    for _ in range(epochs):
        for places in batches(rng, len(x), 100):
            model.loss(x[places], labels[places])
            model.backward()
            optimizer.step(model.params(), model.grads())
        accuracies.append(model.accuracy(x, labels))
    return accuracies


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv, **common.MNIST)
    common.say(
        f"""Batch normalization (배치 정규화) gives every neuron mean 0 and variance 1 over each
        mini-batch, then lets it learn a mean and a spread of its own. Written by hand, it differs
        from nn.BatchNorm1d in training, gradients, running statistics and evaluation by
        {compare():.1e} at most."""
    )
    images, labels, *_ = common.load_images(chosen, 1000, 100)
    epochs = 8
    figure, axes = common.new_figure(4, 4, width=10, height=6.6, sharex=True, sharey=True)
    rows = []
    for scale, place in zip(SCALES, axes.flat, strict=True):
        with np.errstate(all="ignore"):
            plain, normal = (train(scale, kind, images, labels, epochs) for kind in (False, True))
        place.plot(range(1, epochs + 1), plain, "--", color=common.GREY, label="without")
        place.plot(range(1, epochs + 1), normal, color=common.BLUE, label="with")
        place.set(title=f"std {scale:.2g}", ylim=(0, 1.04))
        rows.append([f"{scale:.2g}", f"{plain[-1]:.1%}", f"{normal[-1]:.1%}"])
    axes[0, 0].legend(loc="lower right")
    for place in axes[-1]:
        place.set_xlabel("epoch")
    common.say(
        f"""The same network of {DEPTH} hidden layers learns {len(images):,} digits from sixteen
        initial scales. Accuracy on them after {epochs} epochs:"""
    )
    common.table(["std", "without", "with batch norm"], rows)
    common.save(
        figure,
        chosen.out,
        "batch-normalization",
        """Accuracy on the training digits by epoch, for sixteen initial standard deviations. With
        batch normalization (blue) nearly every scale learns; without it (grey, dashed) only those
        near the right one do.""",
    )


if __name__ == "__main__":
    main()
