"""Questions about tensors as functions and attributes: sizes, kinds, places."""

from collections.abc import Callable
from typing import Any

from narae.base.errors import NotSupportedError, explain

from .arithmetic import is_same_size
from .devices import check_device
from .layout import strides_of
from .operands import require_tensor
from .settings import strided
from .tensor import Tensor


def numel(input: Tensor) -> int:
    """The number of elements."""
    return require_tensor(input, "numel").numel()


def is_nonzero(input: Tensor) -> bool:
    """Whether the one element is not zero.

    Raises:
        RuntimeError: for any other number of elements.
    """
    return bool(require_tensor(input, "is_nonzero"))


def is_signed(input: Tensor) -> bool:
    """Whether the elements can be negative."""
    return require_tensor(input, "is_signed").is_signed()


def is_inference(input: Tensor) -> bool:
    """Whether the tensor was made in inference mode."""
    return require_tensor(input, "is_inference")._inference


def get_device(input: Tensor) -> int:
    """-1: the CPU."""
    return int(require_tensor(input, "get_device").get_device())


def typename(obj: Any) -> str:
    """The name of a tensor's type, or of the class of anything else.

    >>> import narae
    >>> narae.typename(narae.zeros(1))
    'narae.FloatTensor'
    """
    if isinstance(obj, Tensor):
        return str(obj.type())
    kind = obj if isinstance(obj, type) else type(obj)
    module = "" if kind.__module__ in ("builtins", "__main__") else kind.__module__ + "."
    return module + kind.__qualname__


def _dim_order(self: Tensor) -> tuple[int, ...]:
    """The dimensions from the outermost in memory to the innermost."""
    steps = strides_of(self)
    return tuple(sorted(range(len(steps)), key=lambda dim: -steps[dim]))


def _is_set_to(self: Tensor, tensor: Tensor) -> bool:
    """Whether both are the same view of the same memory."""
    same_shape = tuple(self.shape) == tuple(tensor.shape)
    return same_shape and self.data_ptr() == tensor.data_ptr() and (
        self.stride() == tensor.stride()
    )  # fmt: skip


def _dense(self: Tensor, *_: Any, **__: Any) -> Tensor:
    """The tensor itself, which is dense."""
    return self


def _always(answer: Any, text: str) -> property:
    def read(self: Tensor) -> Any:
        return answer

    read.__doc__ = text
    return property(read)


def _never(self: Tensor) -> bool:
    """Always False on the CPU."""
    return False


def _no_sparse(name: str) -> Callable[..., Any]:
    def refuse(self: Tensor, *_: Any, **__: Any) -> Any:
        raise NotSupportedError(
            explain(name, "sparse tensors are out of scope", "Narae's tensors are dense",
                    "scipy.sparse takes x.numpy()")
        )  # fmt: skip

    refuse.__name__ = refuse.__qualname__ = name
    refuse.__doc__ = "Refuses: sparse tensors are out of scope."
    return refuse


_ELSEWHERE = (
    "is_ipu", "is_meta", "is_mkldnn", "is_mps", "is_mtia", "is_nested", "is_quantized",
    "is_sparse", "is_sparse_csr", "is_vulkan", "is_xla", "is_xpu",
)  # fmt: skip


def _array_namespace(self: Tensor, *, api_version: str | None = None) -> Any:
    """The functions of the array API standard: those of `narae.array_api`."""
    from .array_api import namespace

    return namespace(api_version)


def _to_device(self: Tensor, device: Any, /, *, stream: Any = None) -> Tensor:
    """The tensor itself, which is on the CPU; refuses devices that are not there."""
    check_device(device)
    return self


OPERATORS: dict[str, Any] = {
    "__array_namespace__": _array_namespace,
    "to_device": _to_device,
    **{name: _always(False, "Always False: such tensors are out of scope.") for name in _ELSEWHERE},
    **{name: _no_sparse(name) for name in ("to_sparse", "to_sparse_coo", "to_sparse_csr")},
    "layout": _always(strided, "How it is stored: dense, with strides."),
    "is_cpu": _always(True, "Whether its elements are in the memory of the CPU."),
    "name": _always(None, "None: tensors have no names."),
    "dim_order": _dim_order,
    "is_pinned": _never,
    "is_shared": _never,
    "is_set_to": _is_set_to,
    "to_dense": _dense,
}
__all__ = [
    "get_device", "is_inference", "is_nonzero", "is_same_size", "is_signed", "numel", "typename",
]  # fmt: skip
METHODS = ["is_inference", "is_nonzero"]
