"""Adadelta: a window over the squared gradients, and steps in the unit of the parameter."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_not_negative, number


def update(
    p: Tensor,
    grad: Tensor,
    square_avg: Tensor,
    acc_delta: Tensor,
    *,
    lr: Any,
    rho: Any,
    fresh: Any,
    eps: Any,
) -> None:
    """One step of Adadelta.

    E[g²] ← ρ·E[g²] + (1 − ρ)·g²
    Δ = √(E[Δ²] + ε) / √(E[g²] + ε) · g
    E[Δ²] ← ρ·E[Δ²] + (1 − ρ)·Δ²
    p ← p − lr·Δ

    Args:
        p: the parameter.
        grad: g, its gradient.
        square_avg: E[g²], the running mean of squared gradients.
        acc_delta: E[Δ²], the running mean of squared steps.
        lr: a factor on the step; the method itself needs none.
        rho: ρ, how much of the means stays.
        fresh: 1 − ρ.
        eps: ε, lets the first steps begin.
    """
    square_avg.mul_(rho).add_(fresh * grad * grad)
    delta = (acc_delta + eps).sqrt() / (square_avg + eps).sqrt() * grad
    acc_delta.mul_(rho).add_(fresh * delta * delta)
    p.sub_(lr * delta)


class Adadelta(UpdateRule):
    """Adadelta: p ← p − lr · √(E[Δ²] + ε) / √(E[g²] + ε) · g.

    Zeiler 2012, "ADADELTA: An Adaptive Learning Rate Method", algorithm 1. The means forget, so
    unlike Adagrad it does not come to a stop.

    Args:
        params: the tensors to train, or groups of them.
        lr: a factor on the step.
        rho: ρ, how much of the running means stays at each step.
        eps: ε, added under both roots.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        maximize: climb instead.
        foreach, capturable, differentiable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    numbers = ("lr", "rho", "fresh", "eps", "weight_decay")
    host_numbers = frozenset({"lr", "rho", "eps", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr})
        if not 0.0 <= rho <= 1.0:
            raise ConfigError(f"Invalid rho value: {rho}; it must lie between 0 and 1")
        check_not_negative({"epsilon value": eps, "weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"square_avg": 0.0, "acc_delta": 0.0}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        rho = group["rho"]
        return number(group["lr"]), rho, 1 - rho, group["eps"], group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["square_avg"], state["acc_delta"], **numbers)
