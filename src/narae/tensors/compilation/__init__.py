"""`narae.compile`: a whole training step as one program.

`trees` takes arguments apart and puts results together, `tracer` runs a step once on symbolic
values, `plan` is a traced step ready to run, `inputs` brings it its arrays, `guards` know when it
no longer holds, `sameness` when it is for a program that is compiled already, `step` is what users
call, `plain` recognises their usual calls quickly, `module` makes one tape node of a compiled
module, `explain` and `log` tell what happened.
"""

from narae.tensors.executors import set_executor

from .api import compile, program_of
from .step import CompiledStep

__all__ = ["CompiledStep", "compile", "program_of", "set_executor"]
