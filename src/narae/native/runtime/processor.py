"""What an x86-64 processor answers when it is asked what it can do: all that LLVM goes by.

The instruction itself is asked, not Linux's list: under a program that runs others (a virtual
machine, Valgrind) it tells what will work here.

Source: Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, CPUID, XGETBV.
"""

import ctypes

from .code_memory import IS_X86_64, placed

# void cpuid(uint32_t x[4]): eax, ecx = x[0], x[1]; cpuid; x = {eax, ebx, ecx, edx}
_CPUID = (
    "53 4989f8 418b00 418b4804"  # push rbx; mov r8, rdi; mov eax, [r8]; mov ecx, [r8+4]
    "0fa2 418900 41895804 41894808 4189500c"  # cpuid; mov [r8], eax; …; mov [r8+12], edx
    "5b c3"  # pop rbx; ret
)
# void xgetbv(uint32_t x[4]): x[:2] = the registers that the system saves
_XGETBV = "4989f8 31c9 0f01d0 418900 41895004 c3"
_ROOM = 64  # bytes for the first function

# Questions (leaf, subleaf), and the register of their answer that depends on the core, if any.
_QUESTIONS = (
    ((0x1, 0), 1),
    ((0x7, 0), None),
    ((0x7, 1), None),
    ((0xD, 1), 1),
    ((0x14, 0), None),
    ((0x19, 0), None),
    ((0x1E, 1), None),
    ((0x24, 0), None),
    ((0x80000001, 0), None),
    ((0x80000008, 0), None),
)
_SAVES_REGISTERS = 1 << 27  # OSXSAVE, in ecx of leaf 1


def processor_answers() -> tuple[tuple[int, ...], ...] | None:
    """Numbers that are the same wherever LLVM finds the same features; None if nobody can tell."""
    code = bytes.fromhex(_CPUID).ljust(_ROOM, b"\0") + bytes.fromhex(_XGETBV)
    base = placed(code) if IS_X86_64 else None
    if base is None:
        return None
    answers = [_ask(base, 0, 0), _ask(base, 0x80000000, 0)]
    limits = answers[0][0], answers[1][0]
    for (leaf, subleaf), unsteady in _QUESTIONS:
        # Beyond the limit, some processors answer another question.
        if leaf <= limits[leaf >> 31]:
            found = list(_ask(base, leaf, subleaf))
            if unsteady is not None:
                del found[unsteady]
            answers.append((leaf, subleaf, *found))
    if _ask(base, 1, 0)[2] & _SAVES_REGISTERS:
        answers.append(_ask(base + _ROOM, 0, 0)[:2])
    return tuple(answers)


def _ask(function: int, leaf: int, subleaf: int) -> tuple[int, ...]:
    words = (ctypes.c_uint32 * 4)(leaf, subleaf)
    ctypes.CFUNCTYPE(None, ctypes.c_void_p)(function)(ctypes.addressof(words))
    return tuple(words)
