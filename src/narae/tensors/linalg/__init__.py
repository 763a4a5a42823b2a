"""Linear algebra under PyTorch's names, which `narae.linalg` shows to the world.

Every function takes batches: matrices stand in the last two dimensions. Gradients flow to any
order; results have static shapes, so that all of it can be compiled.
"""

from narae.base.errors import LinAlgError

from . import factors, norms, products, solving, spectra
from .factors import *
from .norms import *
from .products import *
from .solving import *
from .spectra import *

LinAlgError = LinAlgError

__all__ = [
    "LinAlgError",
    *factors.__all__,
    *norms.__all__,
    *products.__all__,
    *solving.__all__,
    *spectra.__all__,
]
