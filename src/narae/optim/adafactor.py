"""Adafactor: squared gradients are remembered by their rows and columns alone."""

# mypy: disable-error-code="attr-defined,operator"
# (the methods of tensors are attached to their class at run time)

from collections.abc import Iterable, Sequence
from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Tensor
from narae.tensors.conversion import finfo

from .rule import Shape, UpdateRule
from .settings import check_learning_rate, number


def update(
    p: Tensor,
    grad: Tensor,
    variance: Tensor,
    *,
    rho: Any,
    eps1: float,
    eps2: float,
    d: float,
    keep: Any,
) -> None:
    """One step of Adafactor, from the (estimated) mean V of squared gradients.

    α = max(ε₂, RMS(p))·ρ
    U = g / √V
    p ← (1 − lr·λ)·p − α·U / max(1, RMS(U) / d)

    Args:
        p: the parameter.
        grad: g, its gradient.
        variance: V, (as p).
        rho: ρ, the size of the step relative to the parameter's.
        eps1: ε₁, keeps V away from 0 (as ε₁²).
        eps2: ε₂, the least size that a parameter counts for.
        d: the size from which on an update is scaled down.
        keep: 1 − lr·λ; None without weight decay.
    """
    step_size = root_mean_square(p).clamp(min=eps2) * rho
    unit = grad * variance.clamp(min=eps1 * eps1).rsqrt()
    step_size = step_size / (root_mean_square(unit) / d).clamp(min=1.0)
    if keep is not None:
        p.mul_(keep)
    p.sub_(step_size * unit)


def root_mean_square(x: Tensor) -> Tensor:
    """RMS(x) = √(mean of x²).

    >>> import narae
    >>> root_mean_square(narae.tensor([1.0, 7.0]))
    tensor(5.)
    """
    return (x * x).mean().sqrt()


def factored_variance(
    grad: Tensor, row_var: Tensor, col_var: Tensor, stay: Any, fresh: Any, eps1: float
) -> Tensor:
    """The mean of squared gradients, from the means of its rows R and columns C.

    R ← (1 − φ)·R + φ·mean(g², last dim),  C ← (1 − φ)·C + φ·mean(g², second to last dim)
    V = R·C / max(ε₁, mean(R))

    Args:
        grad: g, (..., rows, columns).
        row_var: R, (..., rows, 1).
        col_var: C, (..., 1, columns).
        stay, fresh: 1 − φ and φ, how much of the means stays and is new.
        eps1: ε₁, keeps the quotient finite.
    """
    square = grad * grad
    row_var.mul_(stay).add_(fresh * square.mean(dim=-1, keepdim=True))
    col_var.mul_(stay).add_(fresh * square.mean(dim=-2, keepdim=True))
    mean: Tensor = row_var.mean(dim=-2, keepdim=True).clamp(min=eps1)
    return row_var * col_var / mean


class Adafactor(UpdateRule):
    """Adafactor: Adam's scaling with memory for rows and columns, and steps relative to p.

    Shazeer & Stern 2018, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost",
    algorithms 4 and 5 (without a momentum), with PyTorch's learning rate as the bound of ρ.

    Args:
        params: the tensors to train, or groups of them.
        lr: the largest ρ; ρ at step t is the lesser of lr and 1/√t.
        beta2_decay: τ; at step t the running means take in the share t^τ.
        eps: ε₁, which keeps quotients finite (None: the dtype's epsilon), and ε₂, the least size
            that a parameter counts for.
        d: the size from which on an update is scaled down.
        weight_decay: λ; p shrinks by lr·λ at each step.
        foreach: PyTorch's; it changes nothing here.
        maximize: climb instead.

    >>> import narae
    >>> w = narae.ones(2, 3, requires_grad=True)
    >>> optimizer = narae.optim.Adafactor([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w[0]
    tensor([0.9000, 0.9000, 0.9000], grad_fn=<SelectBackward0>)
    """

    numbers = ("stay", "fresh", "rho", "keep")
    host_numbers = frozenset({"lr", "beta2_decay", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init__(
        self,
        params: Iterable[Any],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        check_learning_rate(lr)
        eps1 = 0.0 if eps[0] is None else eps[0]
        _check(beta2_decay <= 0, "beta2_decay should be <= 0", beta2_decay)
        _check(eps1 >= 0, "epsilon1 should be >= 0", eps1)
        _check(eps[1] >= 0, "epsilon2 should be >= 0", eps[1])
        _check(d >= 1, "Clipping threshold d should be >= 1", d)
        _check(weight_decay >= 0, "weight_decay should be >= 0", weight_decay)
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def buffers_of(self, p: Tensor, group: dict[str, Any]) -> dict[str, tuple[Shape, float]]:
        shape = tuple(p._value.shape)
        if len(shape) < 2:
            return {"variance": (shape, 0.0)}
        row_shape, col_shape = (*shape[:-1], 1), (*shape[:-2], 1, shape[-1])
        return {"row_var": (row_shape, 0.0), "col_var": (col_shape, 0.0)}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        step, lr = host["step"], number(group["lr"])
        fresh, keep = step ** group["beta2_decay"], 1 - lr * group["weight_decay"]
        return 1 - fresh, fresh, min(lr, step**-0.5), keep

    def regularized(
        self, p: Tensor, grad: Tensor, group: dict[str, Any], weight_decay: Any, shrink: Any
    ) -> Tensor:
        return -grad if group["maximize"] else grad  # the decay comes after the size was taken

    def update(
        self, p: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any], **numbers: Any
    ) -> None:
        stay, fresh, (eps1, eps2) = numbers.pop("stay"), numbers.pop("fresh"), group["eps"]
        if eps1 is None:
            eps1 = finfo(p.dtype).eps
        if "variance" in state:
            variance = state["variance"].mul_(stay).add_(fresh * grad * grad)
        else:
            variance = factored_variance(
                grad, state["row_var"], state["col_var"], stay, fresh, eps1
            )
        if group["weight_decay"] == 0:
            numbers["keep"] = None
        update(p, grad, variance, eps1=eps1, eps2=eps2, d=group["d"], **numbers)


def _check(holds: bool, rule: str, value: float) -> None:
    if not holds:
        raise ConfigError(f"{rule} but is: {value}")
