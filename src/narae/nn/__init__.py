"""Floor 6: layers, containers, losses, initialization."""

from . import attention as attention
from . import functional as functional
from . import init, parameter, utils
from .activation import *
from .containers import ModuleDict, ModuleList, Sequential
from .conv import *
from .dropout import *
from .linear import Bilinear, Linear
from .losses import *
from .module import Module
from .multihead import MultiheadAttention
from .normalization import *
from .pads import *
from .parameter import Buffer, Parameter
from .parameter_containers import ParameterDict, ParameterList
from .pooling import *
from .rnn import *
from .shaping import Flatten, Identity, Unflatten
from .sparse import Embedding
from .transformer import *
from .transformer_layers import *
