"""RMSprop: gradients divided by the root of their mean square."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_not_negative, number


def update(
    p: Tensor,
    grad: Tensor,
    square_avg: Tensor,
    grad_avg: Tensor | None,
    v: Tensor | None,
    *,
    lr: Any,
    alpha: Any,
    fresh: Any,
    momentum: Any,
    eps: Any,
) -> None:
    """One step of RMSprop.

    E[g²] ← α·E[g²] + (1 − α)·g²;  centered: E[g] ← α·E[g] + (1 − α)·g
    d = g / (√E[g²] + ε), centered g / (√(E[g²] − E[g]²) + ε)
    with momentum v ← μ·v + d and d = v
    p ← p − lr·d

    Args:
        p: the parameter.
        grad: g, its gradient.
        square_avg: E[g²], the running mean of squared gradients.
        grad_avg: E[g], the running mean of gradients; None unless centered.
        v: the velocity; None without momentum.
        lr: the learning rate.
        alpha: α, how much of the means stays.
        fresh: 1 − α.
        momentum: μ.
        eps: ε, keeps the quotient finite.
    """
    square_avg.mul_(alpha).add_(fresh * grad * grad)
    spread = square_avg
    if grad_avg is not None:
        grad_avg.mul_(alpha).add_(fresh * grad)
        spread = square_avg - grad_avg * grad_avg
    scale = spread.sqrt() + eps
    if v is None:
        p.sub_(lr * grad / scale)
    else:
        v.mul_(momentum).add_(grad / scale)
        p.sub_(lr * v)


class RMSprop(UpdateRule):
    """RMSprop: p ← p − lr·g / (√E[g²] + ε).

    Tieleman & Hinton 2012, "Lecture 6.5: Divide the gradient by a running average of its recent
    magnitude"; centered as in Graves 2013, "Generating Sequences With Recurrent Neural Networks",
    eqs. 38–41.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        alpha: α, how much of the running mean stays at each step.
        eps: ε, added to the root.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        momentum: μ, 0 for none.
        centered: divide by the standard deviation instead of the root mean square.
        maximize: climb instead.
        capturable, foreach, differentiable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    numbers = ("lr", "alpha", "fresh", "momentum", "eps", "weight_decay")
    host_numbers = frozenset({"lr", "alpha", "momentum", "eps", "weight_decay"})
    switches = frozenset({"momentum", "weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr, "epsilon value": eps, "momentum value": momentum})
        check_not_negative({"weight_decay value": weight_decay, "alpha value": alpha})
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"] > 0}
        wanted["grad_avg"] = group["centered"]
        return {name: 0.0 for name, needed in wanted.items() if needed}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        alpha, momentum = group["alpha"], group["momentum"]
        lr = number(group["lr"])
        return lr, alpha, 1 - alpha, momentum, group["eps"], group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        grad_avg = state["grad_avg"] if group["centered"] else None
        velocity = state["momentum_buffer"] if group["momentum"] > 0 else None
        update(p, grad, state["square_avg"], grad_avg, velocity, **numbers)
