"""Moving elements without computing: reshape, permute, expand, slice, pad, flip, concat, …

A primitive whose result can share memory with its operand has an `unview` rule: the operand after
something was written through the view. In-place writes to views are defined by it, in automatic
differentiation and in programs alike.
"""

from typing import Any

from narae.base.shapes import Shape

from .generators import zeros
from .record import Primitive, first_dtype, same_dtype, same_shape, shape_of


def _inverse(dims: Shape) -> Shape:
    """The permutation that undoes `dims`."""
    return tuple(sorted(range(len(dims)), key=dims.__getitem__))


reshape: Primitive = Primitive(
    "reshape",
    "movement",
    "x",
    "the same elements in row-major order under another shape",
    shape=lambda x, *, shape: shape,
    dtype=first_dtype,
    saves="x.shape",
    grads=(lambda grad, x_shape, shape: reshape(grad, shape=x_shape),),
    unview=lambda x, y, *, shape: reshape(y, shape=shape_of(x)),
    grad_name="ViewBackward0",
)

permute: Primitive = Primitive(
    "permute",
    "movement",
    "x",
    "dimension i of the result is dimension dims[i] of x",
    shape=lambda x, *, dims: tuple(x.shape[dim] for dim in dims),
    dtype=first_dtype,
    grads=(lambda grad, dims: permute(grad, dims=_inverse(dims)),),
    unview=lambda x, y, *, dims: permute(y, dims=_inverse(dims)),
)


def _expand_grad(grad: Any, x_shape: Shape, shape: Shape) -> Any:
    from .unbroadcast import sum_to_shape

    return sum_to_shape(grad, x_shape)


expand: Primitive = Primitive(
    "expand",
    "movement",
    "x",
    "x repeated along dimensions of size 1 and along new leading dimensions",
    shape=lambda x, *, shape: shape,
    dtype=first_dtype,
    saves="x.shape",
    grads=(_expand_grad,),
)


def _sliced_shape(x: Any, *, start: Shape, stop: Shape, step: Shape) -> Shape:
    spans = zip(start, stop, step, strict=True)
    return tuple(len(range(first, last, stride)) for first, last, stride in spans)


slice_: Primitive = Primitive(
    "slice",
    "movement",
    "x",
    "x[start:stop:step] in every dimension, step > 0",
    shape=_sliced_shape,
    dtype=first_dtype,
    saves="x.shape x.dtype",
    grads=(
        lambda grad, x_shape, x_dtype, start, stop, step: update_slice(
            zeros(x_shape, x_dtype), grad, start=start, stop=stop, step=step
        ),
    ),
    unview=lambda x, y, *, start, stop, step: update_slice(x, y, start=start, stop=stop, step=step),
)

update_slice: Primitive = Primitive(
    "update_slice",
    "movement",
    "x y",
    "x, but x[start:stop:step] is y",
    shape=same_shape,
    dtype=same_dtype,
    saves="y.shape y.dtype",
    grads=(
        lambda grad, y_shape, y_dtype, **where: update_slice(
            grad, zeros(y_shape, y_dtype), **where
        ),
        lambda grad, y_shape, y_dtype, **where: slice_(grad, **where),
    ),
    grad_name="CopySlices",
)


def _padded_shape(x: Any, *, low: Shape, high: Shape, value: float) -> Shape:
    sizes = zip(x.shape, low, high, strict=True)
    return tuple(size + before + after for size, before, after in sizes)


def _pad_grad(grad: Any, x_shape: Shape, low: Shape, high: Shape, value: float) -> Any:
    stop = tuple(before + size for before, size in zip(low, x_shape, strict=True))
    return slice_(grad, start=low, stop=stop, step=(1,) * len(low))


pad: Primitive = Primitive(
    "pad",
    "movement",
    "x",
    "x between `low` and `high` elements of a constant, in every dimension",
    shape=_padded_shape,
    dtype=first_dtype,
    saves="x.shape",
    grads=(_pad_grad,),
    grad_name="ConstantPadNdBackward0",
)

