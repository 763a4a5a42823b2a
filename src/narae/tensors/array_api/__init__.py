"""The Python array API standard, 2024.12, on Narae's tensors: what `__array_namespace__` returns.

Code written against the standard (SciPy, scikit-learn, array-api-extra) runs on tensors through
it. Gradients flow, and everything whose shape does not depend on data can be compiled. Complex
dtypes are not here; `x.size` is PyTorch's method, and `math.prod(x.shape)` the standard's number.

Source: https://data-apis.org/array-api/2024.12/
"""

import math
import sys
from typing import Any

from narae.base.dtypes import DTYPES
from narae.base.errors import NotSupportedError

from . import arranging, creation, elementwise, kinds, linalg, reducing

__array_api_version__ = "2024.12"
__all__ = ["e", "inf", "linalg", "nan", "newaxis", "pi", "take_along_axis", *DTYPES]

e, inf, nan, newaxis, pi = math.e, math.inf, math.nan, None, math.pi
globals().update(DTYPES)
take_along_axis = arranging.take_along_dim
take_along_axis.__name__ = take_along_axis.__qualname__ = "take_along_axis"

for _module in (arranging, creation, elementwise, kinds, reducing):
    _names = _module.__all__
    globals().update({name: getattr(_module, name) for name in _names})
    __all__ += [name for name in _names if not name.startswith("__")]


def namespace(api_version: str | None = None) -> Any:
    """The module of functions that the standard describes.

    Args:
        api_version: None, or the version of the standard that the caller is written for.

    Raises:
        NotImplementedError: for a version that is not here.
    """
    if api_version not in (None, "2021.12", "2022.12", "2023.12", "2024.12"):
        raise NotSupportedError(
            f"[__array_namespace__] version {api_version} of the array API is not here; Narae has "
            f"{__array_api_version__}"
        )
    return sys.modules[__name__]
