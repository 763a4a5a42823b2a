"""The `Tensor`: a strided array that is mutable, may be a view, and may carry a tape.

Fields (all but `_value` are class defaults until they are needed):

    _value          the payload: a NumPy array, or a program's `Value` while tracing
    _requires_grad  whether gradients are recorded for what is computed from it
    _node           the edge of the tape that made it; None for a leaf
    _grad           the accumulated gradient of a leaf
    _cell           [version, line of the last write], shared by all tensors on one storage
    _view           how it was derived from its base, if it is a view
    _viewed         whether views were derived from it
    _weak           a symbolic number of the host: like a Python number in promotion
    _captured       whether a compiled step reads it without being given it
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from narae.base import dtypes
from narae.base.errors import GraphError, TraceError, explain
from narae.base.places import user_line, user_place
from narae.base.shapes import Size
from narae.ir import Value

from . import epoch
from .devices import CPU, Device
from .modes import modes

_new = object.__new__


class Tensor:
    """A multi-dimensional array with automatic differentiation.

    `Tensor(2, 3)` is an uninitialized float tensor of that shape and `Tensor([1, 2])` holds
    floats, as in old PyTorch programs; `narae.tensor` is the usual way to make one.
    """

    _value: Any
    _requires_grad: bool = False
    _node: Any = None
    _grad: Any = None
    _cell: list[Any] | None = None
    _view: Any = None
    _viewed: bool = False
    _hooks: Any = None
    _inference: bool = False
    _retains: int = 0
    _weak: bool = False
    _captured: bool = False
    __array_priority__ = 1000

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Most methods are attached by `tensors.methods`; type checkers cannot see them."""

        def __getitem__(self, index: Any) -> "Tensor": ...
        def __neg__(self) -> "Tensor": ...
        def __invert__(self) -> "Tensor": ...
        def __add__(self, other: Any) -> "Tensor": ...
        def __sub__(self, other: Any) -> "Tensor": ...
        def __mul__(self, other: Any) -> "Tensor": ...
        def __truediv__(self, other: Any) -> "Tensor": ...
        def __floordiv__(self, other: Any) -> "Tensor": ...
        def __mod__(self, other: Any) -> "Tensor": ...
        def __pow__(self, other: Any) -> "Tensor": ...
        def __matmul__(self, other: Any) -> "Tensor": ...
        def __and__(self, other: Any) -> "Tensor": ...
        def __or__(self, other: Any) -> "Tensor": ...
        def __xor__(self, other: Any) -> "Tensor": ...
        def __lshift__(self, other: Any) -> "Tensor": ...
        def __rshift__(self, other: Any) -> "Tensor": ...
        def __radd__(self, other: Any) -> "Tensor": ...
        def __rsub__(self, other: Any) -> "Tensor": ...
        def __rmul__(self, other: Any) -> "Tensor": ...
        def __rtruediv__(self, other: Any) -> "Tensor": ...
        def __rfloordiv__(self, other: Any) -> "Tensor": ...
        def __rmod__(self, other: Any) -> "Tensor": ...
        def __rpow__(self, other: Any) -> "Tensor": ...
        def __rmatmul__(self, other: Any) -> "Tensor": ...
        def __rand__(self, other: Any) -> "Tensor": ...
        def __ror__(self, other: Any) -> "Tensor": ...
        def __rxor__(self, other: Any) -> "Tensor": ...
        def __lt__(self, other: Any) -> "Tensor": ...
        def __le__(self, other: Any) -> "Tensor": ...
        def __gt__(self, other: Any) -> "Tensor": ...
        def __ge__(self, other: Any) -> "Tensor": ...

    def __init__(self, *sizes_or_data: Any, dtype: Any = None) -> None:
        from .creation import legacy_value

        self._value = legacy_value(sizes_or_data, dtype or dtypes.default_dtype())

    # --- what it is ------------------------------------------------------------------------

    @property
    def shape(self) -> Size:
        """The sizes of its dimensions."""
        return Size(self._value.shape)

    def size(self, dim: int | None = None) -> Any:
        """The shape, or the size of one dimension."""
        return self.shape if dim is None else self._value.shape[self._dim(dim)]

    def _dim(self, dim: int) -> int:
        from narae.base.shapes import normalize_dim

        return normalize_dim(dim, self._value.ndim)

    @property
    def ndim(self) -> int:
        """The number of dimensions."""
        return int(self._value.ndim)

    def dim(self) -> int:
        """The number of dimensions."""
        return int(self._value.ndim)

    ndimension = dim

    def numel(self) -> int:
        """The number of elements."""
        return int(self._value.size)

    nelement = numel

    def element_size(self) -> int:
        """Bytes an element takes."""
        return int(self._value.dtype.itemsize)

    @property
    def itemsize(self) -> int:
        """Bytes an element takes."""
        return int(self._value.dtype.itemsize)

    @property
    def nbytes(self) -> int:
        """Bytes all elements take."""
        return int(self._value.size * self._value.dtype.itemsize)

    @property
    def dtype(self) -> dtypes.DType:
        """The type of its elements."""
        return dtypes.of_numpy(self._value.dtype)

    @property
    def device(self) -> Device:
        """Where its elements are."""
        return CPU

    @property
    def is_cuda(self) -> bool:
        """Whether it lives on a CUDA device."""
        return False

    def is_floating_point(self) -> bool:
        """Whether its elements are floating point numbers."""
        return dtypes.is_floating(self._value.dtype)

    def is_complex(self) -> bool:
        """Always False: complex numbers are out of scope."""
        return False

    def is_signed(self) -> bool:
        """Whether its elements can be negative."""
        return self.dtype.is_signed

    def __len__(self) -> int:
        if self._value.ndim == 0:
            raise TypeError("len() of a 0-d tensor")
        return int(self._value.shape[0])

    __hash__ = object.__hash__  # by identity; `==` compares elements

    def __iter__(self) -> Iterator["Tensor"]:
        if self._value.ndim == 0:
            raise TypeError("iteration over a 0-d tensor")
        return iter(self.unbind(0))

    # --- gradients -------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        """Whether gradients are recorded for what is computed from it."""
        view = self._view
        if view is not None and view.origin is not None and view.origin._requires_grad:
            return True
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, wanted: bool) -> None:
        self.requires_grad_(wanted)

    def requires_grad_(self, requires_grad: bool = True) -> "Tensor":
        """Switch the recording of gradients on or off, in place.

        Raises:
            RuntimeError: for integer tensors, and for switching off what is not a leaf.
        """
        if requires_grad and not self.is_floating_point():
            raise GraphError(
                "only Tensors of floating point dtype can require gradients; this one is "
                f"{self.dtype}. Fix: convert it first, with .float()"
            )
        if not requires_grad and self._node is not None:
            raise GraphError(
                "you can only change requires_grad flags of leaf variables. Fix: use detach()"
            )
        if requires_grad and self._inference:
            raise GraphError("an inference tensor cannot require gradients: clone() it outside")
        if requires_grad != self._requires_grad:
            self._log()
            self._requires_grad = bool(requires_grad)
            if self._captured:
                epoch.bump()
        return self

    @property
    def is_leaf(self) -> bool:
        """Whether no recorded operation made it."""
        if self._view is not None:
            self._view.refresh(self)
        return self._node is None

    @property
    def grad_fn(self) -> Any:
        """The node of the tape that made it; None for a leaf."""
        if self._view is not None:
            self._view.refresh(self)
        node = self._node
        return node[0] if type(node) is tuple else node

    @property
    def output_nr(self) -> int:
        """Which output of `grad_fn` it is."""
        return self._node[1] if type(self._node) is tuple else 0

    @property
    def grad(self) -> "Tensor | None":
        """The gradient that `backward()` accumulated; None before."""
        grad = self._grad
        if type(grad) is not Tensor and grad is not None:
            grad.explain_missing()
        return grad  # type: ignore[no-any-return]

    @grad.setter
    def grad(self, value: "Tensor | None") -> None:
        if value is not None:
            self._check_grad(value)
        self._replace_grad(value)

    @grad.deleter
    def grad(self) -> None:
        self._replace_grad(None)

    def _replace_grad(self, value: "Tensor | None") -> None:
        trace = modes.trace
        if trace is not None:
            trace.log(self)
            trace.write_grad(self)
        self._grad = value

    def _check_grad(self, value: "Tensor") -> None:
        if not isinstance(value, Tensor):
            raise TypeError(
                f"assigned grad expected to be a Tensor or None but got {type(value).__name__}"
            )
        if value.shape != self.shape or value.dtype is not self.dtype:
            raise GraphError(
                explain(
                    "grad",
                    f"the tensor is {self.dtype} {tuple(self.shape)}, the gradient {value.dtype} "
                    f"{tuple(value.shape)}",
                    "a gradient has the shape and dtype of its tensor",
                )
            )

    def backward(
        self,
        gradient: "Tensor | None" = None,
        retain_graph: bool | None = None,
        create_graph: bool = False,
        inputs: Any = None,
    ) -> None:
        """Accumulate the gradients of this tensor in the leaves it was computed from.

        Args:
            gradient: the gradient of this tensor; may be left out for a single element (then 1).
            retain_graph: keep what the tape saved, to go back again.
            create_graph: record the backward pass itself, for second derivatives.
            inputs: only these leaves receive gradients.
        """
        from .backward import backward

        backward(self, gradient, retain_graph, create_graph, inputs=inputs)

    def register_hook(self, hook: Callable[["Tensor"], Any]) -> Any:
        """Call `hook(grad)` when the gradient of this tensor is computed; it may replace it."""
        from .backward import register_hook

        return register_hook(self, hook)

    def register_post_accumulate_grad_hook(self, hook: Callable[["Tensor"], None]) -> Any:
        """Call `hook(tensor)` after the gradient of this leaf was accumulated."""
        from .backward import register_post_hook

        return register_post_hook(self, hook)

    def retain_grad(self) -> None:
        """Let this tensor, which is not a leaf, keep its gradient in `.grad` too."""
        from .backward import retain_grad

        retain_grad(self)

    @property
    def retains_grad(self) -> bool:
        """Whether `retain_grad` was called on it."""
        return self._retains != 0

    # --- versions and tracing --------------------------------------------------------------

    @property
    def _version(self) -> int:
        """How often its storage was written to."""
        return 0 if self._cell is None else self._cell[0]

    def _shared_cell(self) -> list[Any]:
        """The version cell, made when it is first needed."""
        if self._cell is None:
            self._log()
            self._cell = [0, ""]
        return self._cell

    def _bump(self) -> None:
        """Note that the storage was written to, and where."""
        cell = self._shared_cell()
        trace = modes.trace
        if trace is not None:
            trace.log_cell(cell)
        cell[0] += 1
        cell[1] = user_place(3)

    def _log(self) -> None:
        """Let a trace remember the state of this tensor before it changes."""
        trace = modes.trace
        if trace is not None:
            trace.log(self)

    @property
    def _array(self) -> np.ndarray[Any, Any]:
        """The payload as an array; raises while it is symbolic."""
        value = self._value
        if type(value) is Value:
            raise TraceError(_symbolic_message(value))
        return value  # type: ignore[no-any-return]

    # --- numbers ---------------------------------------------------------------------------

    def item(self) -> bool | int | float:
        """The one element as a Python number."""
        array = self._value
        if type(array) is Value:
            array = self._array  # says why there is no number
        if array.size != 1:
            raise GraphError(
                f"a Tensor with {array.size} elements cannot be converted to Scalar. "
                "Fix: reduce it first (mean, sum), or use tolist()"
            )
        return array.item()  # type: ignore[no-any-return]

    def tolist(self) -> Any:
        """The elements as nested lists of Python numbers; a number for a 0-d tensor."""
        array = self._array
        return (
            array.astype(np.float64).tolist()
            if array.dtype.itemsize == 2 and (dtypes.is_half(array.dtype))
            else array.tolist()
        )

    def __bool__(self) -> bool:
        array = self._array
        if array.size != 1:
            amount = "more than one value" if array.size else "no values"
            raise GraphError(
                f"Boolean value of Tensor with {amount} is ambiguous. Fix: reduce it "
                "first with .any() or .all()"
            )
        return bool(array.item())

    def __float__(self) -> float:
        return float(self.item())

    def __int__(self) -> int:
        return int(self.item())

    def __index__(self) -> int:
        array = self._array
        if array.size != 1 or array.dtype.kind not in "iub":
            raise TypeError("only integer tensors of a single element can be converted to an index")
        return int(array.item())

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from .text import tensor_repr

        return tensor_repr(self)

    def __format__(self, spec: str) -> str:
        from .text import tensor_format

        return tensor_format(self, spec)


