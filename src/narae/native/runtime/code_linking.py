"""Object images put into memory without LLVM, whose library alone takes some 45 MB of it.

A kernel's image is simple: instructions, constants, the distances between them, and perhaps calls
of the C library. This linker knows no more than that, on Linux and x86-64; whatever else it meets,
it leaves the image to LLVM's own.

Source: System V Application Binary Interface, AMD64 supplement, chapter 4: object files.
"""

import ctypes
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .code_memory import IS_X86_64, placed

_MAGIC = b"\x7fELF\x02\x01"  # 64 bits, little-endian
_RELOCATABLE, _X86_64 = 1, 62
_CONTENTS, _SYMBOLS, _RELOCATIONS = 1, 2, 4  # kinds of sections
_WRITABLE, _IN_MEMORY = 1, 2  # marks of sections
_UNDEFINED = 0  # the section of symbols that are somewhere else
_SPECIAL = 0xFF00  # from here on, numbers of sections mean something else
_DISTANCE, _CALL = 2, 4  # R_X86_64_PC32, R_X86_64_PLT32: 32 bits, from the place itself

_FILE = struct.Struct("<16sHHIQQQIHHHHHH")
_SECTION = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_RELOCATION = struct.Struct("<QQq")

_LINE = 64  # bytes; images begin at lines of the cache
# jmp *0(%rip), and the address that it reads: functions of the C library are too far for a call.
_JUMP = b"\xff\x25\x00\x00\x00\x00"


class NotSimple(Exception):
    """An image has something that only LLVM's linker knows."""


class Section(NamedTuple):
    """A section, as the file describes it."""

    name: int
    kind: int
    marks: int
    address: int
    offset: int
    size: int
    link: int
    info: int
    alignment: int
    entry: int


class Symbol(NamedTuple):
    """A symbol, as the file describes it."""

    name: int
    info: int
    other: int
    section: int
    value: int
    size: int


def link_simply(images: Mapping[str, bytes]) -> dict[str, dict[str, int]]:
    """Put images into memory that can be run, for good; addresses of symbols, by key and name.

    Images that are not simple are left out.
    """
    block, places = bytearray(), {}
    for key, image in images.items():
        try:
            code, symbols = linked(image)
        except NotSimple:
            continue
        block += bytes(-len(block) % _LINE)
        places[key] = {name: len(block) + offset for name, offset in symbols.items()}
        block += code
    base = placed(bytes(block)) if places else None
    if base is None:
        return {}
    return {k: {name: base + at for name, at in found.items()} for k, found in places.items()}


def linked(image: bytes) -> tuple[bytes, dict[str, int]]:
    """What an image is in memory, wherever that is, and the offsets of its symbols.

    Raises:
        NotSimple: if it has anything but code and constants, distances, and calls of functions.
    """
    sections = list(_sections(image))
    code, places = _placed(image, sections)
    named: dict[str, int] = {}
    for table in sections:
        if table.kind == _SYMBOLS:
            named |= _named(image, table, sections, places)
    stubs: dict[str, int] = {}
    for table in sections:
        if table.kind == _RELOCATIONS and table.info in places:
            _relocate(code, image, table, sections, places, stubs)
    return bytes(code), named


# --- reading --------------------------------------------------------------------------------


def _sections(image: bytes) -> Iterator[Section]:
    if not IS_X86_64 or image[: len(_MAGIC)] != _MAGIC:
        raise NotSimple
    _, kind, processor, _, _, _, at, _, _, _, _, size, count, _ = _FILE.unpack_from(image)
    if (kind, processor, size) != (_RELOCATABLE, _X86_64, _SECTION.size):
        raise NotSimple
    for fields in _SECTION.iter_unpack(image[at : at + count * size]):
        yield Section(*fields)


def _symbol(image: bytes, table: Section, number: int) -> Symbol:
    return Symbol(*_SYMBOL.unpack_from(image, table.offset + number * _SYMBOL.size))


def _name(image: bytes, table: Section, sections: list[Section], symbol: Symbol) -> str:
    start = sections[table.link].offset + symbol.name
    return image[start : image.index(b"\0", start)].decode()


# --- linking --------------------------------------------------------------------------------


def _placed(image: bytes, sections: list[Section]) -> tuple[bytearray, dict[int, int]]:
    """The sections that belong into memory, one after the other, and where each begins."""
    code, places = bytearray(), {}
    for number, section in enumerate(sections):
        if not section.marks & _IN_MEMORY:
            continue
        if section.kind != _CONTENTS or section.marks & _WRITABLE or section.alignment > _LINE:
            raise NotSimple
        code += bytes(-len(code) % max(1, section.alignment))
        places[number] = len(code)
        code += image[section.offset : section.offset + section.size]
    return code, places


def _named(
    image: bytes, table: Section, sections: list[Section], places: Mapping[int, int]
) -> dict[str, int]:
    """Where the symbols with a name are that the image defines."""
    found = {}
    for number in range(table.size // _SYMBOL.size):
        symbol = _symbol(image, table, number)
        if symbol.name and symbol.section in places:
            name = _name(image, table, sections, symbol)
            found[name] = places[symbol.section] + symbol.value
    return found


def _relocate(
    code: bytearray,
    image: bytes,
    table: Section,
    sections: list[Section],
    places: Mapping[int, int],
    stubs: dict[str, int],
) -> None:
    """Fill in the distances of one section."""
    symbols = sections[table.link]
    for offset, info, addend in _RELOCATION.iter_unpack(
        image[table.offset : table.offset + table.size]
    ):
        kind, symbol = info & 0xFFFFFFFF, _symbol(image, symbols, info >> 32)
        if kind not in (_DISTANCE, _CALL):
            raise NotSimple
        if symbol.section in places:
            target = places[symbol.section] + symbol.value
        elif symbol.section == _UNDEFINED and kind == _CALL:
            target = _stub(code, _name(image, symbols, sections, symbol), stubs)
        else:
            raise NotSimple
        place = places[table.info] + offset
        struct.pack_into("<i", code, place, target + addend - place)


def _stub(code: bytearray, name: str, stubs: dict[str, int]) -> int:
    """Where the jump to a function of this process is, appended to the code."""
    if name not in stubs:
        try:
            function = getattr(ctypes.CDLL(None), name)
        except AttributeError:
            raise NotSimple from None
        address = ctypes.cast(function, ctypes.c_void_p).value or 0
        stubs[name] = len(code)
        code += _JUMP + struct.pack("<Q", address)
    return stubs[name]
