"""Adamax: Adam with the largest recent gradient in place of the root of the mean square."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_betas, check_not_negative, number


def update(
    p: Tensor,
    grad: Tensor,
    m: Tensor,
    largest: Tensor,
    *,
    step_size: Any,
    beta1: Any,
    fresh1: Any,
    beta2: Any,
    eps: Any,
) -> None:
    """One step of Adamax.

    m ← β₁·m + (1 − β₁)·g
    u ← max(β₂·u, |g| + ε)
    p ← p − lr / (1 − β₁ᵗ) · m / u

    Args:
        p: the parameter.
        grad: g, its gradient.
        m: the running mean of gradients.
        largest: u, the largest gradient, slowly forgotten.
        step_size: lr / (1 − β₁ᵗ) at step t.
        beta1, fresh1: β₁ and 1 − β₁.
        beta2: β₂.
        eps: ε, keeps the quotient finite.
    """
    m.mul_(beta1).add_(fresh1 * grad)
    largest.copy_((beta2 * largest).maximum(grad.abs() + eps))
    p.sub_(step_size * m / largest)


class Adamax(UpdateRule):
    """Adam with the infinity norm.

    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 2.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂, how much of the mean and of the maximum stays at each step.
        eps: ε, added to the size of the gradient.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        maximize: climb instead.
        foreach, differentiable, capturable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    numbers = ("step_size", "beta1", "fresh1", "beta2", "eps", "weight_decay")
    host_numbers = frozenset({"lr", "betas", "eps", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr, "epsilon value": eps})
        check_betas(betas)
        check_not_negative({"weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_inf": 0.0}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        beta1, beta2 = group["betas"]
        step_size = number(group["lr"]) / (1 - beta1 ** host["step"])
        return step_size, beta1, 1 - beta1, beta2, group["eps"], group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["exp_avg"], state["exp_inf"], **numbers)
