"""Stochastic gradient descent, with momentum and Nesterov's look ahead."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.base.errors import ConfigError, GraphError
from narae.tensors import Tensor

from .rule import UpdateRule, unequal_message
from .settings import check_not_negative, number


def update(
    p: Tensor, grad: Tensor, v: Tensor | None, *, lr: Any, momentum: Any, keep: Any, nesterov: bool
) -> None:
    """One step of gradient descent.

    v ← μ·v + (1 − τ)·g      (the first time v ← g)
    d = g + μ·v with Nesterov's look ahead, else v; without momentum g
    p ← p − lr·d

    Args:
        p: the parameter.
        grad: g, its gradient.
        v: the velocity; None without momentum.
        lr: the learning rate.
        momentum: μ, how much of the velocity stays.
        keep: 1 − τ, with the dampening τ; 1 at the first step.
        nesterov: look ahead to where the velocity leads.
    """
    if v is not None:
        v.mul_(momentum).add_(keep * grad)
        grad = grad + momentum * v if nesterov else v
    p.sub_(lr * grad)


class SGD(UpdateRule):
    """Stochastic gradient descent.

    p ← p − lr·g (Robbins & Monro 1951, "A stochastic approximation method", eq. 8); with momentum
    the heavy ball of Polyak 1964, "Some methods of speeding up the convergence of iteration
    methods", eq. 9; Nesterov's form as in Sutskever et al. 2013, "On the importance of
    initialization and momentum in deep learning", eqs. 3–4, where PyTorch and Narae multiply by
    the learning rate last (v holds gradients, not steps).

    Args:
        params: the tensors to train, or groups of them.
        lr: learning rate.
        momentum: μ, 0 for none.
        dampening: τ, how much less of the gradient enters the velocity.
        weight_decay: λ of the L2 penalty λ/2·‖p‖², whose gradient λp is added.
        nesterov: look ahead; needs a momentum and no dampening.
        maximize: climb instead.
        foreach, differentiable, fused: PyTorch's; they change nothing here (differentiable=True is
            refused).

    >>> import narae
    >>> w = narae.tensor([1.0], requires_grad=True)
    >>> optimizer = narae.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    counters = ()
    numbers = ("lr", "momentum", "keep", "weight_decay")
    host_numbers = frozenset({"lr", "momentum", "dampening", "weight_decay"})
    switches = frozenset({"momentum", "weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_not_negative({"learning rate": lr, "momentum value": momentum})
        check_not_negative({"weight_decay value": weight_decay})
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ConfigError(
                f"Nesterov momentum requires a momentum and zero dampening; momentum is "
                f"{momentum}, dampening {dampening}"
            )
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)

    def _set_up(self) -> None:
        super()._set_up()
        self._unused: set[int] = set()  # parameters whose velocity was made, but never written

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"momentum_buffer": 0.0} if group["momentum"] != 0 else {}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        keep = 1.0 if host["first"] else 1.0 - group["dampening"]
        host["first"] = 0.0
        return number(group["lr"]), group["momentum"], keep, group["weight_decay"]

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        velocity = state["momentum_buffer"] if group["momentum"] != 0 else None
        update(p, grad, velocity, nesterov=group["nesterov"], **numbers)

    # The first step has no velocity to keep. PyTorch sees that by the buffer that is missing; here
    # the buffer may have been made early, for a trace, so it is noted on the side.

    def _made(self, p: Tensor, name: str) -> None:
        self._unused.add(id(p))

    def _host_of(self, p: Tensor) -> dict[str, float]:
        return {"first": float(id(p) in self._unused)}

    def _shared_host(self, params: list[Tensor]) -> dict[str, float]:
        unused = self._unused
        if not unused:
            return {"first": 0.0}
        first = id(params[0]) in unused
        for p in params:
            if (id(p) in unused) is not first:
                raise GraphError(unequal_message(self, p))
        return {"first": float(first)}

    def _store_host(self, params: list[Tensor], host: dict[str, float]) -> None:
        ids = [id(p) for p in params]
        if host["first"]:
            self._unused.update(ids)
        else:
            self._unused.difference_update(ids)

    def first_counters(self, group: dict[str, Any]) -> dict[str, float]:
        return {"first": 1.0}

    def _exported(self, param: Any, state: Any) -> Any:
        if id(param) not in self._unused:
            return state
        return {name: value for name, value in state.items() if name != "momentum_buffer"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._unused = set()
