"""PyTorch's address of calls of modules with other weights than their own."""

from narae.nn.utils.stateless import functional_call_of_dicts as functional_call
from narae.nn.utils.stateless import stack_module_state

__all__ = ["functional_call", "stack_module_state"]
