"""The text of a tensor: its numbers, and what cannot be seen in them."""

from narae.base.dtypes import default_dtype, of_numpy
from narae.ir import Value
from narae.ir.program import type_text

from .printing import format_scalar, shows_dtype, tensor_text
from .tensor import Tensor


def tensor_repr(tensor: Tensor) -> str:
    """What `repr` gives, as PyTorch writes it; a traced tensor shows its type instead of numbers.

    >>> import narae
    >>> narae.tensor([1.0, 2.0], requires_grad=True) * 2
    tensor([2., 4.], grad_fn=<MulBackward0>)
    """
    suffixes = _gradient_parts(tensor)
    value = tensor._value
    if type(value) is Value:
        return "tensor(" + ", ".join([f"<traced {type_text(value)}>", *suffixes]) + ")"
    name = str(of_numpy(value.dtype)) if shows_dtype(value, default_dtype()) else None
    return tensor_text(value, show_dtype=name, suffixes=suffixes)


def _gradient_parts(tensor: Tensor) -> list[str]:
    node = tensor.grad_fn
    if node is not None:
        return [f"grad_fn=<{node.name}>"]
    return ["requires_grad=True"] if tensor.requires_grad else []


def tensor_format(tensor: Tensor, spec: str) -> str:
    """What f-strings give: the number of a 0-d tensor, the text of others.

    Raises:
        TypeError: when a format is given for a tensor with dimensions.
    """
    symbolic = type(tensor._value) is Value
    if symbolic or (not spec and (tensor._value.ndim or type(tensor) is not Tensor)):
        return str(tensor)
    return format_scalar(tensor._array, spec)
