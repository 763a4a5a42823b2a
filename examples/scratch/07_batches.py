"""Batches: many pictures in one matrix product; and labels as one-hot vectors.

Run `python examples/scratch/07_batches.py`.
"""

from __future__ import annotations

import time

import common
import numpy as np

import narae
import narae.nn as nn
import narae.nn.functional as F
from narae.data import DataLoader
from narae.vision.datasets import Digits

SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


def one_hot(labels: np.ndarray, classes: int) -> np.ndarray:
    """A row for each label, with 1 at its place and else 0.  # (items,) -> (items, classes)

    >>> one_hot(np.array([2, 0]), classes=3)
    array([[0., 0., 1.],
           [1., 0., 0.]])
    """
    rows = np.zeros((len(labels), classes))
    rows[np.arange(len(labels)), labels] = 1
    return rows


def network() -> nn.Sequential:
    """784 pixels, two hidden layers, ten classes."""
    return nn.Sequential(
        nn.Linear(784, 50), nn.Sigmoid(), nn.Linear(50, 100), nn.Sigmoid(), nn.Linear(100, 10)
    )


def predict_in_batches(model: nn.Module, images: narae.Tensor, size: int) -> narae.Tensor:
    """The scores of all images, `size` of them at a time.  # -> (items, 10)"""
    with narae.no_grad():
        parts = [model(images[start : start + size]) for start in range(0, len(images), size)]
    return narae.cat(parts)


def measure(model: nn.Module, images: narae.Tensor) -> dict[int, float]:
    """Seconds for all images, by batch size: the best of three."""
    seconds = {}
    for size in SIZES:
        times = []
        for _ in range(3):
            start = time.perf_counter()
            predict_in_batches(model, images, size)
            times.append(time.perf_counter() - start)
        seconds[size] = min(times)
    return seconds


def one_hot_batch() -> list[narae.Tensor]:
    """The first batch of a loader whose labels are one-hot vectors."""
    digits = Digits(
        transform=lambda image: narae.from_numpy(np.array(image, np.float32) / 255),
        target_transform=lambda label: narae.from_numpy(one_hot(np.array([label]), 10)[0]),
    )
    return next(iter(DataLoader(digits, batch_size=4)))


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    narae.manual_seed(0)
    model, images = network(), narae.rand(1024, 784)
    together, one_by_one = (predict_in_batches(model, images, size) for size in (1024, 1))
    common.say(
        f"""A batch (배치) is a matrix with a picture in each row: (1024, 784) times (784, 50) is
        (1024, 50), all in one product. The answers do not depend on it: one by one and all together
        differ by {(together - one_by_one).abs().max().item():.1e} at most. The time does:"""
    )
    seconds = measure(model, images)
    rows = [[size, 1e3 * seconds[size], seconds[1] / seconds[size]] for size in SIZES]
    common.table(["batch size", "ms for 1024 pictures", "times faster"], rows)
    common.say(
        """Each call of a layer costs a few microseconds whatever its size, the weights have to be
        read from memory once for each batch, and a matrix product uses a processor better than many
        products of a vector."""
    )
    batch, targets = one_hot_batch()
    common.say(
        f"""One-hot encoding (원-핫 인코딩): a loader of digits gives pictures {tuple(batch.shape)}
        and labels {tuple(targets.shape)}. The labels {targets.argmax(dim=1).tolist()} are the
        rows:"""
    )
    print("   " + str(targets.numpy().astype(int)).replace("\n", "\n   ") + "\n")
    assert (targets.long() == F.one_hot(targets.argmax(dim=1), 10)).all()
    figure, axes = common.new_figure(width=7.5, height=3.4)
    axes.loglog(SIZES, [1e3 * seconds[size] for size in SIZES], marker="o")
    axes.set_xticks(SIZES, SIZES)
    axes.xaxis.minorticks_off()
    common.plain_log(axes.yaxis)
    axes.set(xlabel="batch size", ylabel="ms", title="Time for 1,024 pictures")
    common.save(
        figure,
        chosen.out,
        "batches",
        f"""Time to classify 1,024 pictures of 784 pixels, measured on the computer that drew this:
        in batches of 1,024 it went {seconds[1] / seconds[1024]:.0f} times faster than one by
        one.""",
    )


if __name__ == "__main__":
    main()
