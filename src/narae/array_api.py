"""The address of the array API standard: `narae.array_api.sum(x, axis=0)`."""

from narae.tensors import array_api as _standard
from narae.tensors.array_api import *  # noqa: F403
from narae.tensors.array_api import __all__ as __all__
from narae.tensors.array_api import __array_api_version__ as __array_api_version__

__array_namespace_info__ = _standard.kinds.__array_namespace_info__
