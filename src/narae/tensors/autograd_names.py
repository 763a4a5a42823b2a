"""What `narae.autograd` offers and only this floor can give."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .anomaly import detect_anomaly, is_anomaly_enabled, set_detect_anomaly
from .backward import backward, grad
from .custom_function import apply_function, differentiate_once
from .functional_autograd import hessian, hvp, jacobian, jvp, vhp, vjp
from .modes import enable_grad, inference_mode, no_grad, set_grad_enabled
from .tensor import Tensor, wrap

__all__ = [
    "Variable",
    "apply_function",
    "backward",
    "detect_anomaly",
    "differentiate_once",
    "enable_grad",
    "grad",
    "hessian",
    "hvp",
    "inference_mode",
    "is_anomaly_enabled",
    "jacobian",
    "jvp",
    "no_grad",
    "numbers",
    "set_detect_anomaly",
    "set_grad_enabled",
    "vhp",
    "vjp",
]


class _VariableMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor)


class Variable(metaclass=_VariableMeta):
    """The name that programs before PyTorch 0.4 use for tensors: `Variable(x)` is a tensor on x.

    >>> import narae
    >>> narae.autograd.Variable(narae.ones(2), requires_grad=True)
    tensor([1., 1.], requires_grad=True)
    """

    def __new__(cls, data: Tensor, requires_grad: bool = False) -> Any:
        """A tensor on the storage of `data`."""
        tensor = data.detach()
        return tensor.requires_grad_() if requires_grad else tensor


class _TensorNumbers:
    """How checking gradients sees tensors (the protocol `narae.autograd.numerical.Numbers`)."""

    def is_tensor(self, x: Any) -> bool:
        return isinstance(x, Tensor)

    def array_of(self, x: Tensor) -> np.ndarray[Any, Any]:
        return x._array

    def tensor_of(self, array: np.ndarray[Any, Any], requires_grad: bool = False) -> Tensor:
        tensor = wrap(np.asarray(array))
        return tensor.requires_grad_() if requires_grad else tensor

    def evaluate(self, function: Callable[..., Any], *arguments: Any) -> Any:
        with no_grad():
            return function(*arguments)

    def grad(
        self, outputs: Any, inputs: Any, weights: Sequence[Any], create_graph: bool
    ) -> tuple[Any, ...]:
        return grad(
            outputs,
            inputs,
            weights,
            retain_graph=True,
            create_graph=create_graph,
            allow_unused=True,
        )


numbers = _TensorNumbers()
