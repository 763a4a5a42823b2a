"""What Adam and its relatives share: running means of gradients and of their squares."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from narae.base.errors import ConfigError
from narae.tensors import Tensor

from .rule import UpdateRule
from .settings import check_betas, check_not_negative, number


class Moments(UpdateRule):
    """Base of Adam, NAdam and RAdam. A subclass says which factors its step needs beside β₁ and β₂.

    * `factors`: their names.
    * `factors_at(step, group, host)`: the factors at a step, counted from 1.
    """

    factors: ClassVar[tuple[str, ...]] = ()
    host_numbers = frozenset({"lr", "betas", "eps", "weight_decay"})
    switches = frozenset({"weight_decay"})

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        means = ("beta1", "fresh1", "beta2", "fresh2", "eps", "weight_decay", "shrink")
        cls.numbers = (*cls.factors, *means)

    def __init__(self, params: Iterable[Any], defaults: dict[str, Any]) -> None:
        check_not_negative(
            {"learning rate": defaults["lr"], "epsilon value": defaults["eps"]},
        )
        check_betas(defaults["betas"])
        check_not_negative({"weight_decay value": defaults["weight_decay"]})
        check_tensors(defaults)
        defaults["betas"] = tuple(number(beta) for beta in defaults["betas"])
        super().__init__(params, defaults)

    def factors_at(
        self, step: float, group: dict[str, Any], host: dict[str, float]
    ) -> Sequence[float]:
        """The factors of a step."""
        raise NotImplementedError(f"{type(self).__name__} must say how large its steps are")

    def buffers(self, group: dict[str, Any]) -> dict[str, float]:
        return {"exp_avg": 0.0, "exp_avg_sq": 0.0}

    def advance(self, group: dict[str, Any], host: dict[str, float]) -> Sequence[float]:
        host["step"] += 1
        (beta1, beta2), decay = group["betas"], group["weight_decay"]
        factors = self.factors_at(host["step"], group, host)
        means = beta1, 1 - beta1, beta2, 1 - beta2
        return *factors, *means, group["eps"], decay, 1 - number(group["lr"]) * decay


def check_tensors(defaults: dict[str, Any]) -> None:
    """Refuse settings as tensors where PyTorch does.

    Raises:
        ValueError: with PyTorch's message.
    """
    betas = [isinstance(beta, Tensor) for beta in defaults["betas"]]
    if any(betas) and not all(betas):
        raise ConfigError("betas must be either both floats or both Tensors")
    if defaults.get("foreach") and not defaults.get("capturable"):
        given = {"lr": isinstance(defaults["lr"], Tensor), "betas[0]": betas[0]}
        for name in (name for name, is_tensor in given.items() if is_tensor):
            raise ConfigError(
                f"{name} as a Tensor is not supported for capturable=False and foreach=True"
            )
