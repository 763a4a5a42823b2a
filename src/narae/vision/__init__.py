"""Pictures: data sets and transforms, under the names of torchvision.

import narae.vision.datasets as dsets
import narae.vision.transforms as transforms
"""

from . import datasets, transforms

__all__ = ["datasets", "transforms"]
