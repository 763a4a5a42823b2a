"""The processor that kernels are written for: what it can do, never what it is called.

Virtual machines misreport the name of their processor, but its feature flags are what it runs.
"""

import os
import sys
from functools import lru_cache

from narae.base.errors import ConfigError, explain

from ..kernel import Machine
from .code_facts import llvm_facts
from .tile_permission import tiles_are_permitted

# What 64-byte vectors need: masks (vl), whole numbers of 1 and 2 bytes (bw), conversions (dq).
_WIDE = frozenset({"avx512f", "avx512bw", "avx512dq", "avx512vl"})
_MIDDLE = frozenset({"avx2", "fma"})
# What is left out of narrower vectors. AMX comes with AVX-512 only.
_ABOVE_MIDDLE = ("avx512", "avx10", "amx", "evex512")
_ABOVE_NARROW = (*_ABOVE_MIDDLE, "avx", "fma", "f16c", "vaes", "vpclmulqdq", "xop")


def host_machine(vector_bits: int | None = None) -> Machine:
    """This computer's processor.

    Args:
        vector_bits: 512, 256 or 128 for narrower vectors than it has; otherwise the environment
            variable `NARAE_VECTOR_BITS`, otherwise the widest.

    Raises:
        ConfigError: if the processor has no such vectors.
    """
    text = os.environ.get("NARAE_VECTOR_BITS", "") if vector_bits is None else str(vector_bits)
    return _machine(host_features(), text.strip())


@lru_cache(maxsize=1)
def host_features() -> frozenset[str]:
    """LLVM's names of what the processor has, and the system lets this process use."""
    facts = llvm_facts()
    found = set(facts.features)
    if facts.processor in ("aarch64", "arm64"):
        found |= {"neon", "fp-armv8"}  # every such processor has them; not every system says so
    if "amx-tile" in found and not tiles_are_permitted():
        found = {name for name in found if not name.startswith("amx")}
    return frozenset(found)


@lru_cache(maxsize=16)
def _machine(features: frozenset[str], wanted: str) -> Machine:
    widest = _widest(features)
    bits = widest if wanted in ("", "0") else _known(wanted)
    if bits > widest:
        given = f"vectors of {bits} bits were asked for, the processor has {widest}"
        fix = "unset NARAE_VECTOR_BITS"
        raise ConfigError(explain("native", given, "a kernel runs on this processor", fix))
    return machine_of(features, bits)


def machine_of(features: frozenset[str], bits: int) -> Machine:
    """A machine with vectors of `bits`, without the features that only wider ones have."""
    prefixes = {512: (), 256: _ABOVE_MIDDLE, 128: _ABOVE_NARROW}[bits]
    kept = frozenset(name for name in features if not name.startswith(prefixes))
    is_arm = "neon" in features
    return Machine(bits // 8, kept, 32 if bits == 512 or is_arm else 16)


def _widest(features: frozenset[str]) -> int:
    if features >= _WIDE | _MIDDLE:
        return 512
    return 256 if features >= _MIDDLE else 128


def _known(text: str) -> int:
    if text not in ("128", "256", "512"):
        given, fix = f"NARAE_VECTOR_BITS is {text!r}", "use 128, 256 or 512"
        raise ConfigError(explain("native", given, "it is the width of a vector", fix))
    return int(text)


def feature_text(machine: Machine) -> str:
    """A machine's features as LLVM's attribute "target-features" lists them."""
    return ",".join(f"+{name}" for name in sorted(machine.features))


def prefer_bits(machine: Machine) -> int:
    """The width that LLVM shall not go below, of its own accord it stays at 256 bits; 0: default.

    It matters on x86 alone.
    """
    return machine.vector_bytes * 8 if "sse2" in machine.features else 0


def available_cores() -> int:
    """How many processors this process may run on."""
    if sys.platform == "linux":
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1