def _symbolic_message(value: Value) -> str:
    made = value.node.line if value.node is not None and value.node.line else "an input"
    if value.builder.closed:
        return (
            f"[trace] at {user_line()} a tensor is read that was made inside a traced step and "
            f"kept ({value!r}, made at {made}); it never got a number. Fix: return it from the "
            "step"
        )
    return (
        f"[trace] at {user_line()} the numbers of a tensor are read while its step is traced "
        f"({value!r}, made at {made}); a program has no numbers until it runs. Fix: return the "
        "tensor and read it after the step, or use narae.where instead of a Python `if`"
    )


class Parameter(Tensor):
    """A tensor that a Module registers as something to train.

    Args:
        data: the tensor whose storage it takes over; None for an empty one.
        requires_grad: whether gradients are recorded; True unless it is frozen.
    """

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> "Parameter":
        return _new(cls)

    def __init__(self, data: Tensor | None = None, requires_grad: bool = True) -> None:
        if data is None:
            data = Tensor()
        self._value = data._value
        if requires_grad:
            self.requires_grad_(True)

    def __repr__(self) -> str:  # type: ignore[override]
        return "Parameter containing:\n" + super().__repr__()

    def __deepcopy__(self, memo: dict[int, Any]) -> "Parameter":
        copied = Parameter(wrap(self._array.copy()), self._requires_grad)
        memo[id(self)] = copied
        return copied


def wrap(value: Any) -> Tensor:
    """A tensor around a payload."""
    tensor: Tensor = _new(Tensor)
    tensor._value = value
    return tensor
