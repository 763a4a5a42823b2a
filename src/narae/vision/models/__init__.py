"""Models of pictures, under the names of torchvision, with its state-dict keys.

>>> import narae
>>> model = resnet20(num_classes=10)  # weights=...: a path, or a Hugging Face repository
>>> model(narae.zeros(1, 3, 32, 32)).shape
narae.Size([1, 10])
"""

from .alexnet import *
from .cifar_resnet import *
from .densenet import *
from .googlenet import *
from .intermediate import IntermediateLayerGetter
from .lenet import *
from .mobilenet import *
from .registry import get_model, get_model_builder, list_models, picture_shape, register_model
from .resnet import *
from .vgg import *
from .vision_transformer import *

from . import detection, segmentation  # isort: skip
