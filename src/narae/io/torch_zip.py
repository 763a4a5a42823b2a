"""The zip that `torch.save` writes: members stored as they are, so that they can be mapped.

Nothing in it is taken at its word: names, places and sizes are those of members that lie apart from
each other inside the file, uncompressed, with the checksums that they say.
"""

import itertools
import struct
import zipfile
import zlib
from typing import NamedTuple

import numpy as np

from .content import Array, Content, refuse

_LOCAL = struct.Struct("<4s22x2H")  # the header before each member: signature, lengths of the rest
_SIGNATURE = b"PK\x03\x04"
_RULE = "torch.save writes a zip of members that are stored as they are"
_FIX = "save it again with torch.save, or as safetensors"


class Place(NamedTuple):
    """Where a member's bytes are in the file, and its header before them."""

    header: int
    begin: int
    size: int
    checksum: int


class TorchZip:
    """The members of a file of `torch.save`, under their names without the folder they are in.

    Args:
        content: of the file.

    Raises:
        FileFormatError: if it is damaged, compressed, or made to mislead.
    """

    def __init__(self, content: Content) -> None:
        self._content = content
        self.places: dict[str, Place] = {}
        folders, members = set(), _directory(content)
        if any(info.filename.endswith("/constants.pkl") for info in members):
            rule, fix = "weights are read", "in PyTorch: torch.save(model.state_dict(), path)"
            refuse(content.name, "it is a TorchScript program", rule, fix)
        for info in members:
            folder, _, name = info.filename.partition("/")
            _check_name(content.name, info.filename)
            if name in self.places:
                refuse(content.name, f"it has two members {info.filename!r}", _RULE, _FIX)
            folders.add(folder)
            self.places[name] = _place(content, info)
        if len(folders) > 1:
            refuse(content.name, f"its members are in {len(folders)} folders", _RULE, _FIX)
        _check_apart(content.name, sorted(self.places.values()))

    def read(self, name: str) -> bytes:
        """The bytes of a small member.

        Raises:
            FileFormatError: if there is none, or it is damaged.
        """
        return self.array(name, np.dtype("u1")).tobytes()

    def array(self, name: str, dtype: np.dtype) -> Array:
        """The numbers of a member.

        Raises:
            FileFormatError: if there is none, it is damaged, or of another size.
        """
        if name not in self.places:
            refuse(self._content.name, f"it has no member {name!r}", "torch.save writes it")
        place = self.places[name]
        raw = self._content.raw(place.begin, place.size)
        self._check_sum(name, place, raw)
        if place.size % dtype.itemsize:
            given = f"{name} has {place.size} bytes, numbers of {dtype} have {dtype.itemsize}"
            refuse(self._content.name, given, "a storage is whole numbers")
        return self._content.numbers(raw, dtype)

    def _check_sum(self, name: str, place: Place, raw: Array) -> None:
        found = zlib.crc32(raw.data)
        if found != place.checksum:
            given = f"{name} has the checksum {found:08x}, not {place.checksum:08x}"
            refuse(self._content.name, given, "a whole file has the checksums it was saved with")


def _directory(content: Content) -> list[zipfile.ZipInfo]:
    try:
        with zipfile.ZipFile(content.file) as archive:
            return archive.infolist()
    except Exception as error:  # a damaged one may fail in any way
        given = f"it is a zip, but holds no weights ({type(error).__name__}: {error})"
        refuse(content.name, given, "torch.save writes data.pkl", cause=error)


def _check_name(name: str, member: str) -> None:
    parts = member.split("/")
    if len(parts) < 2 or "\\" in member or any(part in ("", ".", "..") for part in parts):
        refuse(name, f"it has a member {member[:120]!r}", "members lie inside one folder", _FIX)


def _place(content: Content, info: zipfile.ZipInfo) -> Place:
    """Where a member is, after a look at its own header."""
    if info.compress_type != zipfile.ZIP_STORED or info.file_size != info.compress_size:
        given = f"{info.filename} is compressed to {info.compress_size} of {info.file_size} bytes"
        refuse(content.name, given, _RULE, _FIX)
    if info.flag_bits & 0x1:
        refuse(content.name, f"{info.filename} is encrypted", _RULE, _FIX)
    header = content.piece(info.header_offset, info.header_offset + _LOCAL.size)
    if len(header) < _LOCAL.size:
        refuse(content.name, f"{info.filename} begins beyond the end", _RULE)
    signature, name_size, extra_size = _LOCAL.unpack(header)
    begin = info.header_offset + _LOCAL.size
    name = content.piece(begin, begin + name_size)
    begin += name_size + extra_size
    if signature != _SIGNATURE or name != info.orig_filename.encode("utf-8", "replace"):
        refuse(content.name, f"{info.filename} is not where the directory says", _RULE)
    if begin + info.file_size > content.size:
        refuse(content.name, f"{info.filename} ends beyond the end", _RULE)
    return Place(info.header_offset, begin, info.file_size, info.CRC)


def _check_apart(name: str, places: list[Place]) -> None:
    for one, other in itertools.pairwise(places):
        if one.begin + one.size > other.header:
            refuse(name, "two of its members overlap", _RULE, _FIX)
