"""Averaged stochastic gradient descent: the mean of the path is a better answer than its end."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_not_negative, number


def update(
    p: Tensor, grad: Tensor, mean: Tensor, *, eta: Any, fade: Any, mu: Any, stay: Any
) -> None:
    """One step of averaged gradient descent.

    p ← (1 − λη)·p − η·g
    a ← a + μ·(p − a)

    Args:
        p: the parameter.
        grad: g, its gradient.
        mean: a, the mean of p.
        eta: η, the learning rate of this step.
        fade: 1 − λη.
        mu: μ, the weight of p in its mean; 1 while nothing is averaged yet.
        stay: 1 − μ.
    """
    p.mul_(fade).sub_(eta * grad)
    mean.mul_(stay).add_(mu * p)


class ASGD(UpdateRule):
    """Averaged stochastic gradient descent; the mean is `optimizer.state[p]["ax"]`.

    Polyak & Juditsky 1992, "Acceleration of Stochastic Approximation by Averaging", eq. 4, with
    the learning rate η = lr / (1 + λ·lr·t)^α of Xu 2011, "Towards Optimal One Pass Large Scale
    Learning with Averaged Stochastic Gradient Descent".

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        lambd: λ, decay of the parameters and of the learning rate.
        alpha: α, power of that decay.
        t0: step at which averaging begins.
        weight_decay: λ of the L2 penalty λ/2·‖p‖².
        maximize: climb instead.
        foreach, differentiable, capturable: PyTorch's; they change nothing here
            (differentiable=True is refused).
    """

    counters = ("step", "eta", "mu")
    numbers = ("eta", "fade", "mu", "stay", "weight_decay")
    host_numbers = frozenset({"lr", "lambd", "alpha", "t0", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_not_negative({"learning rate": lr, "weight_decay value": weight_decay})
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def first_counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"step": 0.0, "eta": number(group["lr"]), "mu": 1.0}

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"ax": 0.0}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        eta, mu, lambd, lr = host["eta"], host["mu"], group["lambd"], number(group["lr"])
        host["eta"] = lr / ((1 + lambd * lr * host["step"]) ** group["alpha"])
        host["mu"] = 1 / max(1, host["step"] - group["t0"])
        return eta, 1 - lambd * eta, mu, 1 - mu, group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        update(p, grad, state["ax"], **numbers)
