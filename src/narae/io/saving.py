"""`save` and `load`: state dicts and other structures of tensors, in one safetensors file."""

from typing import Any

from narae.tensors.creation import from_numpy
from narae.tensors.devices import check_device

from .pickles import is_pickle, read_one_pickle
from .structure import pack, unpack
from .tensor_file import Target, parse_tensors, read_bytes, write_tensors
from .torch_file import is_torch_file, read_torch

_STRUCTURE = "narae.structure"


def save(obj: Any, f: Target) -> None:
    """Save tensors and structures of them; the file appears whole or not at all.

    A flat state dict becomes a safetensors file with the same names, which other libraries read
    too. Tensors that share memory as a whole are stored once.

    Args:
        obj: tensors, numbers and texts in dicts, lists and tuples.
        f: a path, or a file open for writing bytes.

    Raises:
        DTypeError: for anything else, such as a whole model.
        MissingExtraError: if safetensors is not installed.

    >>> import io, narae
    >>> file = io.BytesIO()
    >>> narae.save({"w": narae.ones(2), "epoch": 3}, file)
    >>> _ = file.seek(0)
    >>> narae.load(file)
    {'w': tensor([1., 1.]), 'epoch': 3}
    """
    structure, arrays = pack(obj)
    write_tensors(f, arrays, {_STRUCTURE: structure})


def load(f: Target, map_location: Any = None, **options: Any) -> Any:
    """Load what `save` wrote, the tensors of any safetensors file, or what `torch.save` wrote.

    Of a file of PyTorch's, or another pickle, only tensors, arrays, numbers, texts and containers
    are built: no code in it ever runs, and PyTorch is not needed.

    Args:
        f: a path, or a file open for reading bytes.
        map_location: the device to load to.
        **options: `weights_only` and `mmap` of programs written for PyTorch; not needed, since
            no code is run.

    Raises:
        FileFormatError: if the file is damaged, truncated or of another kind.
        MissingDataError: if there is no such file.
    """
    if isinstance(map_location, str) or type(map_location).__name__ == "Device":
        check_device(map_location)
    name, data = read_bytes(f)
    if is_torch_file(data):
        return read_torch(data, name)
    if is_pickle(data):
        return read_one_pickle(data, name)
    arrays, metadata = parse_tensors(data, name)
    if _STRUCTURE not in metadata:
        return {name: from_numpy(array) for name, array in arrays.items()}
    return unpack(metadata[_STRUCTURE], arrays)
