"""Overfitting, and two remedies: weight decay and dropout.

Run `python examples/scratch/18_overfitting.py`; with `--mnist` on MNIST's digits.
"""

from __future__ import annotations

import common
import numpy as np
from layers import Network, Relu, batches, he
from optimizers import SGD

ITEMS, HIDDEN, WIDTH = 300, 6, 100  # six hidden layers and the last: seven


class Dropout:
    """In training, forget each number with probability p and enlarge the others by 1 / (1 - p).

    So the mean stays as it was, and in evaluation there is nothing to do.

    Source: N. Srivastava et al., "Dropout", 2014.
    """

    def __init__(self, p: float, seed: int) -> None:
        self.params, self.grads = {}, {}
        self.p, self.rng = p, np.random.default_rng(seed)

    def forward(self, x: np.ndarray, train: bool = True) -> np.ndarray:
        self.mask = (self.rng.random(x.shape) >= self.p) / (1 - self.p) if train else 1.0
        return x * self.mask

    def backward(self, grad_out: np.ndarray) -> np.ndarray:
        return grad_out * self.mask


def network(pixels: int, dropout: float) -> Network:
    """Seven affine layers, far too many for 300 pictures."""
    rng, layers, fan_in = np.random.default_rng(0), [], pixels
    for number in range(HIDDEN):
        layers += [he(rng, fan_in, WIDTH), Relu()]
        layers += [Dropout(dropout, seed=number)] if dropout else []
        fan_in = WIDTH
    return Network([*layers, he(rng, WIDTH, 10)])


def train(
    data: tuple[np.ndarray, ...], epochs: int, weight_decay: float = 0.0, dropout: float = 0.0
) -> tuple[list[float], list[float], Network]:
    """Returns accuracy on training and on test digits after each epoch, and the network.

    Weight decay (가중치 감소) adds λ/2·‖w‖² to the loss, so λ·w to every gradient.
    """
    x, labels, test, test_labels = data
    model = network(x.shape[1], dropout)
    optimizer, rng = SGD(lr=0.03, weight_decay=weight_decay), np.random.default_rng(1)
    known, new = [], []
    for _ in range(epochs):
        for places in batches(rng, len(x), 50):
            model.loss(x[places], labels[places])
            model.backward()
            optimizer.step(model.params(), model.grads())
        known.append(model.accuracy(x, labels))
        new.append(model.accuracy(test, test_labels))
    return known, new, model


def weight_size(model: Network) -> float:
    """The root mean square of all weights."""
    return float(np.sqrt(np.mean(np.concatenate([p.ravel() ** 2 for p in model.params()]))))


REMEDIES = {
    "nothing": {},
    "weight decay 0.03": {"weight_decay": 0.03},
    "dropout 0.2": {"dropout": 0.2},
}


def load(chosen: object, wrong: float = 0.2) -> tuple[np.ndarray, ...]:
    """300 digits to learn, 1,000 others to be tested on; pixels in rows.

    A fifth of the labels to learn from are wrong, as in life.
    """
    train_x, labels, test_x, test_labels = common.load_images(chosen, ITEMS, 1000)
    rows = [images.reshape(len(images), -1) for images in (train_x, test_x)]
    rng, labels = np.random.default_rng(0), labels[:ITEMS].copy()
    places = rng.permutation(ITEMS)[: int(wrong * ITEMS)]
    labels[places] = (labels[places] + rng.integers(1, 10, len(places))) % 10
    return rows[0][:ITEMS], labels, rows[1], test_labels


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv, **common.MNIST)
    data, epochs = load(chosen), 150
    common.say(
        f"""Overfitting (오버피팅): seven layers with
        {sum(p.size for p in network(64, 0).params()):,} parameters or more learn {ITEMS} digits by
        heart, also the fifth whose labels are wrong. What counts is how they read others. Two
        remedies: weight decay (가중치 감소) makes large weights costly, dropout (드롭아웃)
        switches neurons off at random, so that none can rely on another. Over the last 20
        epochs:"""
    )
    figure, axes = common.new_figure(1, 3, width=10.5, height=3.5, sharey=True)
    rows, gaps = [], []
    for (name, remedy), place in zip(REMEDIES.items(), axes, strict=True):
        known, new, model = train(data, epochs, **remedy)
        ends = [float(np.mean(values[-20:])) for values in (known, new)]
        gap = ends[0] - ends[1]
        gaps.append(gap)
        shares = [f"{value:.1%}" for value in (*ends, gap)]
        rows.append([name, *shares, weight_size(model)])
        place.plot(known, color=common.BLUE, label="training digits")
        place.plot(new, color=common.ORANGE, label="test digits")
        place.set(title=f"{name.capitalize()}: gap {gap:.1%}", xlabel="epoch", ylim=(0, 1.03))
    closed = "closes" if max(gaps[1:]) < gaps[0] / 2 else "hardly shrinks: here they are too weak"
    axes[0].set_ylabel("accuracy")
    axes[0].legend(loc="lower right")
    common.table(["remedy", "training", "test", "gap", "size of weights"], rows)
    x = np.ones((1000, 100))
    common.say(
        f"""Dropout keeps the mean: of 100,000 ones it makes {Dropout(0.2, 0).forward(x).mean():.3f}
        on average in training. In evaluation nothing happens to them:
        {Dropout(0.2, 0).forward(x, train=False).mean():.3f}."""
    )
    common.save(
        figure,
        chosen.out,
        "overfitting",
        f"""Accuracy by epoch on {ITEMS} digits that were learned, a fifth of them with a wrong
        label (blue), and on {len(data[2]):,} others (orange). Without a remedy the wrong labels
        are learned by heart; with both remedies the gap {closed}.""",
    )


if __name__ == "__main__":
    main()
