"""Optimizers by hand: how a parameter moves, given its gradient.

Each has `step(params, grads)`, which changes the parameters in place, and remembers what it needs
from step to step, one array for each parameter.
"""

from __future__ import annotations

import numpy as np

Arrays = list[np.ndarray]


class SGD:
    """Gradient descent (경사 하강법): p ← p - lr·g."""

    def __init__(self, lr: float, weight_decay: float = 0.0) -> None:
        self.lr, self.weight_decay = lr, weight_decay

    def step(self, params: Arrays, grads: Arrays) -> None:
        for p, g in zip(params, grads, strict=True):
            p -= self.lr * (g + self.weight_decay * p)


class Momentum:
    """A ball that rolls: v ← momentum·v + g, then p ← p - lr·v (모멘텀)."""

    def __init__(self, lr: float, momentum: float = 0.9) -> None:
        self.lr, self.momentum, self.v = lr, momentum, None

    def step(self, params: Arrays, grads: Arrays) -> None:
        self.v = self.v or [np.zeros_like(p) for p in params]
        for p, g, v in zip(params, grads, self.v, strict=True):
            v *= self.momentum
            v += g
            p -= self.lr * v


class AdaGrad:
    """Small steps where gradients were large: h ← h + g², then p ← p - lr·g / (√h + eps)."""

    def __init__(self, lr: float, eps: float = 1e-10) -> None:
        self.lr, self.eps, self.h = lr, eps, None

    def step(self, params: Arrays, grads: Arrays) -> None:
        self.h = self.h or [np.zeros_like(p) for p in params]
        for p, g, h in zip(params, grads, self.h, strict=True):
            h += g * g
            p -= self.lr * g / (np.sqrt(h) + self.eps)

    def effective_lr(self) -> Arrays:
        """What each number's gradient is multiplied by: lr / (√h + eps)."""
        return [self.lr / (np.sqrt(h) + self.eps) for h in self.h]


class Adam:
    """Momentum in the numerator, the size of recent gradients in the denominator.

    m ← β1·m + (1 - β1)·g and v ← β2·v + (1 - β2)·g² begin at 0 and are too small at first; divided
    by 1 - β1^t and 1 - β2^t at step t they are right on average (bias correction).
    """

    def __init__(
        self, lr: float, betas: tuple[float, float] = (0.9, 0.999), eps: float = 1e-8
    ) -> None:
        self.lr, self.betas, self.eps = lr, betas, eps
        self.t, self.m, self.v = 0, None, None

    def step(self, params: Arrays, grads: Arrays) -> None:
        self.m = self.m or [np.zeros_like(p) for p in params]
        self.v = self.v or [np.zeros_like(p) for p in params]
        self.t += 1
        first, second = (1 - beta**self.t for beta in self.betas)
        for p, g, m, v in zip(params, grads, self.m, self.v, strict=True):
            m += (1 - self.betas[0]) * (g - m)
            v += (1 - self.betas[1]) * (g * g - v)
            p -= self.lr * (m / first) / (np.sqrt(v / second) + self.eps)
