"""A small convolutional network, by hand from the first pixel to the last gradient.

Convolution, ReLU, pooling, affine, ReLU, affine, softmax: layers of `layers.py` and
`convolution.py`, the Adam of `optimizers.py`, and NumPy.

Run `python examples/scratch/23_simple_convnet.py`; with `--mnist` on 3,000 digits of MNIST, with
`--full` on all 60,000.
"""

from __future__ import annotations

import time

import common
import numpy as np
from convolution import Convolution, MaxPooling, places
from layers import Affine, Flatten, Network, Relu, batches
from optimizers import Adam

HEAD = ["epoch", "seconds", "mean loss", "accuracy on new digits"]


def simple_convnet(size: int, filters: int = 24, kernel: int = 5, hidden: int = 100) -> Network:
    """Conv → ReLU → pool → affine → ReLU → affine, the softmax being in the loss.

    Args:
        size: height and width of the pictures, which have one channel.
        filters, kernel: of the convolution.
        hidden: neurons of the layer before the last.
    """
    rng = np.random.default_rng(0)

    def normal(*shape: int, fan_in: int) -> np.ndarray:
        return rng.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32)

    def zeros(count: int) -> np.ndarray:
        return np.zeros(count, np.float32)

    pooled = places(size, kernel, 1, 0) // 2
    features = filters * pooled**2
    w = normal(filters, 1, kernel, kernel, fan_in=kernel**2)
    return Network(
        [
            Convolution(w, zeros(filters)),  # (n, filters, size - kernel + 1, …)
            Relu(),
            MaxPooling(2),  # (n, filters, pooled, pooled)
            Flatten(),  # (n, features)
            Affine(normal(features, hidden, fan_in=features), zeros(hidden)),
            Relu(),
            Affine(normal(hidden, 10, fan_in=hidden), zeros(10)),
        ]
    )


def accuracy(model: Network, images: np.ndarray, labels: np.ndarray) -> float:
    """In parts, because im2col needs memory."""
    parts = range(0, len(images), 500)
    right = [
        model.accuracy(images[start : start + 500], labels[start : start + 500])
        * len(labels[start : start + 500])
        for start in parts
    ]
    return sum(right) / len(labels)


def train(
    model: Network, data: tuple[np.ndarray, ...], epochs: int, lr: float = 1e-3
) -> list[list[float]]:
    """Returns for each epoch its number, seconds, mean loss and the accuracy on new digits."""
    images, labels, test_images, test_labels = data
    rng, optimizer, rows = np.random.default_rng(1), Adam(lr), []
    for epoch in range(1, epochs + 1):
        start, losses = time.perf_counter(), []
        for chosen in batches(rng, len(images), 100):
            losses.append(model.loss(images[chosen], labels[chosen]))
            model.backward()
            optimizer.step(model.params(), model.grads())
        seconds = time.perf_counter() - start
        right = accuracy(model, test_images, test_labels)
        rows.append([epoch, round(seconds, 1), float(np.mean(losses)), right])
    return rows


def draw(model: Network, images: np.ndarray, rows: list[list[float]]) -> object:
    """The accuracy by epoch; three digits and what eight filters answer to them."""
    figure = common.new_figure(width=10.5, height=3.6)[0]
    figure.clear()
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2))
    axes = left.subplots()
    axes.plot([row[0] for row in rows], [100 * row[3] for row in rows], marker="o")
    axes.set(title="Accuracy on new digits (%)", xlabel="epoch")
    maps = model.layers[1].forward(model.layers[0].forward(images[:3]))  # (3, filters, …)
    for digit, answers, line in zip(images, maps, right.subplots(3, 9), strict=False):
        common.picture(line[0], digit[0])
        for answer, place in zip(answers, line[1:], strict=False):
            common.picture(place, answer, cmap="Oranges", vmin=0, vmax=maps.max())
    return figure


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    more = {"epochs": {"type": int, "help": "rounds over the data (10, with --full 3)"}}
    chosen = common.options(__doc__, argv, **common.MNIST, **more)
    data = common.load_images(chosen, 3000, 1000)
    size = data[0].shape[-1]
    model = simple_convnet(size, kernel=5 if size > 8 else 3)
    common.say(
        f"""A convolutional network with {sum(p.size for p in model.params()):,} parameters learns
        {len(data[0]):,} digits of {size}×{size} pixels, and is asked about {len(data[2]):,} others.
        No framework takes part."""
    )
    rows = train(model, data, chosen.epochs or (3 if chosen.full else 10))
    common.table(HEAD, [[*row[:3], f"{row[3]:.2%}"] for row in rows])
    common.save(
        draw(model, data[2], rows),
        chosen.out,
        "simple-convnet",
        f"""Left: the share of new digits that the network reads; it ends at {rows[-1][3]:.2%}.
        Right: three new digits, and the feature maps that eight of its filters make of them, after
        ReLU.""",
    )


if __name__ == "__main__":
    main()
