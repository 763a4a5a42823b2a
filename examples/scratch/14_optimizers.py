"""Four ways downhill: SGD, Momentum, AdaGrad and Adam.

The update rules are in `optimizers.py`, next to this program; read them first.

Run `python examples/scratch/14_optimizers.py`.
"""

from __future__ import annotations

import common
import numpy as np
from optimizers import SGD, AdaGrad, Adam, Momentum

START = (-8.0, 1.6)


def f(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """A long valley: twenty times flatter along x than across."""
    return x**2 / 20 + y**2


def gradient(place: np.ndarray) -> np.ndarray:
    """(x / 10, 2y)."""
    return np.array([place[0] / 10, 2 * place[1]])


def optimizers() -> dict[str, SGD | Momentum | AdaGrad | Adam]:
    """New ones, each with a learning rate that suits it."""
    return {
        "SGD": SGD(0.92),
        "Momentum": Momentum(0.1, momentum=0.8),
        "AdaGrad": AdaGrad(1.5),
        "Adam": Adam(0.4),
    }


def path(optimizer: SGD | Momentum | AdaGrad | Adam, steps: int = 40) -> np.ndarray:
    """The places visited.  # (steps + 1, 2)"""
    place = np.array(START)
    places = [place.copy()]
    for _ in range(steps):
        optimizer.step([place], [gradient(place)])
        places.append(place.copy())
    return np.array(places)


def zigzag(places: np.ndarray) -> float:
    """How far a path went up and down in all, against what was needed: Σ|Δy| / |y of the start|."""
    return float(np.abs(np.diff(places[:, 1])).sum() / abs(places[0, 1]))


# -------------------------------------------------------------------------------------- two wells
def wells(x: np.ndarray) -> np.ndarray:
    """Two valleys; the left one is deeper."""
    return x**4 / 4 - x**2 / 2 + 0.15 * x


def wells_slope(x: np.ndarray) -> np.ndarray:
    """The derivative of `wells`."""
    return x**3 - x + 0.15


def end_of(start: float, optimizer: SGD | Momentum, steps: int = 400) -> float:
    """Where a descent into the wells ends."""
    x = np.array([start])
    for _ in range(steps):
        optimizer.step([x], [wells_slope(x)])
    return float(x[0])


# ----------------------------------------------------------------------------------- effective rate
def effective_rates(steps: int = 2000) -> tuple[list[float], list[float]]:
    """With noisy gradients, as mini-batches give: what AdaGrad and Adam multiply them by."""
    rng, x = np.random.default_rng(0), np.zeros(100)
    adagrad, adam = AdaGrad(0.1), Adam(0.1)
    rates = ([], [])
    for _ in range(steps):
        noisy = [rng.normal(0, 1, 100)]
        adagrad.step([x], noisy)
        adam.step([x.copy()], noisy)
        rates[0].append(float(adagrad.effective_lr()[0].mean()))
        rms = np.sqrt(adam.v[0] / (1 - adam.betas[1] ** adam.t))
        rates[1].append(float((adam.lr / (rms + adam.eps)).mean()))
    return rates


def draw_path(axes: object, name: str, places: np.ndarray) -> None:
    """The path over the contour lines of f."""
    x, y = np.meshgrid(np.linspace(-9, 4, 150), np.linspace(-2.2, 2.2, 100))
    axes.contour(x, y, f(x, y), levels=[0.05, 0.3, 1, 2, 3, 4, 5], colors=common.PALE, linewidths=1)
    axes.plot(*places.T, marker="o", ms=3, lw=1.4, color=common.BLUE)
    axes.plot(0, 0, "+", ms=12, mew=2, color=common.RED)
    axes.set(title=f"{name}: zigzag {zigzag(places):.1f}", xlim=(-9, 4), ylim=(-2.2, 2.2))
    axes.grid(False)


def draw_wells(axes: object, starts: np.ndarray) -> None:
    """The two valleys, and where each start ends."""
    x = np.linspace(-1.7, 1.6, 300)
    axes.plot(x, wells(x), color=common.INK, lw=1.2)
    for start in starts:
        left = end_of(start, SGD(0.05)) < 0
        colour = common.BLUE if left else common.ORANGE
        axes.plot(start, wells(start), "o", color=colour, ms=6)
    axes.set(title="SGD in two wells", xlabel="start", ylabel="f")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    paths = {name: path(optimizer) for name, optimizer in optimizers().items()}
    common.say(
        """In the valley x²/20 + y² the gradient points across rather than along. Stochastic
        gradient descent (확률적 경사 하강법) swings from side to side; Momentum (모멘텀) keeps its
        direction; AdaGrad makes the steps across smaller; Adam does both. After 40 steps from (-8,
        1.6):"""
    )
    rows = [
        [name, f"({places[-1, 0]:+.3f}, {places[-1, 1]:+.3f})", f"{f(*places[-1]):.1e}"]
        + [f"{zigzag(places):.2f}"]
        for name, places in paths.items()
    ]
    common.table(["optimizer", "where", "f", "zigzag"], rows)
    starts = np.linspace(-1.6, 1.5, 21)
    lost = sum(end_of(start, SGD(0.05)) > 0 for start in starts)
    common.say(
        f"""Where it starts decides where it ends: in a function with two wells, {lost} of
        {len(starts)} starts end in the shallow one at {end_of(1.5, SGD(0.05)):.3f}. With Momentum
        0.95 the start at 1.5 rolls through and ends at
        {end_of(1.5, Momentum(0.05, momentum=0.95)):.3f}."""
    )
    adagrad, adam = effective_rates()
    common.say(
        f"""AdaGrad never forgets a gradient, so its steps only shrink: with noisy gradients of size
        1 its effective learning rate falls from {adagrad[0]:.2f} to {adagrad[99]:.4f} after 100 and
        {adagrad[-1]:.4f} after 2,000 steps, as 1/√t. Adam forgets, and stays at {adam[-1]:.3f}."""
    )
    figure, axes = common.new_figure(2, 2, width=10, height=5)
    for place, (name, places) in zip(axes.flat, paths.items(), strict=True):
        draw_path(place, name, places)
    caption = """Forty steps on f = x²/20 + y² from (-8, 1.6); the red cross is the minimum. Zigzag
        is the way up and down in all, divided by the distance that was needed."""
    common.save(figure, chosen.out, "optimizer-paths", caption)
    figure, axes = common.new_figure(1, 2, width=10, height=3.3)
    draw_wells(axes[0], starts)
    axes[1].loglog(range(1, len(adagrad) + 1), adagrad, label="AdaGrad")
    axes[1].loglog(range(1, len(adam) + 1), adam, label="Adam")
    axes[1].set(title="Effective learning rate", xlabel="step", ylabel="lr / (√h + eps)")
    axes[1].legend()
    caption = """Left: starts whose descent ends in the deep well are blue, those that end in the
        shallow one orange. Right: with noisy gradients AdaGrad's steps go to zero, Adam's do
        not."""
    common.save(figure, chosen.out, "wells-and-rates", caption)


if __name__ == "__main__":
    main()
