"""`save` and `load`: state dicts and other structures of tensors, in safetensors or PyTorch's form.

Written are two forms; read is what several programs write, and no code in it is ever run.
"""

import os
from pathlib import Path
from typing import Any

from narae.base.errors import ConfigError, DTypeError, explain
from narae.tensors.creation import from_numpy
from narae.tensors.devices import check_device

from .content import Content, Target, opened, refuse
from .pickles import is_pickle, read_one_pickle
from .shards import is_index, shards, weights_in
from .structure import pack, unpack
from .tensor_file import tensors_in, write_tensors
from .torch_file import is_torch_file, read_torch
from .torch_writer import write_torch

_STRUCTURE = "narae.structure"
TORCH_ENDINGS = (".pt", ".pth", ".th", ".bin")


def save(obj: Any, f: Target, format: str | None = None) -> None:
    """Save tensors and structures of them; the file appears whole or not at all.

    A flat state dict becomes a safetensors file with the same names, which other libraries read
    too. A name that ends in .pt, .pth, .th or .bin gets the form that `torch.load` reads.

    Tensors that share memory share it when loaded: in safetensors if they are the same as a whole,
    in PyTorch's form if they overlap at all; that one keeps strides as well.

    Args:
        obj: tensors, numbers and texts in dicts, lists and tuples.
        f: a path, or a file open for writing bytes.
        format: "safetensors" or "torch", in place of what the name says.

    Raises:
        ConfigError: for another format.
        DTypeError: for anything else, such as a whole model.

    >>> import io, narae
    >>> file = io.BytesIO()
    >>> narae.save({"w": narae.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> narae.load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    if format not in (None, "safetensors", "torch"):
        rule, fix = "files are safetensors or torch", 'format="torch" for torch.load'
        raise ConfigError(explain("save", f"format is {format!r}", rule, fix))
    try:
        _write(obj, f, format == "torch" or (format is None and _is_torch_name(f)))
    except RecursionError as error:
        rule, fix = "containers are nested some hundred deep at most", "save less at a time"
        given = "a container holds itself, or is nested deeper"
        raise DTypeError(explain("save", given, rule, fix)) from error


def _write(obj: Any, f: Target, for_torch: bool) -> None:
    if for_torch:
        write_torch(obj, f)
        return
    structure, arrays = pack(obj)
    write_tensors(f, arrays, {_STRUCTURE: structure})


def _is_torch_name(f: Target) -> bool:
    return isinstance(f, str | os.PathLike) and Path(f).suffix in TORCH_ENDINGS


def load(f: Target, map_location: Any = None, mmap: bool | None = None, **options: Any) -> Any:
    """Load what `save` wrote, the tensors of any safetensors file, or what `torch.save` wrote.

    Of a file of PyTorch's, or another pickle, only tensors, arrays, numbers, texts and containers
    are built: no code in it ever runs, and PyTorch is not needed.

    Tensors of a path lie in the file, which is mapped into memory: each part is read when it is
    used. What is written to them does not reach the file. While they are in use, the file may be
    replaced or removed, as `save` does it, and not be overwritten, as `torch.save` does it.

    Args:
        f: a path, or a file open for reading bytes. Also the index of several files,
            `model.safetensors.index.json`, or a folder that holds it or `model.safetensors`.
        map_location: the device to load to.
        mmap: False reads all of the file into memory at once; None, or True, does not, where the
            system lets mapped files be replaced (elsewhere than on Windows).
        **options: `weights_only` of programs written for PyTorch; not needed, since no code is run.

    Raises:
        FileFormatError: if the file is damaged, truncated or of another kind.
        MissingDataError: if there is no such file.
    """
    if isinstance(map_location, str) or type(map_location).__name__ == "Device":
        check_device(map_location)
    if isinstance(f, str | os.PathLike):
        path = Path(f)
        path = weights_in(path) if path.is_dir() else path
        if is_index(path):
            return _load_shards(path, mmap)
        f = path
    with opened(f, mmap) as content:
        return _read(content)


def _read(content: Content) -> Any:
    if is_torch_file(content):
        return read_torch(content)
    if is_pickle(content.piece(0, 2)):
        return read_one_pickle(content.piece(0, content.size), content.name)
    arrays, metadata = tensors_in(content)
    if _STRUCTURE not in metadata:
        return {name: from_numpy(array) for name, array in arrays.items()}
    return unpack(metadata[_STRUCTURE], arrays)


def _load_shards(index: Path, mmap: bool | None) -> dict[str, Any]:
    """The tensors of all files that an index names, in one dict."""
    found: dict[str, Any] = {}
    for path, keys in shards(index):
        with opened(path, mmap) as content:
            part = _read(content)
        if not isinstance(part, dict):
            refuse(str(path), f"it holds a {type(part).__name__}", "a shard is a dict of tensors")
        missing = sorted(set(keys) - part.keys())
        twice = sorted(map(str, found.keys() & part.keys()))
        if missing or twice:
            given = f"{(missing or twice)[0][:120]!r} is {'not in it' if missing else 'in another'}"
            refuse(str(path), given, f"{index.name} says where each tensor is")
        found |= part
    return found
