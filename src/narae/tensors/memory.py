"""Storage of tensors: sharing, copying, writing, and handing it to other libraries."""

from typing import Any

import numpy as np

from narae import primitives as p
from narae.base.dtypes import BFLOAT16, as_numpy
from narae.base.errors import GraphError, ShapeError, explain
from narae.base.shapes import contiguous_strides
from narae.ir import Value

from . import creation
from .eager import apply, converted
from .layout import strides_of
from .modes import modes
from .tensor import Parameter, Tensor, wrap
from .views import attach_view, check_writable, write

# --- copies and aliases ----------------------------------------------------------------------


def clone(input: Tensor, *, memory_format: Any = None) -> Tensor:
    """A copy with storage of its own, through which gradients flow."""
    return apply(p.copy, input)  # type: ignore[no-any-return]


def detach(input: Tensor) -> Tensor:
    """The same storage, through which no gradient flows.

    Writes to it count as writes to the tensor, so a backward pass that needs the old numbers says
    so instead of giving wrong gradients.
    """
    out: Tensor = apply(p.detach, input)
    attach_view(out, input, ((p.detach, {}),), detached=True)
    return out


def detach_(input: Tensor) -> Tensor:
    """Cut the tensor off from what it was computed from.

    Raises:
        RuntimeError: for views, whose base would still be attached.
    """
    if input._view is not None and not input._view.detached and input.requires_grad:
        raise GraphError("Can't detach views in-place. Use detach() instead.")
    input._log()
    input._node, input._requires_grad = None, False
    return input


def _data(self: Tensor) -> Tensor:
    """The same storage without gradients."""
    return detach(self)


def _set_data(self: Tensor, new: Tensor) -> None:
    """Let this tensor use the storage of another one."""
    if not isinstance(new, Tensor):
        raise TypeError(f"data must be a Tensor, not {type(new).__name__}")
    self._log()
    trace = modes.trace
    self._value = new._value if trace is None else trace.value_of(new)


# --- layout ----------------------------------------------------------------------------------


def contiguous(input: Tensor, memory_format: Any = None) -> Tensor:
    """The tensor itself if its elements are in row-major order, else a copy in that order."""
    return input if is_contiguous(input) else clone(input)


def is_contiguous(input: Tensor, memory_format: Any = None) -> bool:
    """Whether the elements are in row-major order without gaps."""
    value = input._value
    if type(value) is not Value:
        return bool(value.flags.c_contiguous)
    expected = zip(strides_of(input), contiguous_strides(value.shape), value.shape, strict=True)
    return all(found == wanted or size <= 1 for found, wanted, size in expected)


def stride(input: Tensor, dim: int | None = None) -> Any:
    """How many elements apart neighbours along each dimension are."""
    value = input._value
    contiguous_array = type(value) is not Value and value.flags.c_contiguous
    strides = contiguous_strides(value.shape) if contiguous_array else strides_of(input)
    return tuple(strides) if dim is None else strides[input._dim(dim)]


def _root(array: Any) -> Any:
    """The array that owns the memory."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def storage_offset(input: Tensor) -> int:
    """The position of the first element in its storage."""
    array = input._array
    start = _root(array).__array_interface__["data"][0]
    return int(data_ptr(input) - start) // array.itemsize


def data_ptr(input: Tensor) -> int:
    """The address of the first element."""
    return int(input._array.__array_interface__["data"][0])


class Storage:
    """The memory under one or several tensors, as far as questions about it go."""

    def __init__(self, array: Any) -> None:
        self._root = _root(array)

    def data_ptr(self) -> int:
        """Its address: equal for tensors that share memory."""
        return int(self._root.__array_interface__["data"][0])

    def nbytes(self) -> int:
        """Its size in bytes."""
        return int(self._root.nbytes)

    size = __len__ = nbytes


def untyped_storage(input: Tensor) -> Storage:
    """The memory under the tensor."""
    return Storage(input._array)


# --- other libraries -------------------------------------------------------------------------


def numpy(input: Tensor, *, force: bool = False) -> np.ndarray[Any, Any]:
    """An array on the same memory.

    Args:
        input: a tensor that does not require gradients.
        force: detach it first.

    Raises:
        RuntimeError: for a tensor that requires gradients.

    >>> import narae
    >>> x = narae.zeros(2)
    >>> x.numpy()[0] = 5
    >>> x
    tensor([5., 0.])
    """
    if input.requires_grad and not force:
        raise GraphError(
            "Can't call numpy() on Tensor that requires grad. Use tensor.detach().numpy() instead."
        )
    return input._array.view()


def _to_array(self: Tensor, dtype: Any = None, copy: bool | None = None) -> Any:
    """What NumPy calls to make an array of it."""
    array = numpy(self)
    if dtype is not None and array.dtype != dtype:
        return array.astype(dtype)
    return array.copy() if copy else array


def _dlpack(self: Tensor, *, stream: Any = None, **options: Any) -> Any:
    """What other libraries call to share the memory."""
    if self.requires_grad:
        raise BufferError("Can't export tensors that require gradient, use tensor.detach() first.")
    if self._array.dtype == BFLOAT16:
        raise BufferError(
            explain("dlpack", "the tensor is bfloat16", "NumPy cannot export it by DLPack",
                    "convert it to float32")
        )  # fmt: skip
    return self._array.__dlpack__(stream=stream, **options)


def _dlpack_device(self: Tensor) -> tuple[int, int]:
    """The CPU, as DLPack numbers it."""
    return (1, 0)


def from_dlpack(ext_tensor: Any, /) -> Tensor:
    """A tensor on the memory of another library's array.

    Args:
        ext_tensor: anything with `__dlpack__`, on the CPU.
    """
    if not hasattr(ext_tensor, "__dlpack__"):
        raise TypeError(f"from_dlpack needs an object with __dlpack__, not {type(ext_tensor)}")
    return creation.from_numpy(np.from_dlpack(ext_tensor))


# --- writing ---------------------------------------------------------------------------------


def copy_(input: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Write the elements of src, broadcast and converted, into the tensor."""
    if not isinstance(src, Tensor):
        src = creation.tensor(src)
    check_writable(input, "copy_")
    source = converted(src, input._value.dtype)
    if tuple(source._value.shape) != tuple(input._value.shape):
        source = _broadcast_source(source, input)
    return write(input, source, "copy_", overwrites=True)


