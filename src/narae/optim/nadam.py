"""NAdam: Adam that looks ahead, as Nesterov's momentum does."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from narae.tensors import Tensor

from .moments import Moments
from .settings import check_not_negative, number


def update(
    p: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    *,
    grad_size: Any,
    mean_size: Any,
    beta1: Any,
    fresh1: Any,
    beta2: Any,
    fresh2: Any,
    correction2: Any,
    eps: Any,
) -> None:
    """One step of NAdam.

    m ← β₁·m + (1 − β₁)·g
    v ← β₂·v + (1 − β₂)·g²
    p ← p − (lr·(1 − μₜ) / (1 − Πμ) · g + lr·μₜ₊₁ / (1 − Πμ·μₜ₊₁) · m) / (√(v / (1 − β₂ᵗ)) + ε)

    Args:
        p: the parameter.
        grad: g, its gradient.
        m: the running mean of gradients.
        v: the running mean of squared gradients.
        grad_size: the factor on g.
        mean_size: the factor on m.
        beta1, fresh1: β₁ and 1 − β₁.
        beta2, fresh2: β₂ and 1 − β₂.
        correction2: 1 − β₂ᵗ.
        eps: ε, keeps the quotient finite.
    """
    m.mul_(beta1).add_(fresh1 * grad)
    v.mul_(beta2).add_(fresh2 * grad * grad)
    scale = (v / correction2).sqrt() + eps
    p.sub_(grad_size * grad / scale).sub_(mean_size * m / scale)


class NAdam(Moments):
    """Adam with Nesterov's momentum, whose strength μₜ = β₁(1 − ½·0.96^(t·ψ)) grows with the steps.

    Dozat 2016, "Incorporating Nesterov Momentum into Adam", algorithm 8 of its appendix.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂, how much of the running means stays at each step.
        eps: ε, added to the root.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        momentum_decay: ψ, how fast the momentum grows to its full strength.
        decoupled_weight_decay: shrink the parameter itself by lr·λ, as AdamW does.
        maximize: climb instead.
        foreach, capturable, differentiable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    counters = ("step", "mu_product")
    factors = ("grad_size", "mean_size", "correction2")
    host_numbers = Moments.host_numbers | {"momentum_decay"}

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative({"momentum_decay value": momentum_decay})
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def first_counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "mu_product": 1.0}

    def factors_at(
        self, step: float, group: dict[str, Any], host: dict[str, float]
    ) -> Sequence[float]:
        lr, (beta1, beta2), psi = number(group["lr"]), group["betas"], group["momentum_decay"]
        mu = beta1 * (1.0 - 0.5 * 0.96 ** (step * psi))
        mu_next = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * psi))
        host["mu_product"] = product = self._rounded(host["mu_product"], mu)
        grad_size = lr * (1.0 - mu) / (1.0 - product)
        mean_size = lr * mu_next / (1.0 - product * mu_next)
        return grad_size, mean_size, 1 - beta2**step

    def _rounded(self, product: float, mu: float) -> float:
        """The product in float32, in which PyTorch keeps it (float64 if that is the default)."""
        dtype = self._counter_dtype()
        return float(np.multiply(dtype(product), dtype(mu)))

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["exp_avg"], state["exp_avg_sq"], **numbers)
