"""Floor 4: programs as machine code, through LLVM."""

from .executor import NativeExecutor

__all__ = ["NativeExecutor"]
