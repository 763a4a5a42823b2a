"""Adam and AdamW: a momentum, divided by the root of the mean square, both free of bias."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Tensor

from .moments import Moments
from .settings import number


def update(
    p: Tensor,
    grad: Tensor,
    m: Tensor,
    v: Tensor,
    v_max: Tensor | None,
    *,
    step_size: Any,
    beta1: Any,
    fresh1: Any,
    beta2: Any,
    fresh2: Any,
    root: Any,
    eps: Any,
) -> None:
    """One step of Adam.

    m ← β₁·m + (1 − β₁)·g
    v ← β₂·v + (1 − β₂)·g²
    p ← p − lr / (1 − β₁ᵗ) · m / (√v / √(1 − β₂ᵗ) + ε)

    AMSGrad takes the largest v so far in the last line.

    Args:
        p: the parameter.
        grad: g, its gradient.
        m: the running mean of gradients.
        v: the running mean of squared gradients.
        v_max: the largest v so far; None without AMSGrad.
        step_size: lr / (1 − β₁ᵗ) at step t.
        beta1, fresh1: β₁ and 1 − β₁.
        beta2, fresh2: β₂ and 1 − β₂.
        root: √(1 − β₂ᵗ).
        eps: ε, keeps the quotient finite.
    """
    m.mul_(beta1).add_(fresh1 * grad)
    v.mul_(beta2).add_(fresh2 * grad * grad)
    if v_max is not None:
        v_max.copy_(v_max.maximum(v))
        v = v_max
    p.sub_(step_size * m / (v.sqrt() / root + eps))


class Adam(Moments):
    """Adam: the mean of the gradients over the root of the mean of their squares.

    Kingma & Ba 2015, "Adam: A Method for Stochastic Optimization", algorithm 1; `amsgrad` after
    Reddi, Kale & Kumar 2018, "On the Convergence of Adam and Beyond", algorithm 2 (of the
    uncorrected means, as in PyTorch).

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂, how much of the running means stays at each step.
        eps: ε, added to the root.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        amsgrad: never let the mean of squares shrink.
        maximize: climb instead.
        decoupled_weight_decay: shrink the parameter itself by lr·λ, as AdamW does.
        foreach, capturable, differentiable, fused: PyTorch's; they change nothing here
            (differentiable=True is refused).

    >>> import narae
    >>> w = narae.tensor([1.0, -2.0], requires_grad=True)
    >>> optimizer = narae.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([ 0.9000, -1.9000], requires_grad=True)
    """

    factors = ("step_size", "root")

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if foreach and fused:
            raise ConfigError("`fused` and `foreach` cannot be `True` together.")
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        largest = {"max_exp_avg_sq": 0.0} if group["amsgrad"] else {}
        return super().buffers(group) | largest

    def factors_at(
        self, step: float, group: dict[str, Any], host: dict[str, float]
    ) -> Sequence[float]:
        beta1, beta2 = group["betas"]
        return number(group["lr"]) / (1 - beta1**step), (1 - beta2**step) ** 0.5

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        largest = state["max_exp_avg_sq"] if group["amsgrad"] else None
        update(p, grad, state["exp_avg"], state["exp_avg_sq"], largest, **numbers)


class AdamW(Adam):
    """Adam with decoupled weight decay: p ← (1 − lr·λ)p before each step.

    Loshchilov & Hutter 2019, "Decoupled Weight Decay Regularization", algorithm 2: unlike the L2
    penalty, the decay is not divided by the root of the mean square.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        betas: β₁ and β₂, how much of the running means stays at each step.
        eps: ε, added to the root.
        weight_decay: λ.
        amsgrad: never let the mean of squares shrink.
        maximize: climb instead.
        foreach, capturable, differentiable, fused: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            weight_decay,
            amsgrad,
            foreach=foreach,
            maximize=maximize,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            decoupled_weight_decay=True,
        )

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            group["decoupled_weight_decay"] = True
