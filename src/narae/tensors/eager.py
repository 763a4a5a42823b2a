"""Running an operation on tensors: compute now (or record it in a trace), and keep a tape."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from narae.autograd.tape import TapeNode
from narae.base.dtypes import FLOAT32, as_numpy, is_floating, is_half, result_type
from narae.base.places import user_place
from narae.ir import Value
from narae.ir.builder import current_builder
from narae.ir.dispatch import bind, register_interpreter, register_source
from narae.primitives import Primitive, full
from narae.primitives import cast as cast_primitive
from narae.primitives.record import residual_count
from narae.reference import execute, lowered

from .modes import modes
from .tensor import Parameter, Tensor, wrap

ndarray = np.ndarray


# --- who computes ---------------------------------------------------------------------------


def _without_operands(operation: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    """Constants belong to the innermost trace that is going on, if there is one."""
    if "dtype" in attrs:
        attrs["dtype"] = as_numpy(attrs["dtype"])
    builder = current_builder()
    if builder is not None:
        return builder.add(operation, operands, attrs)
    return execute(operation, operands, attrs)


def _on_tensors(operation: Any, operands: tuple[Any, ...], attrs: dict[str, Any]) -> Any:
    return apply(operation, *operands, **attrs)


register_interpreter(ndarray, 0, execute)
register_interpreter(np.generic, 0, execute)
register_interpreter(Tensor, 2, _on_tensors)
register_interpreter(Parameter, 2, _on_tensors)
register_source(_without_operands)


# --- the tape -------------------------------------------------------------------------------


class Saved:
    """A saved operand whose storage had been written to before: its version then."""

    __slots__ = ("tensor", "version")

    def __init__(self, tensor: Tensor, version: int) -> None:
        self.tensor, self.version = tensor, version


class SavedOutput:
    """A saved result: not the tensor itself, which would keep the tape alive in a circle."""

    __slots__ = ("cell", "index", "value", "version")

    def __init__(self, tensor: Tensor, index: int) -> None:
        self.value = tensor._value
        cell = tensor._cell
        if cell is None:  # a result is new: no trace need remember it
            cell = tensor._cell = [0, ""]
        self.cell = cell
        self.version = cell[0]
        self.index = index


def edge_of(tensor: Tensor) -> Any:
    """What a gradient of this tensor is sent to: the node that made it, or itself, a leaf."""
    if tensor._view is not None:
        tensor._view.refresh(tensor)
    if not tensor._requires_grad:
        return None
    return tensor if tensor._node is None else tensor._node


def save_operand(operand: Any) -> Any:
    """An operand as the tape keeps it: with its version, once its storage was written to."""
    if isinstance(operand, Tensor):
        cell = operand._cell
        if cell is not None and cell[0] != 0:
            return Saved(operand, cell[0])
    return operand


def _saved_items(
    operation: Primitive, operands: Sequence[Any], results: Sequence[Tensor], attrs: dict[str, Any]
) -> list[Any]:
    saved: list[Any] = []
    for kind, index in operation.save_plan:
        if kind == "operand":
            saved.append(save_operand(operands[index]))
        elif kind == "output":
            saved.append(SavedOutput(results[index], index))
        elif kind == "shape":
            operand = operands[index]
            known = operand._value if operand.__class__ is Tensor else _with_shape(operand)
            saved.append(known.shape)
        elif kind == "dtype":
            operand = operands[index]
            known = operand._value if operand.__class__ is Tensor else _with_shape(operand)
            saved.append(known.dtype)
        elif kind == "operands":
            saved.extend([save_operand(operand) for operand in operands])
        elif kind == "outputs":
            saved.extend(SavedOutput(result, place) for place, result in enumerate(results))
        elif kind == "residuals":
            first = len(results) - residual_count(attrs)
            saved.extend(SavedOutput(results[i], i) for i in range(first, len(results)))
        else:
            for operand in operands:
                known = operand._value if operand.__class__ is Tensor else _with_shape(operand)
                saved.append(known.shape)
    return saved


def _with_shape(operand: Any) -> Any:
    """What has the shape of an operand; backward rules also mix tensors with arrays they made."""
    if isinstance(operand, Tensor):
        return operand._value
    return operand if hasattr(operand, "shape") else np.asarray(operand)


def _edges_of(operands: Sequence[Any]) -> list[Any] | None:
    """The edge of each operand, None where no gradient goes (as `edge_of`); None if all are."""
    edges: list[Any] = []
    wanted = False
    for x in operands:
        edge = None
        if isinstance(x, Tensor):
            if x._view is not None:
                x._view.refresh(x)
            if x._requires_grad:
                edge = x if x._node is None else x._node
                wanted = True
        edges.append(edge)
    return edges if wanted else None


def record(
    operation: Any, operands: Sequence[Any], results: Sequence[Tensor], attrs: dict[str, Any]
) -> None:
    """Put a node on the tape if some operand needs a gradient."""
    edges = _edges_of(operands)
    if edges is None:
        return
    parents = tuple(edges)
    plan = operation.save_plan
    saved = _saved_items(operation, operands, results, attrs) if plan else []
    if operation.outputs == 1:
        (out,) = results
        if "dtype" in attrs and not is_floating(out._value.dtype):
            return
        node = TapeNode(operation, parents, saved, attrs, out._value.shape)
        out._node = node
        out._requires_grad = True
    else:
        shapes = [out._value.shape for out in results]
        node = TapeNode(operation, parents, saved, attrs, shapes)
        for index, out in enumerate(results):
            dtype = out._value.dtype
            if dtype.kind == "f" or is_floating(dtype):
                out._node = (node, index)
                out._requires_grad = True
    if operation.keeps_values:
        node.line = user_place(2)
    if modes.anomaly:
        _note_place(node, results)


# --- applying operations --------------------------------------------------------------------


def apply(operation: Any, *operands: Any, **attrs: Any) -> Any:
    """Apply any primitive or composite to tensors (and Python numbers).

    Returns:
        A tensor, or a tuple of tensors when the operation has several results.
    """
    if "dtype" in attrs:
        attrs["dtype"] = as_numpy(attrs["dtype"])
    plain = modes.plain
    if not plain and modes.trace is not None:
        return _apply_traced(operation, operands, attrs)
    values = []
    tracked = False
    for x in operands:
        if isinstance(x, Tensor):
            if x._requires_grad or x._view is not None:
                tracked = True
            x = x._value
        if x.__class__ is Value:
            return _apply_traced(operation, operands, attrs)
        values.append(x)
    result = execute(operation, values, attrs)
    if operation.outputs == 1:
        out: Any = wrap(result)
        results: Any = (out,)
    else:
        out = results = tuple([wrap(item) for item in result])
    if tracked and operation.differentiable and (plain or modes.grad):
        record(operation, operands, results, attrs)
    elif not plain and modes.inference:
        for item in results:
            item._inference = True
    return out


def _apply_traced(operation: Any, operands: Sequence[Any], attrs: dict[str, Any]) -> Any:
    """Apply to symbolic payloads: `bind` records in the program that they belong to."""
    trace = modes.trace
    values = [_payload(x, trace) for x in operands]
    result = bind(operation, *values, **attrs)
    several = operation.outputs != 1
    results = tuple([wrap(item) for item in result]) if several else (wrap(result),)
    if modes.grad and operation.differentiable:
        record(operation, operands, results, attrs)
    if not several and result.shape == () and _all_weak(operands):
        results[0]._weak = True
    return results if several else results[0]


def _payload(x: Any, trace: Any) -> Any:
    if not isinstance(x, Tensor):
        return x
    return x._value if trace is None else trace.value_of(x)


def _all_weak(operands: Sequence[Any]) -> bool:
    """Whether everything was a number: then the result is one, too."""
    tensors = [x for x in operands if isinstance(x, Tensor)]
    return bool(tensors) and all(x._weak for x in tensors)


def unary(operation: Primitive) -> Callable[[Tensor], Tensor]:
    """A function of one tensor, with a short path for plain arrays."""
    kernels = lowered(operation)
    plan = operation.save_plan
    saves_operand = plan == (("operand", 0),)
    saves_output = plan == (("output", 0),)
    short = saves_operand or saves_output or not plan
    differentiable = operation.differentiable

    def run(x: Tensor) -> Tensor:
        value = x._value
        kernel = kernels.get(value.dtype) if value.__class__ is ndarray else None
        plain = modes.plain
        if kernel is None or not (plain or _only_grad_is_off()) or x._view is not None or not short:
            return apply(operation, x)  # type: ignore[no-any-return]
        result = kernel(value)
        out: Tensor = wrap(result if result.__class__ is ndarray else np.asarray(result))
        if plain and x._requires_grad and differentiable:
            if saves_operand:
                saved = [save_operand(x)]
            else:
                saved = [SavedOutput(out, 0)] if saves_output else []
            node = x._node
            out._node = made = TapeNode(
                operation, (x if node is None else node,), saved, {}, value.shape
            )
            out._requires_grad = True
            if saved:
                made.line = user_place()
        return out

    return run


def _only_grad_is_off() -> bool:
    """Whether nothing but the recording of gradients sets the modes apart from the usual."""
    return modes.trace is None and not modes.anomaly and not modes.inference


def _note_place(node: TapeNode, results: Sequence[Tensor]) -> None:
    from .anomaly import note_place

    note_place(node, results)


def binary(operation: Primitive) -> Callable[[Any, Any], Tensor]:
    """A function of two tensors (or a tensor and a number), with a short path for plain arrays.

    Operands of different dtypes are converted by PyTorch's promotion rules first.
    """
    kernels = lowered(operation)
    saves_both = operation.save_plan == (("operand", 0), ("operand", 1))
    short = saves_both or not operation.save_plan
    differentiable = operation.differentiable

    def run(x: Any, y: Any) -> Tensor:
        if x.__class__ is float or x.__class__ is int:
            return _with_number(operation, kernels, x, y, y)
        if x.__class__ is not Tensor and x.__class__ is not Parameter:
            return binary_promoted(operation, x, y)
        if y.__class__ is float or y.__class__ is int:
            return _with_number(operation, kernels, x, y, x)
        if y.__class__ is not Tensor and y.__class__ is not Parameter:
            return binary_promoted(operation, x, y)
        first, second = x._value, y._value
        alike = first.dtype is second.dtype and first.__class__ is second.__class__ is ndarray
        kernel = kernels.get(first.dtype) if alike else None
        plain = modes.plain
        if (
            kernel is None
            or not (plain or _only_grad_is_off())
            or x._view is not None
            or y._view is not None
            or not short
        ):
            return binary_promoted(operation, x, y)
        try:
            result = kernel(first, second)
        except ValueError:
            raise _broadcast_error(operation, first, second) from None
        out: Tensor = wrap(result if result.__class__ is ndarray else np.asarray(result))
        if plain and (x._requires_grad or y._requires_grad) and differentiable:
            saved = [save_operand(x), save_operand(y)] if saves_both else []
            parents = (
                (x if x._node is None else x._node) if x._requires_grad else None,
                (y if y._node is None else y._node) if y._requires_grad else None,
            )
            out._node = made = TapeNode(operation, parents, saved, {}, result.shape)
            out._requires_grad = True
            if saved:
                made.line = user_place()
        return out

    return run


def _with_number(operation: Primitive, kernels: Any, x: Any, y: Any, tensor: Any) -> Tensor:
    """A tensor (one of x and y) and a number: the short path for plain arrays of floats."""
    if tensor.__class__ is not Tensor and tensor.__class__ is not Parameter:
        return binary_promoted(operation, x, y)
    value = tensor._value
    kernel = kernels.get(value.dtype) if value.__class__ is ndarray else None
    if kernel is None or not modes.plain or tensor._view is not None or value.dtype.kind != "f":
        return binary_promoted(operation, x, y)
    if tensor is x:
        y = float(y)
        result = kernel(value, y)
    else:
        x = float(x)
        result = kernel(x, value)
    out: Tensor = wrap(result if result.__class__ is ndarray else np.asarray(result))
    if tensor._requires_grad and operation.differentiable:
        record(operation, (x, y), (out,), {})
    return out


def binary_promoted(operation: Primitive, x: Any, y: Any) -> Tensor:
    """Convert the operands to their common dtype, then apply."""
    x, y = as_operand(x, operation.name), as_operand(y, operation.name)
    dtype = result_type([_typed(x), _typed(y)])
    if is_half(dtype) and (_is_weak(x) or _is_weak(y)):
        wide = binary_promoted(operation, converted(x, FLOAT32), converted(y, FLOAT32))
        narrow: Tensor = converted(wide, dtype)
        return narrow  # as eager mode does: float32 inside, rounded once
    x, y = converted(x, dtype), converted(y, dtype)
    if operation.kind == "composite" or not (isinstance(x, Tensor) or isinstance(y, Tensor)):
        x, y = no_number(x, dtype), no_number(y, dtype)
    try:
        return apply(operation, x, y)  # type: ignore[no-any-return]
    except ValueError as error:
        if isinstance(error, RuntimeError):
            raise
        raise _broadcast_error(operation, x, y) from None


def no_number(operand: Any, dtype: Any) -> Tensor:
    """A number as a tensor: inside a decomposition it would have no neighbour to take after."""
    if isinstance(operand, Tensor):
        return operand
    return wrap(full(shape=(), value=operand, dtype=dtype))


def _is_weak(operand: Any) -> bool:
    return isinstance(operand, Tensor) and operand._weak


def _typed(operand: Any) -> Any:
    if isinstance(operand, Tensor):
        return 1.0 if operand._weak else operand._value
    return operand


def _broadcast_error(operation: Primitive, x: Any, y: Any) -> Exception:
    from narae.base.errors import ShapeError, explain

    return ShapeError(
        explain(
            operation.name,
            f"x is {tuple(x.shape)}, y is {tuple(y.shape)}",
            "The size of tensor a must match the size of tensor b, or one of them must be 1, in "
            "every dimension counted from the last",
            "reshape, or insert a dimension of size 1 with unsqueeze",
        )
    )


_NUMBERS = (bool, int, float)


def as_operand(x: Any, what: str) -> Any:
    """A tensor or a Python number; NumPy's scalars and arrays become one of them.

    Raises:
        TypeError: for anything else.
    """
    if isinstance(x, (Tensor, bool, int, float)):
        return x
    if isinstance(x, np.generic) or (isinstance(x, ndarray) and x.ndim == 0):
        return x.item()
    if isinstance(x, ndarray):
        return wrap(x)
    raise TypeError(f"{what}(): argument must be Tensor or a number, not {type(x).__name__}")


def converted(x: Any, dtype: Any) -> Any:
    """A tensor in that dtype (itself if it has it); numbers take the dtype of their neighbour."""
    if isinstance(x, Tensor):
        return x if x._value.dtype == dtype else apply(cast_primitive, x, dtype=dtype)
    if is_floating(dtype):
        return float(x)
    if dtype.kind == "b":
        return bool(x)
    return wrapped_integer(int(x), dtype)


def wrapped_integer(x: int, dtype: Any) -> int:
    """An integer as it is stored: modulo the size of the dtype, as in C."""
    info = np.iinfo(dtype)
    span = int(info.max) - int(info.min) + 1
    return (x - int(info.min)) % span + int(info.min)
