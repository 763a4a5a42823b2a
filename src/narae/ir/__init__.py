"""Floor 1: programs, and the protocols of values and executors. Knows no primitive by name."""

from .builder import Builder, current_builder, trace
from .checker import ProgramError, check
from .dispatch import bind, register_interpreter
from .evaluate import evaluate
from .executor import Executor, Report, Runner, Update
from .printer import program_text
from .program import Node, Operand, Program, Value
from .protocol import Operation, ValueLike
from .rewrite import dead_code, rebuild

__all__ = [
    "Builder",
    "Executor",
    "Node",
    "Operand",
    "Operation",
    "Program",
    "ProgramError",
    "Report",
    "Runner",
    "Update",
    "Value",
    "ValueLike",
    "bind",
    "check",
    "current_builder",
    "dead_code",
    "evaluate",
    "program_text",
    "rebuild",
    "register_interpreter",
    "trace",
]
