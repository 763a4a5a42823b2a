"""Adagrad: each element has a step of its own, smaller the larger its gradients were so far."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_not_negative, number


def update(p: Tensor, grad: Tensor, total: Tensor, *, lr: Any, eps: Any) -> None:
    """One step of Adagrad.

    G ← G + g²
    p ← p − lr·g / (√G + ε)

    Args:
        p: the parameter.
        grad: g, its gradient.
        total: G, the sum of all squared gradients.
        lr: the learning rate of this step.
        eps: ε, keeps the quotient finite.
    """
    total.add_(grad * grad)
    p.sub_(lr * grad / (total.sqrt() + eps))


class Adagrad(UpdateRule):
    """Adagrad: p ← p − lr / (1 + (t − 1)·η) · g / (√Σg² + ε).

    Duchi, Hazan & Singer 2011, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", figure 1 (diagonal case). The sum only grows, so learning comes to a stop.

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        lr_decay: η, makes the learning rate fall with the number of steps t.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        initial_accumulator_value: what the sum of squares starts from.
        eps: ε, keeps the quotient finite.
        maximize: climb instead.
        foreach, differentiable, fused: PyTorch's; they change nothing here (differentiable=True is
            refused).

    >>> import narae
    >>> w = narae.tensor([1.0], requires_grad=True)
    >>> optimizer = narae.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    numbers = ("lr", "eps", "weight_decay")
    host_numbers = frozenset({"lr", "lr_decay", "eps", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative({"learning rate": lr, "lr_decay value": lr_decay})
        check_not_negative({"weight_decay value": weight_decay})
        check_not_negative({"initial_accumulator_value value": initial_accumulator_value})
        check_not_negative({"epsilon value": eps})
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for p in group["params"]:
                self._ready(p, group)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"sum": group["initial_accumulator_value"]}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        lr = number(group["lr"]) / (1 + (host["step"] - 1) * group["lr_decay"])
        return lr, group["eps"], group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["sum"], **numbers)
