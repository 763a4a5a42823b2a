"""Mini-batches: how many samples a second a network learns from, by the size of the batch.

Courses advise powers of two "because memory moves more efficiently". Measure it: sizes that are no
powers stand beside those that are. What counts is that a batch is large enough to fill the machine.

    python examples/notes/batch_size_throughput.py --picture throughput.png
"""

import argparse
import os
import time

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # before NumPy: threads wait for one another

import narae as torch
import narae.nn as nn
import narae.nn.functional as F
import narae.optim as optim

SIZES = (1, 2, 4, 8, 12, 16, 24, 31, 32, 33, 48, 64, 96, 100, 128, 200, 255, 256, 257, 384, 512)


def is_power_of_two(number):
    return number & (number - 1) == 0


def training_step(batch_size):
    """A function that trains a new network on one batch, again and again."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.01)
    x, y = torch.rand(batch_size, 784), torch.randint(0, 10, (batch_size,))

    def step():
        cost = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        cost.backward()
        optimizer.step()

    return step


def samples_per_second(step, batch_size, seconds):
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        step()
        steps += 1
    return steps * batch_size / (time.perf_counter() - start)


def measured(seconds, rounds=5):
    """The best of several rounds, each over all sizes: a busy moment then spoils none."""
    steps = {size: training_step(size) for size in SIZES}
    found = dict.fromkeys(SIZES, 0.0)
    for _ in range(rounds):
        for size, step in steps.items():
            found[size] = max(found[size], samples_per_second(step, size, seconds / rounds))
    return found


def draw(found, path):
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4.5), layout="constrained")
    for power, colour, label in ((True, "#1f77b4", "a power of two"), (False, "#d62728", "other")):
        points = [(size, rate) for size, rate in found.items() if is_power_of_two(size) == power]
        axes.plot(*zip(*points, strict=True), "o", color=colour, label=label)
    axes.plot(*zip(*found.items(), strict=True), "-", color="#999999", linewidth=0.8, zorder=0)
    axes.set(xscale="log", yscale="log", xlabel="batch size", ylabel="samples a second")
    axes.set_title("Larger batches are faster; powers of two are not special")
    axes.grid(alpha=0.3, which="both")
    axes.legend(frameon=False)
    figure.savefig(path, dpi=110)


parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
parser.add_argument("--seconds", type=float, default=0.3, help="of training at each size")
parser.add_argument("--picture", help="a PNG to write")
options = parser.parse_args()

found = measured(options.seconds)
print("batch size  samples a second")
for size, rate in found.items():
    print(f"{size:10d}  {rate:16,.0f}{'  power of two' if is_power_of_two(size) else ''}")
for size in (32, 256):
    beside = (found[size - 1] + found[size + 1]) / 2
    print(f"{size} against its neighbours: {found[size] / beside:.2f} times as fast")
print(f"256 against 1: {found[256] / found[1]:.0f} times as fast")
if options.picture:
    draw(found, options.picture)
