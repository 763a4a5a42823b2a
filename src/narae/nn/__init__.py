"""Floor 6: layers, containers, losses, initialization."""

from . import init as init
from .containers import ModuleDict, ModuleList, Sequential
from .linear import Bilinear, Linear
from .module import Module
from .parameter import Buffer, Parameter
from .parameter_containers import ParameterDict, ParameterList
from .shaping import Flatten, Identity, Unflatten
