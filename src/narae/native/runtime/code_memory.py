"""Memory that can be run, on Linux: written once, and from then on neither written nor unmapped."""

import ctypes
import mmap
import os
import sys

IS_X86_64 = sys.platform == "linux" and os.uname().machine == "x86_64" and sys.maxsize > 2**32


def placed(code: bytes) -> int | None:
    """The address of a copy of `code` that can be run; None if the system refuses.

    It stays for good: a thread may be in its code when Python ends.
    """
    system = ctypes.CDLL(None)
    system.mmap.restype = ctypes.c_void_p
    system.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    system.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    system.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    base = system.mmap(None, len(code), mmap.PROT_READ | mmap.PROT_WRITE, flags, -1, 0)
    if base is None or base == ctypes.c_void_p(-1).value:
        return None
    ctypes.memmove(base, code, len(code))
    if system.mprotect(base, len(code), mmap.PROT_READ | mmap.PROT_EXEC):
        system.munmap(base, len(code))
        return None
    return int(base)
