"""Layers by hand: NumPy alone, and every backward pass written out.

Each layer has `forward(x)`, which remembers what its backward pass needs, and `backward(grad_out)`,
which turns the gradient of the loss with respect to its result into the one with respect to its
input. Layers with parameters keep them in `params` and their gradients, under the same names, in
`grads`.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

Array = np.ndarray


class Layer(Protocol):
    """What every layer can do."""

    params: dict[str, Array]
    grads: dict[str, Array]

    def forward(self, x: Array, train: bool = True) -> Array:
        """The result of the layer."""

    def backward(self, grad_out: Array) -> Array:
        """From the gradient of the result to that of the input."""


class Affine:
    """out = x·w + b, over the last dimension of x, however many come before it."""

    def __init__(self, w: Array, b: Array) -> None:
        self.params, self.grads = {"w": w, "b": b}, {}  # (in, out), (out,)

    def forward(self, x: Array, train: bool = True) -> Array:  # (..., in) -> (..., out)
        self.x = x
        return x @ self.params["w"] + self.params["b"]

    def backward(self, grad_out: Array) -> Array:  # (..., out) -> (..., in)
        w = self.params["w"]
        rows = self.x.reshape(-1, w.shape[0])  # (items, in)
        grad_rows = grad_out.reshape(-1, w.shape[1])  # (items, out)
        self.grads = {"w": rows.T @ grad_rows, "b": grad_rows.sum(axis=0)}
        return grad_out @ w.T


class Relu:
    """out = max(0, x); the gradient passes where x was positive."""

    def __init__(self) -> None:
        self.params, self.grads = {}, {}

    def forward(self, x: Array, train: bool = True) -> Array:
        self.positive = x > 0
        return np.maximum(x, 0)

    def backward(self, grad_out: Array) -> Array:
        return grad_out * self.positive


class Sigmoid:
    """out = 1 / (1 + e^-x); its derivative is out·(1 - out)."""

    def __init__(self) -> None:
        self.params, self.grads = {}, {}

    def forward(self, x: Array, train: bool = True) -> Array:
        small = np.exp(-np.abs(x))
        self.out = np.where(x >= 0, 1, small) / (1 + small)
        return self.out

    def backward(self, grad_out: Array) -> Array:
        return grad_out * self.out * (1 - self.out)


class Flatten:
    """Each picture becomes a row."""

    def __init__(self) -> None:
        self.params, self.grads = {}, {}

    def forward(self, x: Array, train: bool = True) -> Array:  # (items, ...) -> (items, features)
        self.shape = x.shape
        return x.reshape(len(x), -1)

    def backward(self, grad_out: Array) -> Array:
        return grad_out.reshape(self.shape)


class SoftmaxWithLoss:
    """Softmax and cross-entropy together; the gradient is (probability - target) / n."""

    def forward(self, scores: Array, labels: Array) -> float:  # (items, classes), (items,)
        shifted = scores - scores.max(axis=1, keepdims=True)
        powers = np.exp(shifted)
        sums = powers.sum(axis=1, keepdims=True)  # (items, 1)
        self.share, self.labels = powers / sums, labels
        items = np.arange(len(labels))
        return float((np.log(sums[:, 0]) - shifted[items, labels]).mean())

    def backward(self) -> Array:
        grad = self.share.copy()  # (items, classes)
        grad[np.arange(len(grad)), self.labels] -= 1
        return grad / len(grad)


class Network:
    """Layers one after the other, and a loss at the end."""

    def __init__(self, layers: list[Layer]) -> None:
        self.layers, self.last = layers, SoftmaxWithLoss()

    def scores(self, x: Array, train: bool = False) -> Array:
        """What the last layer says.  # (items, ...) -> (items, classes)"""
        for layer in self.layers:
            x = layer.forward(x, train)
        return x

    def loss(self, x: Array, labels: Array, train: bool = True) -> float:
        """The forward pass (순전파): left to right."""
        return self.last.forward(self.scores(x, train), labels)

    def backward(self) -> None:
        """The backward pass (역전파): right to left; fills `grads` of every layer."""
        grad = self.last.backward()
        for layer in reversed(self.layers):
            grad = layer.backward(grad)

    def params(self) -> list[Array]:
        """All parameters, the first layer's first."""
        return [array for layer in self.layers for array in layer.params.values()]

    def grads(self) -> list[Array]:
        """Their gradients, in the same order."""
        return [layer.grads[name] for layer in self.layers for name in layer.params]

    def accuracy(self, x: Array, labels: Array) -> float:
        """The share of right answers (정확도)."""
        return float((self.scores(x).argmax(axis=1) == labels).mean())


def he(rng: np.random.Generator, fan_in: int, fan_out: int) -> Affine:
    """An affine layer with weights of standard deviation √(2 / fan_in), for ReLU after it."""
    w = rng.normal(0, np.sqrt(2 / fan_in), (fan_in, fan_out))
    return Affine(w, np.zeros(fan_out))


def batches(rng: np.random.Generator, items: int, size: int) -> list[Array]:
    """The places of all items in random order, in mini-batches (미니 배치)."""
    order = rng.permutation(items)
    return [order[start : start + size] for start in range(0, items, size)]
