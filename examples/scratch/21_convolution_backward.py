"""The backward pass of a convolution, first with letters, then with numbers.

Run `python examples/scratch/21_convolution_backward.py`.
"""

from __future__ import annotations

from collections.abc import Callable

import common
import numpy as np

import narae
import narae.nn.functional as F

Terms = list[tuple[str, str]]  # products, to be added


# ------------------------------------------------------------------------------------ with letters
def forward_terms(inputs: int, taps: int) -> list[Terms]:
    """The products in each result: o1 = w1·x1 + w2·x2 + …

    >>> forward_terms(3, 2)
    [[('w1', 'x1'), ('w2', 'x2')], [('w1', 'x2'), ('w2', 'x3')]]
    """
    places = range(inputs - taps + 1)
    return [[(f"w{k + 1}", f"x{i + k + 1}") for k in range(taps)] for i in places]


def gradient_terms(results: list[Terms], name: str) -> Terms:
    """∂L/∂name: wherever it is multiplied by something, δ of that result comes back times it."""
    found = []
    for number, terms in enumerate(results, 1):
        for w, x in terms:
            if name in (w, x):
                found.append((f"δ{number}", x if name == w else w))
    return found


def text(terms: Terms) -> str:
    """δ1·x1 + δ2·x2 + …"""
    return " + ".join(f"{first}·{second}" for first, second in terms)


# ------------------------------------------------------------------------------------ with numbers
def correlate(x: np.ndarray, kernel: np.ndarray) -> np.ndarray:
    """The forward pass: the kernel slides over a picture.  # (H, W), (KH, KW) -> (OH, OW)"""
    rows, columns = kernel.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns))  # (OH, OW, KH, KW)
    return (windows * kernel).sum(axis=(2, 3))


def gradient_of_kernel(x: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """dK = x correlated with δ: the gradient that came back slides over the input."""
    return correlate(x, delta)


def gradient_of_input(kernel: np.ndarray, delta: np.ndarray) -> np.ndarray:
    """dX = δ with zeros around, correlated with the kernel turned by 180°: a full convolution."""
    rows, columns = kernel.shape
    around = ((rows - 1, rows - 1), (columns - 1, columns - 1))
    return correlate(np.pad(delta, around), kernel[::-1, ::-1])


def by_autograd(x: np.ndarray, kernel: np.ndarray, delta: np.ndarray) -> list[np.ndarray]:
    """The same two gradients from conv2d and backward."""
    leaves = [narae.from_numpy(array.copy()).requires_grad_() for array in (x, kernel)]
    out = F.conv2d(leaves[0][None, None], leaves[1][None, None])
    out[0, 0].backward(narae.from_numpy(delta))
    return [leaf.grad.numpy() for leaf in leaves]


def by_differences(f: Callable[[], float], x: np.ndarray, h: float = 1e-5) -> np.ndarray:
    """Central differences, one number at a time."""
    grad = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        before = x[place]
        x[place] = before + h
        above = f()
        x[place] = before - h
        grad[place] = (above - f()) / (2 * h)
        x[place] = before
    return grad


def draw(axes: np.ndarray, x: np.ndarray, kernel: np.ndarray, delta: np.ndarray) -> None:
    """What takes part in the two gradients."""
    shown = {
        "x (7×7)": x,
        "kernel turned": kernel[::-1, ::-1],
        "δ (5×5)": delta,
        "dK = x ⋆ δ": gradient_of_kernel(x, delta),
        "dX = full ⋆ turned": gradient_of_input(kernel, delta),
    }
    for place, (name, image) in zip(axes, shown.items(), strict=True):
        limit = np.abs(image).max()
        common.picture(place, image, name, cmap="RdBu_r", vmin=-limit, vmax=limit)


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    results = forward_terms(inputs=5, taps=3)
    common.say("Five inputs and a kernel of three taps give three results:")
    for number, terms in enumerate(results, 1):
        print(f"   o{number} = {text(terms)}")
    print()
    common.say(
        """Let δ1, δ2, δ3 be the gradients that come back to them. Each weight took part in all
        three results, so its gradient (커널 gradient) is a sum over them:"""
    )
    for name in ("w1", "w2", "w3"):
        print(f"   ∂L/∂{name} = {text(gradient_terms(results, name))}")
    print()
    common.say("An input took part in the results whose window lay over it:")
    for name in ("x1", "x2", "x3", "x4", "x5"):
        print(f"   ∂L/∂{name} = {text(gradient_terms(results, name))}")
    print()
    common.say(
        """Both are convolutions again: δ slides over x, and the kernel, turned round, slides over δ
        with zeros on both sides. In two dimensions, compared with central differences and with
        automatic differentiation:"""
    )
    rng = np.random.default_rng(3)
    x, kernel, delta = (rng.normal(0, 1, size) for size in ((7, 7), (3, 3), (5, 5)))
    ours = gradient_of_input(kernel, delta), gradient_of_kernel(x, delta)
    exact = by_autograd(x, kernel, delta)
    rows = []
    for name, leaf, mine, theirs in zip(("dX", "dK"), (x, kernel), ours, exact, strict=True):
        slow = by_differences(lambda: float((correlate(x, kernel) * delta).sum()), leaf)
        gaps = [f"{np.abs(mine - other).max():.1e}" for other in (slow, theirs)]
        rows.append([name, str(mine.shape), *gaps])
    common.table(["gradient", "shape", "from differences", "from autograd"], rows)
    figure, axes = common.new_figure(1, 5, width=10, height=2.7)
    draw(axes, x, kernel, delta)
    common.save(
        figure,
        chosen.out,
        "convolution-backward",
        """Red is positive, blue negative. The gradient of the kernel is x correlated with δ; that
        of the input is δ, padded with zeros, correlated with the kernel turned by 180 degrees.""",
    )


if __name__ == "__main__":
    main()
