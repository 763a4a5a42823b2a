"""Initial values: how large should random weights be at the start?

Run `python examples/scratch/16_initial_values.py`; with `--mnist` on MNIST's digits.
"""

from __future__ import annotations

from itertools import pairwise

import common
import numpy as np
from layers import Affine, Network, Relu, Sigmoid, batches
from optimizers import SGD

DEPTH, WIDTH = 5, 100
RULES = {
    "0.01": lambda fan_in: 0.01,
    "Xavier": lambda fan_in: np.sqrt(1 / fan_in),
    "He": lambda fan_in: np.sqrt(2 / fan_in),
}
CASES = {
    "std 1, sigmoid": (lambda fan_in: 1.0, Sigmoid),
    "std 0.01, sigmoid": (RULES["0.01"], Sigmoid),
    "Xavier, sigmoid": (RULES["Xavier"], Sigmoid),
    "He, ReLU": (RULES["He"], Relu),
}


def activations(rule: object, activation: type) -> list[np.ndarray]:
    """What each of five layers of 100 gives, for 1,000 random inputs.  # 5 of (1000, 100)"""
    rng = np.random.default_rng(0)
    x, outs = rng.normal(0, 1, (1000, WIDTH)), []
    for _ in range(DEPTH):
        w = rng.normal(0, rule(WIDTH), (WIDTH, WIDTH))
        x = activation().forward(x @ w)
        outs.append(x)
    return outs


def gradient_left(rule: object, activation: type) -> float:
    """The size of the gradient at the inputs of the five layers, against that at their results."""
    rng = np.random.default_rng(0)
    layers = []
    for _ in range(DEPTH):
        w = rng.normal(0, rule(WIDTH), (WIDTH, WIDTH))
        layers += [Affine(w, np.zeros(WIDTH)), activation()]
    x = rng.normal(0, 1, (1000, WIDTH))
    for layer in layers:
        x = layer.forward(x)
    grad = last = rng.normal(0, 1, x.shape)
    for layer in reversed(layers):
        grad = layer.backward(grad)
    return float(np.abs(grad).mean() / np.abs(last).mean())


def saturated(out: np.ndarray) -> float:
    """The share of sigmoids whose slope out·(1 - out) is below a hundredth."""
    return float((out * (1 - out) < 0.01).mean())


def train(rule: object, images: np.ndarray, labels: np.ndarray, steps: int) -> list[float]:
    """Five hidden layers with ReLU; the loss of each step."""
    rng = np.random.default_rng(0)
    x = images.reshape(len(images), -1)
    sizes, layers = [x.shape[1], *[WIDTH] * DEPTH, 10], []
    for fan_in, fan_out in pairwise(sizes):
        w = rng.normal(0, rule(fan_in), (fan_in, fan_out)).astype(np.float32)
        layers += [Affine(w, np.zeros(fan_out, np.float32)), Relu()]
    model, optimizer, losses = Network(layers[:-1]), SGD(lr=0.05), []
    while len(losses) < steps:
        for places in batches(rng, len(x), 128)[: steps - len(losses)]:
            losses.append(model.loss(x[places], labels[places]))
            model.backward()
            optimizer.step(model.params(), model.grads())
    return losses


def draw_histograms(out: object) -> None:
    """Four initial values by five layers."""
    figure, axes = common.new_figure(len(CASES), DEPTH, width=10, height=6.2)
    for number in range(DEPTH):
        axes[0, number].set_title(f"Layer {number + 1}")
    for row, (name, (rule, activation)) in zip(axes, CASES.items(), strict=True):
        for place, values in zip(row, activations(rule, activation), strict=True):
            top = 1 if activation is Sigmoid else 3
            counts, *_ = place.hist(values.ravel(), 30, range=(0, top), color=common.BLUE)
            place.set(yticks=[], xlim=(0, top), xticks=[0, top / 2, top])
            if activation is Relu:
                place.set_ylim(0, 1.3 * counts[1:].max())
                share = f"{(values == 0).mean():.0%} are 0"
                place.text(0.25, 0.85, share, transform=place.transAxes, fontsize=8.5)
        row[0].set_ylabel(name)
    caption = """What the neurons of five layers answer, for four initial values. With standard
        deviation 1 most sigmoids sit near 0 and 1, where their slope is zero; with 0.01 all
        answer one half, and a hundred neurons say what one could. Xavier and He keep a spread from
        layer to layer."""
    common.save(figure, out, "activation-histograms", caption)


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv, **common.MNIST)
    common.say(
        """Weights that are all zero would make all neurons of a layer the same, so they start at
        random; but how far from zero? The activations of five layers (은닉층 활성화 분포), and what
        of a gradient arrives at the first layer:"""
    )
    rows = []
    for name, (rule, activation) in CASES.items():
        last = activations(rule, activation)[-1]
        flat = f"{saturated(last):.0%}" if activation is Sigmoid else "-"
        row = [name, float(last.mean()), float(last.std()), flat]
        rows.append([*row, f"{gradient_left(rule, activation):.1e}"])
    head = ["initial values", "mean, layer 5", "std, layer 5", "saturated", "gradient left"]
    common.table(head, rows)
    common.say(
        """With standard deviation 1 half of the sigmoids are saturated: their slope is almost
        zero, they learn next to nothing, and what is left of the gradient comes through the few
        others. With 0.01 the gradient vanishes for all. He's rule, √(2/fan_in), keeps sizes
        through layers of ReLU, which lose half of them; Xavier's, √(1/fan_in), is for functions
        that are straight near 0. In training:"""
    )
    draw_histograms(chosen.out)
    images, labels, *_ = common.load_images(chosen, 10000, 1000)
    steps = 1500 if chosen.full else 300
    curves = {name: train(rule, images, labels, steps) for name, rule in RULES.items()}
    rows = [[name, float(np.mean(values[-20:]))] for name, values in curves.items()]
    common.table(["initial values", "mean loss of the last 20 steps"], rows)
    figure, axes = common.new_figure(width=7.5, height=3.4)
    colours = (common.GREY, common.BLUE, common.ORANGE)
    for (name, values), colour in zip(curves.items(), colours, strict=True):
        smooth = np.convolve(values, np.ones(5) / 5, "valid")
        axes.plot(smooth, label=name if name != "0.01" else "std 0.01", color=colour, lw=1.6)
    axes.set(title="Five layers of ReLU learn digits", xlabel="step", ylabel="loss", ylim=(0, 2.5))
    axes.legend()
    caption = f"""Loss of the same network on {len(images):,} digits with three initial values. From
        0.01 it does not leave ln 10 = 2.30, which is guessing."""
    common.save(figure, chosen.out, "initial-values", caption)


if __name__ == "__main__":
    main()