def _broadcast_source(source: Tensor, input: Tensor) -> Tensor:
    found, wanted = tuple(source._value.shape), tuple(input._value.shape)
    pairs = zip(reversed(found), reversed(wanted), strict=False)
    if len(found) > len(wanted) or any(size not in (1, goal) for size, goal in pairs):
        raise ShapeError(
            explain(
                "copy_",
                f"src is {tuple(source._value.shape)}, the tensor {wanted}",
                "The size of tensor a must match the size of tensor b, or that of src must be 1",
            )
        )
    return apply(p.expand, source, shape=wanted)  # type: ignore[no-any-return]


def fill_(input: Tensor, value: Any) -> Tensor:
    """Write one number everywhere.

    Raises:
        ValueError: for a value with dimensions.
    """
    if isinstance(value, Tensor):
        if value._value.ndim:
            raise ShapeError(
                "fill_ only supports 0-dimension value tensor but got tensor with "
                f"{value._value.ndim} dimensions."
            )
        return copy_(input, value)
    check_writable(input, "fill_")
    dtype = input._value.dtype
    number = converted(value, dtype)
    filled = apply(p.full, shape=tuple(input._value.shape), value=number, dtype=dtype)
    return write(input, filled, "fill_")


def zero_(input: Tensor) -> Tensor:
    """Write zero everywhere."""
    return fill_(input, 0)


def fill(input: Tensor, value: Any) -> Tensor:
    """A copy with one number everywhere."""
    return fill_(clone(input), value)


def _set_(self: Tensor, source: Tensor | None = None) -> Tensor:
    """Let this tensor use the storage of another one."""
    _set_data(self, creation.zeros(0) if source is None else source)
    return self


# --- new tensors of the same dtype -----------------------------------------------------------


def _new(name: str, maker: Any, text: str) -> Any:
    def method(
        self: Tensor,
        *size: Any,
        dtype: Any = None,
        device: Any = None,
        requires_grad: bool = False,
        **layout: Any,
    ) -> Tensor:
        wanted = self._value.dtype if dtype is None else as_numpy(dtype)
        sizes = (layout.pop("size"),) if "size" in layout else size
        made: Tensor = maker(*sizes, dtype=wanted, device=device, requires_grad=requires_grad)
        return made

    method.__name__ = method.__qualname__ = name
    method.__doc__ = text
    return method


def _new_tensor(
    self: Tensor, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """A tensor that copies data, of this one's dtype unless another is given."""
    wanted = self._value.dtype if dtype is None else dtype
    return creation.tensor(data, dtype=wanted, device=device, requires_grad=requires_grad)


# --- copying and pickling --------------------------------------------------------------------


def _deepcopy(self: Tensor, memo: dict[int, Any]) -> Tensor:
    """A leaf with storage of its own, its gradient included."""
    if not self.is_leaf:
        raise GraphError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy "
            "protocol at the moment. Fix: use clone(), or detach() first"
        )
    if id(self) in memo:
        return memo[id(self)]  # type: ignore[no-any-return]
    copied = wrap(self._array.copy())
    copied._requires_grad = self.requires_grad
    if self._grad is not None:
        copied._grad = wrap(self._grad._array.copy())
    memo[id(self)] = copied
    return copied


def rebuilt(array: Any, requires_grad: bool, is_parameter: bool) -> Tensor:
    """Unpickle a tensor."""
    if is_parameter:
        return Parameter(wrap(array), requires_grad)
    tensor = wrap(array)
    tensor._requires_grad = requires_grad
    return tensor


def _reduce(self: Tensor) -> Any:
    """How pickle and `copy.copy` take it apart: the array, and whether it requires gradients."""
    if not self.is_leaf:
        raise GraphError(
            "a tensor with a grad_fn cannot be pickled: its graph would be lost. Fix: detach() it"
        )
    return rebuilt, (self._array, self.requires_grad, isinstance(self, Parameter))


def _same(self: Tensor, *_: Any) -> Tensor:
    """The tensor itself: memory of one process on the CPU needs no preparation."""
    return self


OPERATORS = {
    "data": property(_data, _set_data),
    "set_": _set_,
    "__array__": _to_array,
    "__dlpack__": _dlpack,
    "__dlpack_device__": _dlpack_device,
    "__deepcopy__": _deepcopy,
    "__reduce__": _reduce,
    "new_zeros": _new("new_zeros", creation.zeros, "Zeros of this dtype."),
    "new_ones": _new("new_ones", creation.ones, "Ones of this dtype."),
    "new_empty": _new("new_empty", creation.empty, "A tensor of this dtype to be written to."),
    "new_full": _new("new_full", creation.full, "One number everywhere, of this dtype."),
    "new_tensor": _new_tensor,
    "pin_memory": _same,
    "share_memory_": _same,
}
__all__ = ["clone", "detach", "detach_", "fill", "fill_", "from_dlpack", "zero_"]
METHODS = [
    "clone", "contiguous", "copy_", "data_ptr", "detach", "detach_", "fill_", "is_contiguous",
    "numpy", "storage_offset", "stride", "untyped_storage", "zero_",
]  # fmt: skip
