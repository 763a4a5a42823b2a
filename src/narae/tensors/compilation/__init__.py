"""`narae.compile`: a whole training step as one program.

`trees` takes arguments apart and puts results together, `tracer` runs a step once on symbolic
values, `plan` is a traced step ready to run, `guards` know when a plan no longer holds, `step` is
what users call, `module` makes one tape node of a compiled module.
"""

from .api import compile, program_of
from .step import CompiledStep

__all__ = ["CompiledStep", "compile", "program_of"]
