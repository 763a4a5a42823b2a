"""Linux gives a process tiles (AMX) when it asks for them, because their 8 KB make signals larger.

It says no where it is too old for tiles, where a sandbox forbids it, and where a thread has a stack
for signals that is too small for them. Then everything is computed without tiles.

Source: Linux, Documentation/arch/x86/xstate.rst.
"""

import ctypes
from functools import lru_cache

from .code_memory import IS_X86_64

_ARCH_PRCTL = 158  # the number of the system call
_REQUEST_PERMISSION = 0x1023
_TILE_DATA = 18


@lru_cache(maxsize=1)
def tiles_are_permitted() -> bool:
    """Ask for tiles, for all threads of this process and for those that it forks."""
    if not IS_X86_64:
        return False
    system_call = ctypes.CDLL(None).syscall
    system_call.restype = ctypes.c_long
    operands = (_ARCH_PRCTL, _REQUEST_PERMISSION, _TILE_DATA)
    return bool(system_call(*(ctypes.c_long(x) for x in operands)) == 0)
