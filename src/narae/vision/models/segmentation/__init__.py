"""Models that give each pixel a class."""

from .convolutional import FullyConvolutional, linear_to_conv
from .fcn import *
from .fcn_small import *
from .unet import *