flip: Primitive = Primitive(
    "flip",
    "movement",
    "x",
    "x with the order along the dimensions `dim` reversed",
    shape=same_shape,
    dtype=first_dtype,
    grads=(lambda grad, dim: flip(grad, dim=dim),),
)


def _concat_shape(*xs: Any, dim: int) -> Shape:
    total = sum(x.shape[dim] for x in xs)
    first: Shape = tuple(xs[0].shape)
    return (*first[:dim], total, *first[dim + 1 :])


def _concat_grad(needs: Any, grads: Any, *shapes: Shape, dim: int) -> tuple[Any, ...]:
    (grad,) = grads
    pieces, position = [], 0
    for needed, shape in zip(needs, shapes, strict=True):
        size = shape[dim]
        pieces.append(narrow(grad, dim, position, size) if needed else None)
        position += size
    return tuple(pieces)


def narrow(x: Any, dim: int, first: int, length: int) -> Any:
    """A slice of `length` elements along one dimension."""
    shape = shape_of(x)
    start = tuple(first if place == dim else 0 for place in range(len(shape)))
    stop = tuple(first + length if place == dim else size for place, size in enumerate(shape))
    return slice_(x, start=start, stop=stop, step=(1,) * len(shape))


concat: Primitive = Primitive(
    "concat",
    "movement",
    "*xs",
    "all operands one after the other along a dimension",
    shape=_concat_shape,
    dtype=same_dtype,
    saves="*xs.shape",
    joint_grad=_concat_grad,
    grad_name="CatBackward0",
)


def _diagonal_shape(x: Any, *, offset: int, dim1: int, dim2: int) -> Shape:
    rows, columns = x.shape[dim1], x.shape[dim2]
    length = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    rest = [size for dim, size in enumerate(x.shape) if dim not in (dim1, dim2)]
    return (*rest, length)


diagonal: Primitive = Primitive(
    "diagonal",
    "movement",
    "x",
    "the elements with equal index (plus offset) in two dimensions, as a last dimension",
    shape=_diagonal_shape,
    dtype=first_dtype,
    saves="x.shape x.dtype",
    grads=(
        lambda grad, x_shape, x_dtype, **where: update_diagonal(
            zeros(x_shape, x_dtype), grad, **where
        ),
    ),
    unview=lambda x, y, **where: update_diagonal(x, y, **where),
)

update_diagonal: Primitive = Primitive(
    "update_diagonal",
    "movement",
    "x y",
    "x, but its diagonal is y",
    shape=same_shape,
    dtype=same_dtype,
    saves="y.shape y.dtype",
    grads=(
        lambda grad, y_shape, y_dtype, **where: update_diagonal(
            grad, zeros(y_shape, y_dtype), **where
        ),
        lambda grad, y_shape, y_dtype, **where: diagonal(grad, **where),
    ),
    grad_name="CopySlices",
)


def _windows_shape(x: Any, *, dim: int, size: int, step: int) -> Shape:
    count = (x.shape[dim] - size) // step + 1
    return (*x.shape[:dim], count, *x.shape[dim + 1 :], size)


windows: Primitive = Primitive(
    "windows",
    "movement",
    "x",
    "all windows of `size` elements every `step` along a dimension, as a last dimension",
    shape=_windows_shape,
    dtype=first_dtype,
    saves="x.shape",
    grads=(
        lambda grad, x_shape, dim, size, step: fold_windows(
            grad, x_shape=x_shape, dim=dim, size=size, step=step
        ),
    ),
    grad_name="UnfoldBackward0",
)

fold_windows: Primitive = Primitive(
    "fold_windows",
    "movement",
    "x",
    "the sum of overlapping windows: the transpose of `windows`",
    shape=lambda x, *, x_shape, dim, size, step: x_shape,
    dtype=first_dtype,
    grads=(lambda grad, x_shape, dim, size, step: windows(grad, dim=dim, size=size, step=step),),
    grad_name="UnfoldBackwardBackward0",
)
