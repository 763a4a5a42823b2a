"""Average pooling: the sum of each window, divided by the number of elements that count."""

from typing import Any

from narae.base.shapes import Shape

from .composite import Composite
from .elementwise import div
from .generators import full
from .movement import pad
from .pooling import window_sum, window_sum_grad
from .record import shape_of

Padding = tuple[tuple[int, int], ...]


def _counts(x_shape: Shape, dtype: Any, counted: Padding, windows: dict[str, Any]) -> Any:
    """How many elements of each window count: (1, 1, *out).

    before: a line of 3, padding 1, of which `counted` is none; windows of 2
    after:  sums over 0 1 1 1 0: 1 2 2 1
    """
    padding: Padding = windows["padding"]
    space = [size + low + high for size, (low, high) in zip(x_shape[2:], counted, strict=True)]
    inner = full(shape=(1, 1, *space), value=1, dtype=dtype)
    outside = [
        (all_low - low, all_high - high)
        for (all_low, all_high), (low, high) in zip(padding, counted, strict=True)
    ]
    low = (0, 0, *(first for first, _ in outside))
    high = (0, 0, *(last for _, last in outside))
    around = pad(inner, low=low, high=high, value=0) if any((*low, *high)) else inner
    none = tuple((0, 0) for _ in padding)
    return window_sum(around, **{**windows, "padding": none})


def _average_pool(x: Any, *, counted: Padding, divisor: int | None, **windows: Any) -> Any:
    sums = window_sum(x, **windows)
    if divisor is None:
        return div(sums, _counts(shape_of(x), x.dtype, counted, windows))
    return div(sums, divisor)


def _average_pool_grad(
    grad: Any, x_shape: Shape, counted: Padding, divisor: int | None, **windows: Any
) -> Any:
    count = _counts(x_shape, grad.dtype, counted, windows) if divisor is None else divisor
    return window_sum_grad(div(grad, count), x_shape=x_shape, **windows)


average_pool: Composite = Composite(
    "average_pool",
    "x",
    "sum of each window / `divisor`, or / the elements in it that are not beyond `counted`",
    _average_pool,
    saves="x.shape",
    grads=(_average_pool_grad,),
    grad_name="AvgPool2DBackward0",
)
