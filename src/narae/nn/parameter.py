"""`Parameter` and `Buffer`: tensors that a Module registers when they become its attributes."""

from typing import Any

from narae.tensors import Parameter, Tensor


class _IsBuffer(type):
    """Buffers are plain tensors that carry a mark."""

    def __instancecheck__(cls, instance: object) -> bool:
        return isinstance(instance, Tensor) and bool(instance.__dict__.get("_is_buffer", False))


class Buffer(metaclass=_IsBuffer):
    """A tensor that belongs to a module's state but is not trained, such as a running mean.

    Args:
        data: the tensor whose storage it shares; None for an empty one.
        persistent: whether it is part of the `state_dict`.
    """

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        buffer: Any = (Tensor() if data is None else data).detach()
        buffer.__dict__.update(_is_buffer=True, persistent=persistent)
        return buffer


__all__ = ["Buffer", "Parameter"]
