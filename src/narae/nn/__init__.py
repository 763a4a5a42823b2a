"""Floor 6: layers, containers, losses, initialization."""

from . import attention as attention
from . import functional as functional
from . import init, modules, parameter, utils
from .activation import *
from .adaptive_softmax import AdaptiveLogSoftmaxWithLoss
from .containers import ModuleDict, ModuleList, Sequential
from .conv import *
from .ctc import CTCLoss
from .deprecated import Container, NLLLoss2d
from .dropout import *
from .embedding_bag import EmbeddingBag
from .folding import Fold, Unfold
from .fractional_pool import FractionalMaxPool2d, FractionalMaxPool3d
from .linear import Bilinear, Linear
from .linear_cross_entropy import LinearCrossEntropyLoss, LinearCrossEntropyOptions
from .losses import *
from .module import Module
from .multihead import MultiheadAttention
from .neighbours import CosineSimilarity, CrossMapLRN2d
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
from .unpooling import MaxUnpool1d, MaxUnpool2d, MaxUnpool3d
from .upsampling import *
