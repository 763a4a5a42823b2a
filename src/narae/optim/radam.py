"""RAdam: Adam that waits until the variance of its step size is known."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import Tensor

from .moments import Moments
from .settings import number


def update(
    p: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    *,
    step_size: Any,
    adaptive: Any,
    plain: Any,
    beta1: Any,
    fresh1: Any,
    beta2: Any,
    fresh2: Any,
    eps: Any,
) -> None:
    """One step of RAdam.

    m ← β₁·m + (1 − β₁)·g
    v ← β₂·v + (1 − β₂)·g²
    p ← p − lr / (1 − β₁ᵗ) · m                                 in the first steps
    p ← p − lr / (1 − β₁ᵗ) · rₜ·√(1 − β₂ᵗ) · m / (√v + ε)      later

    Args:
        p: the parameter.
        grad: g, its gradient.
        m: the running mean of gradients.
        v: the running mean of squared gradients.
        step_size: the factor on m.
        adaptive, plain: 0 and 1 in the first steps, later 1 and 0; numbers, not a choice in Python,
            so that one compiled program serves all steps.
        beta1, fresh1: β₁ and 1 − β₁.
        beta2, fresh2: β₂ and 1 − β₂.
        eps: ε, keeps the quotient finite.
    """
    m.mul_(beta1).add_(fresh1 * grad)
    v.mul_(beta2).add_(fresh2 * grad * grad)
    scale = adaptive * (v.sqrt() + eps) + plain
    p.sub_(step_size * m / scale)


def rectification(step: float, beta2: float) -> float | None:
    """rₜ, the correction of the step size for its variance; None while that is not tractable.

    ρ∞ = 2 / (1 − β₂) − 1,  ρₜ = ρ∞ − 2t·β₂ᵗ / (1 − β₂ᵗ)
    rₜ = √((ρₜ − 4)(ρₜ − 2)ρ∞ / ((ρ∞ − 4)(ρ∞ − 2)ρₜ))   if ρₜ > 5

    >>> rectification(1, 0.999) is None
    True
    >>> [round(rectification(step, 0.999), 2) for step in (10, 1000, 100000)]
    [0.05, 0.65, 1.0]
    """
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * beta2**step / (1 - beta2**step)
    if length <= 5.0:
        return None
    top = (length - 4) * (length - 2) * longest
    return (top / ((longest - 4) * (longest - 2) * length)) ** 0.5


class RAdam(Moments):
    """Rectified Adam.

    Liu et al. 2020, "On the Variance of the Adaptive Learning Rate and Beyond", algorithm 2, with
    the bound 5 of the authors' program instead of the 4 of the paper, as in PyTorch.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂, how much of the running means stays at each step.
        eps: ε, added to the root.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        decoupled_weight_decay: shrink the parameter itself by lr·λ, as AdamW does.
        maximize: climb instead.
        foreach, capturable, differentiable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    factors = ("step_size", "adaptive", "plain")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def factors_at(
        self, step: float, group: dict[str, Any], host: dict[str, float]
    ) -> Sequence[float]:
        beta1, beta2 = group["betas"]
        step_size = number(group["lr"]) / (1 - beta1**step)
        rectified = rectification(step, beta2)
        if rectified is None:
            return step_size, 0.0, 1.0
        return step_size * (1 - beta2**step) ** 0.5 * rectified, 1.0, 0.0

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["exp_avg"], state["exp_avg_sq"], **numbers)
