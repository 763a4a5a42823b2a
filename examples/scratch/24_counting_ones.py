"""The smallest recurrent network: one number as memory, and it learns to count ones.

S_k = S_{k-1}·w_rec + x_k·w_x. With w_x = w_rec = 1 the last state is the number of ones. The
gradients go back through time (BPTT), from the last step to the first.

Run `python examples/scratch/24_counting_ones.py`.
"""

from __future__ import annotations

import common
import numpy as np

import narae


def sequences(count: int = 30, length: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Rows of zeros and ones, and how many ones each has.  # (count, length), (count,)"""
    x = np.random.default_rng(0).integers(0, 2, (count, length)).astype(float)
    return x, x.sum(axis=1)


def forward(x: np.ndarray, w_x: float, w_rec: float) -> np.ndarray:
    """The states, the first of them 0.  # (count, length) -> (count, length + 1)"""
    states = np.zeros((x.shape[0], x.shape[1] + 1))
    for k in range(x.shape[1]):
        states[:, k + 1] = states[:, k] * w_rec + x[:, k] * w_x
    return states


def loss_of(states: np.ndarray, target: np.ndarray) -> float:
    """The mean squared error of the last state."""
    return float(((states[:, -1] - target) ** 2).mean())


def backward(
    x: np.ndarray, states: np.ndarray, target: np.ndarray, w_rec: float
) -> tuple[float, float, np.ndarray]:
    """Backpropagation through time (시간에 따른 역전파).

    Returns:
        The gradient of w_x, that of w_rec, and the gradient that reached each state, (length + 1,),
        as the mean of its absolute value.
    """
    grad = 2 * (states[:, -1] - target) / len(x)  # of the last state
    wx_grad, w_rec_grad = 0.0, 0.0
    sizes = np.zeros(states.shape[1])
    for k in range(x.shape[1], 0, -1):
        sizes[k] = np.abs(grad).mean()
        wx_grad += float((grad * x[:, k - 1]).sum())  # the same weights at every step:
        w_rec_grad += float((grad * states[:, k - 1]).sum())  # their gradients add up
        grad = grad * w_rec  # one step back
    sizes[0] = np.abs(grad).mean()
    return wx_grad, w_rec_grad, sizes


def by_autograd(x: np.ndarray, target: np.ndarray, w_x: float, w_rec: float) -> tuple[float, float]:
    """The same two gradients by loss.backward()."""
    weights = narae.tensor([w_x, w_rec], dtype=narae.float64, requires_grad=True)
    inputs, state = narae.from_numpy(x), narae.zeros(len(x), dtype=narae.float64)
    for k in range(x.shape[1]):
        state = state * weights[1] + inputs[:, k] * weights[0]
    ((state - narae.from_numpy(target)) ** 2).mean().backward()
    return tuple(weights.grad.tolist())


def learn(
    x: np.ndarray, target: np.ndarray, w_x: float = -1.0, w_rec: float = 1.4, steps: int = 600
) -> np.ndarray:
    """Follow the sign of the gradients only, with steps that grow and shrink (Rprop).

    A gradient through ten steps contains w_rec^9: it is huge on one side of 1 and tiny on the
    other, so its size is of no use, and plain gradient descent flies off.

    Returns:
        The weights visited, (steps + 1, 2).

    Source: M. Riedmiller, H. Braun, "RPROP", 1993.
    """
    weights, step = np.array([w_x, w_rec]), np.array([0.01, 0.01])
    visited, before = [weights.copy()], np.zeros(2)
    for _ in range(steps):
        states = forward(x, *weights)
        sign = np.sign(backward(x, states, target, weights[1])[:2])
        step *= np.where(sign * before > 0, 1.2, np.where(sign * before < 0, 0.5, 1.0))
        weights = weights - sign * step
        visited.append(weights.copy())
        before = sign
    return np.array(visited)


def draw(x: np.ndarray, target: np.ndarray, path: np.ndarray) -> object:
    """The landscape of the loss with the way through it, and gradients through time."""
    figure, (left, right) = common.new_figure(1, 2, width=10, height=3.9)
    w_x, w_rec = np.linspace(-2.2, 3, 90), np.linspace(-0.2, 2.0, 90)
    height = [[loss_of(forward(x, a, b), target) for a in w_x] for b in w_rec]
    left.contourf(w_x, w_rec, np.log10(height), 14, cmap="Blues")
    left.plot(*path.T, color=common.ORANGE, marker="o", ms=2.5, lw=1)
    left.plot(1, 1, "+", ms=13, mew=2.5, color=common.RED)
    left.set(title="Loss (log) and the way down", xlabel="w_x", ylabel="w_rec")
    left.grid(False)
    for value in (0.7, 1.0, 1.4):
        *_, sizes = backward(x, forward(x, 1.0, value), target + 1.0, value)
        right.semilogy(sizes / sizes[-1], marker="o", ms=4, label=f"w_rec = {value}")
    right.set(title="Gradient that reaches each state", xlabel="step k", ylabel="against the last")
    right.legend()
    return figure


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    x, target = sequences()
    common.say(
        f"""A recurrent network reads a sequence (시퀀스) step by step and keeps a state. Here state
        and weights are single numbers. {len(x)} sequences of {x.shape[1]} zeros and ones, for
        example {x[0].astype(int)}, which has {target[0]:.0f} ones. First the gradients, by the loop
        from the last step to the first and by autograd, at w_x = -1, w_rec = 1.4:"""
    )
    states = forward(x, -1.0, 1.4)
    wx_grad, w_rec_grad, _ = backward(x, states, target, 1.4)
    exact = by_autograd(x, target, -1.0, 1.4)
    rows = [["wx_grad", wx_grad, exact[0]], ["wRec_grad", w_rec_grad, exact[1]]]
    common.table(["", "by the loop", "by autograd"], rows)
    path = learn(x, target)
    test = np.array([[1, 1, 0, 1, 0, 0, 1, 1, 1, 0, 1, 1]], dtype=float)
    common.say(
        f"""After {len(path) - 1} steps w_x = {path[-1, 0]:.4f} and w_rec = {path[-1, 1]:.4f}: it
        adds every input to what it knows, so it counts. A longer sequence, {test[0].astype(int)},
        gives {forward(test, *path[-1])[0, -1]:.3f}; it has {test.sum():.0f} ones."""
    )
    common.save(
        draw(x, target, path),
        chosen.out,
        "counting-ones",
        """Left: the loss over both weights, dark is high, and the way from (-1, 1.4) to (1, 1).
        Right: each step back multiplies the gradient with w_rec; it explodes above 1 and vanishes
        below.""",
    )


if __name__ == "__main__":
    main()
