"""PyTorch's address of `narae.tensors.fft`: the shifts of spectra."""

from narae.tensors.fft import *  # noqa: F403
from narae.tensors.fft import __all__ as __all__
