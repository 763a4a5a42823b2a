"""What all losses check before they compute: reduction, sizes, dtypes, weights."""

from typing import Any

from narae.base.dtypes import default_dtype, is_floating, result_type
from narae.base.errors import DTypeError, GraphError, NotSupportedError, ShapeError, explain
from narae.base.notices import warn_user
from narae.base.shapes import broadcast_shapes
from narae.primitives import expand, sigmoid, softmax
from narae.tensors import Tensor
from narae.tensors.eager import apply, converted
from narae.tensors.modes import modes

REDUCTIONS = ("none", "mean", "sum")


def chosen_reduction(
    reduction: str, size_average: bool | None = None, reduce: bool | None = None
) -> str:
    """The reduction, also from the two arguments of old programs.

    Raises:
        ValueError: if it is not "none", "mean" or "sum".
    """
    if size_average is not None or reduce is not None:
        return legacy_reduction(size_average, reduce)
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{reduction} is not a valid value for reduction: one of 'none', 'mean', 'sum'"
        )
    return reduction


def legacy_reduction(size_average: bool | None, reduce: bool | None) -> str:
    """What `size_average` and `reduce` meant, with PyTorch's warning."""
    if reduce is False:
        found = "none"
    else:
        found = "sum" if size_average is False else "mean"
    warn_user(
        f"size_average and reduce args will be deprecated, please use reduction='{found}' instead."
    )
    return found


def check_tensors(what: str, **tensors: Any) -> None:
    """Refuse anything that is not a tensor.

    Raises:
        TypeError: naming the argument.
    """
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            raise TypeError(
                f"{what}(): argument '{name}' must be Tensor, not {type(x).__name__}. Fix: "
                "narae.tensor(...)"
            )


def promoted(*tensors: Tensor) -> list[Tensor]:
    """The tensors in their common dtype."""
    dtype = result_type([x._value for x in tensors])
    return [converted(x, dtype) for x in tensors]


def check_floating(what: str, x: Tensor) -> None:
    """Losses need floating point numbers.

    Raises:
        NotImplementedError: for others, as in PyTorch.
    """
    if not is_floating(x._value.dtype):
        raise NotSupportedError(
            explain(
                what,
                f"input is {x.dtype}",
                f'"{what}" is not implemented for integers: losses need floating point numbers',
                "convert with .float()",
            )
        )


