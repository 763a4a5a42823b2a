"""Layers by hand: each backward pass is a few lines, and equals automatic differentiation.

The layers themselves are in `layers.py`, next to this program; read them first.

Run `python examples/scratch/13_layers_by_hand.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import common
import numpy as np
from layers import Affine, Network, Relu, Sigmoid, SoftmaxWithLoss, batches, he
from optimizers import SGD

import narae
import narae.nn as nn
import narae.nn.functional as F

Array = np.ndarray


def leaf(array: Array) -> narae.Tensor:
    """A tensor that wants a gradient."""
    return narae.from_numpy(array.copy()).requires_grad_()


def largest(pairs: list[tuple[Array, narae.Tensor]]) -> float:
    """The largest difference between arrays of ours and tensors of Narae."""
    return max(float(np.abs(ours - theirs.detach().numpy()).max()) for ours, theirs in pairs)


def compare_affine(shape: tuple[int, ...], rng: np.random.Generator) -> float:
    """out = x·w + b for inputs of any number of dimensions: result and three gradients."""
    layer = Affine(rng.normal(size=(shape[-1], 3)), rng.normal(size=3))
    x, grad_out = rng.normal(size=shape), rng.normal(size=(*shape[:-1], 3))
    x_, w, b = leaf(x), leaf(layer.params["w"]), leaf(layer.params["b"])
    expected = x_ @ w + b
    expected.backward(narae.from_numpy(grad_out))
    out, grad_x = layer.forward(x), layer.backward(grad_out)
    grads = (layer.grads["w"], w.grad), (layer.grads["b"], b.grad)
    return largest([(out, expected), (grad_x, x_.grad), *grads])


def compare_activation(
    layer: Relu | Sigmoid, function: Callable, rng: np.random.Generator
) -> float:
    """ReLU or the sigmoid: result and gradient."""
    x, grad_out = 3 * rng.normal(size=(4, 5)), rng.normal(size=(4, 5))
    x_ = leaf(x)
    expected = function(x_)
    expected.backward(narae.from_numpy(grad_out))
    return largest([(layer.forward(x), expected), (layer.backward(grad_out), x_.grad)])


def compare_loss(rng: np.random.Generator) -> float:
    """Softmax and cross-entropy: the loss and its gradient, (probability - target) / n."""
    scores, labels = 5 * rng.normal(size=(6, 4)), rng.integers(0, 4, 6)
    layer, scores_ = SoftmaxWithLoss(), leaf(scores)
    expected = F.cross_entropy(scores_, narae.from_numpy(labels))
    expected.backward()
    loss = np.array(layer.forward(scores, labels))
    return largest([(loss, expected), (layer.backward(), scores_.grad)])


def comparisons() -> dict[str, float]:
    """The largest difference for each layer."""
    rng = np.random.default_rng(0)
    return {
        "Affine, x (4, 5)": compare_affine((4, 5), rng),
        "Affine, x (2, 3, 4, 5)": compare_affine((2, 3, 4, 5), rng),
        "Relu": compare_activation(Relu(), F.relu, rng),
        "Sigmoid": compare_activation(Sigmoid(), F.sigmoid, rng),
        "SoftmaxWithLoss": compare_loss(rng),
    }


# --------------------------------------------------------------------- two networks, one training
def twins(pixels: int) -> tuple[Network, nn.Sequential]:
    """The same network twice: by hand, and of Narae's modules with the same weights."""
    rng = np.random.default_rng(0)
    ours = Network([he(rng, pixels, 50), Relu(), he(rng, 50, 10)])
    theirs = nn.Sequential(nn.Linear(pixels, 50), nn.ReLU(), nn.Linear(50, 10)).double()
    with narae.no_grad():
        for parameter, array in zip(theirs.parameters(), ours.params(), strict=True):
            parameter.copy_(narae.from_numpy(array.T))  # Linear keeps (out, in)
    return ours, theirs


def train(images: Array, labels: Array, steps: int = 200) -> tuple[list, list, Network]:
    """Both see the same mini-batches; returns their losses, and ours trained."""
    x = images.reshape(len(images), -1).astype(float)
    ours, theirs = twins(x.shape[1])
    by_hand, by_narae = SGD(lr=0.5), narae.optim.SGD(theirs.parameters(), lr=0.5)
    rng, losses = np.random.default_rng(1), ([], [])
    while len(losses[0]) < steps:
        for places in batches(rng, len(x), 64)[: steps - len(losses[0])]:
            losses[0].append(ours.loss(x[places], labels[places]))
            ours.backward()
            by_hand.step(ours.params(), ours.grads())

            targets = narae.from_numpy(labels[places])
            loss = F.cross_entropy(theirs(narae.from_numpy(x[places])), targets)
            by_narae.zero_grad()
            loss.backward()
            by_narae.step()
            losses[1].append(loss.item())
    return *losses, ours


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv, **common.MNIST)
    common.say(
        """An affine layer (Affine 계층), an activation, a loss: each knows how to send a gradient
        from its result to its input. Compared with automatic differentiation in float64:"""
    )
    rows = [[name, f"{difference:.1e}"] for name, difference in comparisons().items()]
    common.table(["layer", "largest difference"], rows)
    images, labels, test_images, test_labels = common.load_images(chosen, 3000, 1000)
    ours, theirs, model = train(images, labels)
    apart = max(abs(first - second) for first, second in zip(ours, theirs, strict=True))
    test = test_images.reshape(len(test_images), -1)
    common.say(
        f"""Then two networks with the same weights learn from the same mini-batches, one by hand
        and one with loss.backward(). Over {len(ours)} steps their losses differ by {apart:.1e} at
        most. The one by hand reads {model.accuracy(test, test_labels):.1%} of {len(test):,} new
        digits."""
    )
    figure, axes = common.new_figure(width=7.5, height=3.3)
    axes.plot(theirs, lw=6, alpha=0.3, label="loss.backward()")
    axes.plot(ours, lw=1.2, color=common.ORANGE, label="backward by hand")
    axes.set(title="Two trainings", xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    common.save(
        figure,
        chosen.out,
        "layers-by-hand",
        """The loss of every step of two trainings with the same initial weights and batches. The
        thin line lies on the thick one.""",
    )


if __name__ == "__main__":
    main()
