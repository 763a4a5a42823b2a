"""Kernels made ready to be called: read from the cache or compiled, and loaded into the process.

What is loaded stays until the process ends; each kernel is loaded once.
"""

import atexit
import hashlib
import os
import re
import sys
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ..kernel import Kernel, Machine
from .cache import CodeCache
from .code_compile import RECIPE, target_machine
from .code_facts import llvm_facts
from .code_linking import link_simply
from .code_spread import compile_all
from .machine import feature_text, host_machine, prefer_bits


@dataclass(frozen=True)
class Code:
    """Kernels that can be called.

    Attributes:
        addresses: of the functions, by name.
        compiled: how many kernels were compiled for it.
        from_cache: how many were read from the disk; the rest was in the process already.
        seconds: how long it took.
    """

    addresses: Mapping[str, int]
    compiled: int
    from_cache: int
    seconds: float

    def address(self, name: str) -> int:
        """Where the function of a kernel is."""
        return self.addresses[name]


@dataclass(frozen=True)
class _Unit:
    """A module of its own: its text without attributes, and the functions that are called."""

    text: str
    exports: tuple[str, ...]


_lock = threading.RLock()
_loaded: dict[str, dict[str, int]] = {}  # addresses by key
_libraries = 0

if hasattr(os, "register_at_fork"):
    # A fork waits until no other thread compiles: LLVM's own locks stay usable in the child.
    os.register_at_fork(
        before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release
    )


def load_kernels(kernels: Iterable[Kernel], machine: Machine | None = None) -> Code:
    """Make kernels callable.

    Args:
        kernels: equal ones may be given several times.
        machine: what they were written for; this computer, unless given.

    Raises:
        RuntimeError: if LLVM does not understand a text, or a function that it calls is missing.
    """
    units = {kernel.name: _unit(kernel) for kernel in kernels}
    return _load(units.values(), machine or host_machine())


def load_functions(text: str, names: Iterable[str]) -> dict[str, int]:
    """Make the functions of a text, that are no kernels, callable; addresses by name."""
    code = _load([_Unit(text, tuple(names))], host_machine())
    return {name: code.address(name) for name in names}


def _load(units: Iterable[_Unit], machine: Machine) -> Code:
    start = time.perf_counter()
    compiled = from_cache = 0
    with _lock:
        keyed = {_key(unit, machine): unit for unit in units}
        missing = {key: unit for key, unit in keyed.items() if key not in _loaded}
        if missing:
            cache = CodeCache()
            images = _read(cache, missing)
            from_cache = len(images)
            texts = {k: _module(u, machine) for k, u in missing.items() if k not in images}
            fresh = compile_all(texts, feature_text(machine))
            compiled = len(fresh)
            _link(missing, {**images, **fresh})
            for key, image in fresh.items():
                cache.write(key, image)
        addresses = {name: at for key in keyed for name, at in _loaded[key].items()}
    return Code(addresses, compiled, from_cache, time.perf_counter() - start)


def _read(cache: CodeCache, units: Mapping[str, _Unit]) -> dict[str, bytes]:
    found = ((key, cache.read(key)) for key in units)
    return {key: image for key, image in found if image is not None}


# --- texts ----------------------------------------------------------------------------------

_DEFINITION = re.compile(r"^define (.*?)@([\w.$-]+)\(", re.MULTILINE)


def _unit(kernel: Kernel) -> _Unit:
    """A kernel as a module; its helpers become private, as other kernels' may have their names."""

    def named(found: re.Match[str]) -> str:
        is_private = found[2] != kernel.name
        return f"define internal {found[1]}@{found[2]}(" if is_private else found[0]

    text = _DEFINITION.sub(named, kernel.text)
    own = {f"@{name}(" for _, name in _DEFINITION.findall(kernel.text)}
    declared = sorted(x for x in kernel.declarations if not any(name in x for name in own))
    return _Unit("\n".join([*declared, text]), (kernel.name,))


def _module(unit: _Unit, machine: Machine) -> str:
    return f"{unit.text}\n\nattributes #0 = {{ {_attributes(machine)} }}\n"


@lru_cache(maxsize=16)
def _attributes(machine: Machine) -> str:
    marks = f'nounwind "target-features"="{feature_text(machine)}"'
    bits = prefer_bits(machine)
    if bits:
        marks += f' "prefer-vector-width"="{bits}" "min-legal-vector-width"="{bits}"'
    return marks


def _key(unit: _Unit, machine: Machine) -> str:
    digest = hashlib.sha256(_salt(machine).encode())
    digest.update(unit.text.encode())
    return digest.hexdigest()


@lru_cache(maxsize=16)
def _salt(machine: Machine) -> str:
    """What the code depends on besides the text."""
    import llvmlite

    facts = llvm_facts()
    narae = getattr(sys.modules.get("narae"), "__version__", "")
    parts = (narae, llvmlite.__version__, facts.version, facts.triple, RECIPE)
    return "\n".join([*parts, _attributes(machine), ""])


# --- loading --------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def _jit() -> Any:
    from llvmlite import binding

    target_machine("")  # sets LLVM up
    target = binding.Target.from_triple(binding.get_process_triple())
    machine = target.create_target_machine(reloc="pic", codemodel="small", jit=True)
    # On 64-bit ARM, the older linker may place data too far away from the code.
    is_arm = "aarch64" in target.name or "arm64" in target.name
    jit = binding.create_lljit_compiler(machine, use_jit_link=is_arm)
    atexit.register(jit.detach)  # never taken down: a thread may be in its code when Python ends
    return jit


def _link(units: Mapping[str, _Unit], images: Mapping[str, bytes]) -> None:
    """Load images, without LLVM where that can be."""
    simple = link_simply(images)
    for key, found in simple.items():
        _loaded[key] = {name: found[name] for name in units[key].exports}
    others = {key: unit for key, unit in units.items() if key not in simple}
    if others:
        _link_by_llvm(others, images)


def _link_by_llvm(units: Mapping[str, _Unit], images: Mapping[str, bytes]) -> None:
    from llvmlite import binding

    global _libraries
    _libraries += 1
    builder = binding.JITLibraryBuilder().add_current_process()
    for name, at in _system_symbols().items():
        builder.import_symbol(name, at)
    for key, unit in units.items():
        builder.add_object_img(images[key])
        for name in unit.exports:
            builder.export_symbol(name)
    tracker = builder.link(_jit(), f"narae{_libraries}")
    tracker.detach()
    for key, unit in units.items():
        _loaded[key] = {name: tracker[name] for name in unit.exports}


@lru_cache(maxsize=1)
def _system_symbols() -> dict[str, int]:
    """What is not found in the process by name: on Windows, the functions that wait."""
    if sys.platform != "win32":
        return {}
    import ctypes

    library = ctypes.WinDLL("kernelbase")
    names = ("WaitOnAddress", "WakeByAddressSingle")
    return {name: ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in names}
