"""Rprop: only the signs of the gradients count; each element has a step size that adapts."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Tensor, where

from .rule import UpdateRule
from .settings import check_not_negative, number


def update(
    p: Tensor,
    grad: Tensor,
    before: Tensor,
    size: Tensor,
    *,
    etas: tuple[float, float],
    step_sizes: tuple[float, float],
) -> None:
    """One step of Rprop.

    Δ ← Δ·η⁺ where g·g₋₁ > 0, Δ·η⁻ where g·g₋₁ < 0, within its bounds
    g ← 0 where g·g₋₁ < 0
    p ← p − Δ·sign(g)

    Args:
        p: the parameter.
        grad: g, its gradient.
        before: g₋₁, the gradient of the step before.
        size: Δ, the size of the step.
        etas: η⁻ and η⁺.
        step_sizes: the smallest and the largest Δ.
    """
    agreement = grad * before
    adapted = where(agreement < 0, size * etas[0], size)
    adapted = where(agreement > 0, size * etas[1], adapted)
    size.copy_(adapted.clamp(*step_sizes))
    grad = where(agreement < 0, 0.0, grad)
    p.sub_(grad.sign() * size)
    before.copy_(grad)


class Rprop(UpdateRule):
    """Resilient backpropagation, for gradients of the whole data set.

    Riedmiller & Braun 1993, "A Direct Adaptive Method for Faster Backpropagation Learning: The
    RPROP Algorithm", eqs. 4–6 (without taking back the step after a change of sign).

    Args:
        params: the tensors to train, or groups of them.
        lr: the first size of the steps.
        etas: η⁻ and η⁺, how the size shrinks and grows.
        step_sizes: the smallest and the largest size.
        maximize: climb instead.
        capturable, foreach, differentiable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    host_numbers = frozenset({"lr"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr})
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ConfigError(
                f"Invalid eta values: {etas[0]}, {etas[1]}; the first must be below 1, the second "
                "above"
            )
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"prev": 0.0, "step_size": number(group["lr"])}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        return ()

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        bounds = {"etas": group["etas"], "step_sizes": group["step_sizes"]}
        update(p, grad, state["prev"], state["step_size"], **bounds)
