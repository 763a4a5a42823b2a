"""PyTorch's in-place functions: `narae.exp_(x)` is `x.exp_()`."""

from collections.abc import Callable
from typing import Any

from .operands import require_tensor
from .tensor import Tensor

_NAMES = (
    "abs_", "acos_", "acosh_", "addmv_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_",
    "arctanh_", "as_strided_", "asin_", "asinh_", "atan_", "atanh_", "ceil_", "clamp_",
    "clamp_max_", "clamp_min_", "clip_", "conj_physical_", "cos_", "cosh_", "deg2rad_", "erf_",
    "erfc_", "exp2_", "exp_", "expm1_", "fix_", "floor_", "frac_", "gcd_", "index_put_", "ldexp_",
    "log10_", "log1p_", "log2_", "log_", "logit_", "nan_to_num_", "neg_", "negative_", "rad2deg_",
    "reciprocal_", "round_", "rsqrt_", "sigmoid_", "sin_", "sinc_", "sinh_", "sqrt_", "square_",
    "tan_", "tanh_", "trunc_", "xlogy_",
)  # fmt: skip


def _calling(name: str) -> Callable[..., Tensor]:
    """The function that calls a method."""

    def function(input: Tensor, *arguments: Any, **options: Any) -> Tensor:
        method = getattr(require_tensor(input, name), name)
        return method(*arguments, **options)  # type: ignore[no-any-return]

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"`input.{name}(…)`: writes the result into the input, and returns it."
    return function


globals().update({name: _calling(name) for name in _NAMES})
__all__ = list(_NAMES)
