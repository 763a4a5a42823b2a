"""PyTorch's address of `parameters_to_vector` and `vector_to_parameters`."""

from .clip_grad import parameters_to_vector as parameters_to_vector
from .clip_grad import vector_to_parameters as vector_to_parameters
