"""Muon: a momentum whose matrix is made orthogonal before it is applied."""

# mypy: disable-error-code="attr-defined,operator,arg-type"
# (the methods of tensors are attached to their class at run time)

import math
from collections.abc import Iterable, Sequence
from typing import Any

from narae.base import dtypes
from narae.base.errors import ConfigError, explain
from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_learning_rate, number

_SIZES = (None, "original", "match_rms_adamw")
_MOST_STEPS = 100


def update(
    p: Tensor,
    grad: Tensor,
    v: Tensor,
    *,
    lr: Any,
    momentum: Any,
    fresh: Any,
    nesterov: bool,
    ns: tuple[tuple[float, float, float], int, float],
    size: float,
) -> None:
    """One step of Muon.

    v ← μ·v + (1 − μ)·g
    d = (1 − μ)·g + μ·v with Nesterov's look ahead, else v
    p ← p − lr·s·orthogonal(d)

    Args:
        p: the parameter, (rows, columns).
        grad: g, its gradient.
        v: the running mean of gradients.
        lr: the learning rate.
        momentum: μ, how much of the mean stays.
        fresh: 1 − μ.
        nesterov: look ahead to where the mean leads.
        ns: coefficients, steps and ε of the iteration that makes d orthogonal.
        size: s, by which the learning rate is adjusted to the shape.
    """
    v.mul_(momentum).add_(fresh * grad)
    direction = fresh * grad + momentum * v if nesterov else v
    p.sub_(lr * (size * orthogonal(direction, *ns).to(p.dtype)))


def orthogonal(
    x: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """About U·Vᵀ of x = U·S·Vᵀ, by Newton and Schulz's iteration in bfloat16.

    x ← x / ‖x‖, then `steps` times x ← a·x + (b·x·xᵀ + c·(x·xᵀ)²)·x

    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks": (a, b, c) make
    singular values leave 0 fast and come to lie between about 0.7 and 1.2. Each line is computed
    in float32 and rounded to bfloat16 once.

    Args:
        x: (rows, columns).
        coefficients: a, b, c.
        steps: how often to iterate.
        eps: the least norm to divide by.

    Returns:
        (rows, columns), bfloat16.

    >>> import narae
    >>> out = orthogonal(narae.tensor([[3.0, 0.0], [0.0, 4.0]]), (2.0, -1.5, 0.5), 20, 1e-7)
    >>> out
    tensor([[1., 0.],
            [0., 1.]], dtype=narae.bfloat16)
    """
    a, b, c = coefficients
    tall = x.shape[0] > x.shape[1]
    x = _rounded(x.T if tall else x)
    x = _rounded(x / _rounded((x * x).sum().sqrt()).clamp(min=eps))
    for _ in range(steps):
        gram = _rounded(x @ x.T)
        x = _rounded(a * x + _rounded(b * gram + c * (gram @ gram)) @ x)
    return (x.T if tall else x).to(dtypes.bfloat16)


def _rounded(x: Tensor) -> Tensor:
    """To bfloat16, and back to float32 for the next sums."""
    return x.to(dtypes.bfloat16).to(dtypes.float32)


class Muon(UpdateRule):
    """Muon: momentum, orthogonalized by a Newton–Schulz iteration; for matrices of hidden layers.

    Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"; with
    `adjust_lr_fn="match_rms_adamw"` steps have the size of AdamW's, after Liu et al. 2025, "Muon is
    Scalable for LLM Training", eq. 4. Give biases, norms and embeddings to another optimizer.

    Args:
        params: the matrices to train, or groups of them.
        lr: learning rate.
        weight_decay: λ; p shrinks by lr·λ at each step.
        momentum: μ, how much of the running mean of gradients stays.
        nesterov: look ahead to where the mean leads.
        ns_coefficients: a, b, c of the iteration.
        eps: the least norm that the iteration divides by.
        ns_steps: how often it iterates.
        adjust_lr_fn: how lr depends on a shape (A, B): "original" (or None) √max(1, A/B),
            "match_rms_adamw" 0.2·√max(A, B).

    >>> import narae
    >>> w = narae.zeros(2, 2, requires_grad=True)
    >>> optimizer = narae.optim.Muon([w], lr=1.0)
    >>> (w * narae.tensor([[0.0, 100.0], [1.0, 0.0]])).sum().backward()
    >>> optimizer.step()  # gradients of 100 and of 1 move the parameter alike, by about 1
    >>> w.round().tolist()
    [[0.0, -1.0], [-1.0, 0.0]]
    """

    counters = ()
    decoupled = True
    numbers = ("lr", "momentum", "fresh", "weight_decay", "shrink")
    host_numbers = frozenset({"lr", "momentum", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = (3.4445, -4.7750, 2.0315),
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        check_learning_rate(lr)
        for words, value in (("momentum", momentum), ("weight decay", weight_decay)):
            if not value >= 0.0:
                raise ConfigError(f"{words} should be >= 0 but is: {value}")
        if adjust_lr_fn not in _SIZES:
            raise ConfigError(
                f"Adjust learning rate function {adjust_lr_fn} is not supported; it is "
                '"original" or "match_rms_adamw"'
            )
        _check_iteration(ns_coefficients, ns_steps)
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of matrices with settings of their own.

        Raises:
            ConfigError: for a parameter that is no matrix.
        """
        super().add_param_group(param_group)
        for p in self.param_groups[-1]["params"]:
            if p.ndim != 2:
                raise ConfigError(
                    "Muon only supports 2D parameters whereas we found a parameter with size: "
                    f"{tuple(p.shape)}. Fix: give biases, norms and embeddings to AdamW"
                )

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        lr, momentum, decay = number(group["lr"]), group["momentum"], group["weight_decay"]
        return lr, momentum, 1 - momentum, decay, 1 - lr * decay

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(
            p,
            grad,
            state["momentum_buffer"],
            nesterov=group["nesterov"],
            ns=(group["ns_coefficients"], group["ns_steps"], group["eps"]),
            size=adjustment(group["adjust_lr_fn"], tuple(p.shape)),
            **numbers,
        )


def adjustment(name: str | None, shape: tuple[int, ...]) -> float:
    """The factor on the learning rate for a matrix of this shape.

    >>> adjustment("original", (8, 2)), adjustment("match_rms_adamw", (25, 4))
    (2.0, 1.0)
    """
    rows, columns = shape
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))


def _check_iteration(coefficients: Sequence[float], steps: int) -> None:
    if len(coefficients) != 3:
        given, rule = f"ns_coefficients is {coefficients}", "they are exactly three: a, b, c"
        raise ConfigError(explain("Muon", given, rule))
    if not 0 <= steps < _MOST_STEPS:
        given, rule = f"ns_steps is {steps}", f"it is at least 0 and less than {_MOST_STEPS}"
        raise ConfigError(explain("Muon", given, rule, "5 steps are usual"))
