"""PyTorch's address of `narae.tensors.linalg`: linear algebra."""

from narae.tensors.linalg import *  # noqa: F403
from narae.tensors.linalg import __all__ as __all__
