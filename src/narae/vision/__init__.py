"""Pictures: data sets, transforms, models, boxes and drawing, under the names of torchvision.

import narae.vision.datasets as dsets
import narae.vision.transforms as transforms
import narae.vision.models as models
import narae.vision.ops as ops
import narae.vision.utils as utils
"""

from . import datasets, metrics, models, ops, transforms, utils

__all__ = ["datasets", "metrics", "models", "ops", "transforms", "utils"]