def same_size_pair(what: str, input: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Input and target in one dtype and one shape, with a warning if they had to be broadcast."""
    check_tensors(what, input=input, target=target)
    x, y = input._value, target._value
    if x.dtype != y.dtype:
        input, target = promoted(input, target)
    check_floating(what, input)
    if x.shape != y.shape:
        shape = broadcast_shapes(x.shape, y.shape, what=what)
        _warn_of_sizes(tuple(x.shape), tuple(y.shape), shape)
        input, target = broadcast_to(input, shape), broadcast_to(target, shape)
    return input, target


def broadcast_to(x: Tensor, shape: Any) -> Tensor:
    """x repeated to a shape that it broadcasts to."""
    return x if tuple(x._value.shape) == tuple(shape) else apply(expand, x, shape=tuple(shape))


def _warn_of_sizes(x: Any, y: Any, shape: Any) -> None:
    warn_user(
        f"Using a target size ({_size(y)}) that is different to the input size ({_size(x)}). "
        "This will likely lead to incorrect results due to broadcasting: every element of "
        f"{list(shape)} is compared. Please ensure they have the same size. Fix: {_size_fix(x, y)}"
    )


def _size(shape: Any) -> str:
    return f"narae.Size({list(shape)})"


def _size_fix(x: Any, y: Any) -> str:
    """The call that makes the sizes equal, if a dimension of size 1 is all that differs."""
    for dim, size in enumerate(x):
        if size == 1 and x[:dim] + x[dim + 1 :] == y:
            return f"input.squeeze({dim}), or target.unsqueeze({dim})"
    for dim, size in enumerate(y):
        if size == 1 and y[:dim] + y[dim + 1 :] == x:
            return f"target.squeeze({dim}), or input.unsqueeze({dim})"
    return f"target.expand_as(input) if every target is meant for several inputs: {y} and {x}"


def warn_of_probabilities(what: str, input: Any) -> None:
    """Warn where a loss that takes scores is given the result of a softmax or sigmoid.

    The loss would still fall, slowly: it then sees scores between 0 and 1 alone. What made a
    tensor is known where gradients are recorded, and is looked for through reshapes.
    """
    node = input._node
    while node is not None:
        operation = (node[0] if type(node) is tuple else node).operation
        if operation is softmax or operation is sigmoid:
            _warn_of_probabilities(what, operation.name)
        if getattr(operation, "kind", "") != "movement":
            return
        parent = (node[0] if type(node) is tuple else node).parents[0]
        node = getattr(parent, "_node", parent)


_TAKES = {
    "nll_loss": "log-probabilities, from log_softmax",
    "cross_entropy": "scores (logits), and applies log_softmax itself",
    "binary_cross_entropy_with_logits": "scores (logits), and applies sigmoid itself",
}


def _warn_of_probabilities(what: str, activation: str) -> None:
    if what == "nll_loss":
        fix = "log_softmax in place of softmax, or cross_entropy on the scores"
    else:
        other = "binary_cross_entropy" if activation == "sigmoid" else "nll_loss of log_softmax"
        fix = f"leave out the {activation}, or use {other}"
    warn_user(
        f"[{what}] the input is the result of {activation}: {what} takes {_TAKES[what]}. "
        f"Training would be slow and end too early. Fix: {fix}"
    )


def no_gradient(what: str, name: str, weight: Tensor | None) -> None:
    """Refuse a weight that wants a gradient, which PyTorch does not have either.

    Raises:
        RuntimeError: naming the argument.
    """
    if weight is not None and modes.grad and weight.requires_grad:
        raise GraphError(
            f"[{what}] The function '{what}' is not differentiable with respect to argument "
            f"'{name}'. This input cannot have requires_grad True. Fix: {name}.detach()"
        )


def class_weight(what: str, weight: Tensor | None, input: Tensor, classes: int) -> Tensor | None:
    """The weights of classes, checked.

    Raises:
        RuntimeError: unless there is one weight for each class, in the dtype of the input.
    """
    if weight is None:
        return None
    check_tensors(what, weight=weight)
    if tuple(weight._value.shape) != (classes,):
        raise ShapeError(
            explain(
                what,
                f"weight tensor should be defined either for all {classes} classes or no classes "
                f"but got weight tensor of shape: {list(weight.shape)}",
                "there is one weight for each class",
                f"a weight of shape ({classes},)",
            )
        )
    if weight._value.dtype != input._value.dtype:
        raise DTypeError(
            explain(
                what,
                f"expected scalar type {input.dtype} but found {weight.dtype} for the weight",
                "scores and weights have one dtype",
                f"weight.to({input.dtype})",
            )
        )
    return weight


def in_one_shape(what: str, *tensors: Tensor) -> list[Tensor]:
    """The tensors in one floating point dtype and one shape."""
    check_tensors(what, **{f"argument {place}": x for place, x in enumerate(tensors)})
    found = promoted(*tensors)
    if not is_floating(found[0]._value.dtype):
        found = [converted(x, default_dtype()) for x in found]
    shape = broadcast_shapes(*(x._value.shape for x in found), what=what)
    return [broadcast_to(x, shape) for x in found]


def check_equal_sizes(what: str, input: Tensor, target: Tensor) -> None:
    """Refuse an input and a target of different shapes.

    Raises:
        ValueError: with the fix.
    """
    check_tensors(what, input=input, target=target)
    if input._value.shape != target._value.shape:
        raise ShapeError(
            explain(
                what,
                f"Target size ({list(target.shape)}) must be the same as input size "
                f"({list(input.shape)})",
                "every element of the input has one target",
                _unequal_fix(tuple(input.shape), tuple(target.shape)),
            )
        )


def _unequal_fix(x: tuple[int, ...], y: tuple[int, ...]) -> str:
    if x == (*y, 1):
        return f"target.unsqueeze({len(y)}), or input.squeeze({len(y)})"
    return "give both one shape; nothing is broadcast here"
