"""Files that ask for what a file of weights must not ask for: each a few bytes, written by hand.

`HOSTILE` names them. Each is a function from a folder, where it may leave files, to the path that
is to be loaded, and a pattern that the refusal must match. None needs PyTorch.
"""

from __future__ import annotations

import io
import json
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

MARKER = "a-hostile-file-was-run"  # what would be left in the folder if one of them ran
Builder = Callable[[Path], Path]

HOSTILE: dict[str, tuple[Builder, str]] = {}
TOUCH = f"touch {MARKER}"
CODE = f"open({MARKER!r}, 'w')"


# ---------------------------------------------------------------------------- pieces of pickles
def text(value: str) -> bytes:
    data = value.encode()
    return b"X" + struct.pack("<I", len(data)) + data


def whole(value: int) -> bytes:
    return pickle.dumps(value, 2)[2:-1]


def named(module: str, name: str) -> bytes:
    return f"c{module}\n{name}\n".encode()


def tuple_of(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def call(module: str, name: str, *arguments: bytes) -> bytes:
    return named(module, name) + tuple_of(*arguments) + b"R"


def storage_id(kind: bytes = b"", key: bytes = b"", count: bytes = b"", *rest: bytes) -> bytes:
    kind = kind or named("torch", "FloatStorage")
    words = (text("storage"), kind, key or text("0"), text("cpu"), count or whole(4), *rest)
    return tuple_of(*words) + b"Q"


def tensor(
    storage: bytes | None = None, offset: bytes = b"K\x00", size: bytes = b"K\x04\x85",
    stride: bytes = b"K\x01\x85",
) -> bytes:  # fmt: skip
    found = storage_id() if storage is None else storage
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = (found, offset, size, stride, b"\x89", hooks)
    return call("torch._utils", "_rebuild_tensor_v2", *arguments)


def program(body: bytes) -> bytes:
    return b"\x80\x02" + body + b"."


# ------------------------------------------------------------------------------- the three forms
_CALL = program(call("os", "system", text(TOUCH)))
_NUMBERS = struct.pack("<4f", 1, 2, 3, 4)
_COUNTED = struct.pack("<q", 4) + _NUMBERS


def zipped(body: bytes, members: dict[str, bytes] | None = None, compress: int = 0) -> bytes:
    """A zip as `torch.save` writes it, around a program."""
    file = io.BytesIO()
    found = {"archive/data.pkl": program(body), "archive/byteorder": b"little",
             "archive/data/0": _NUMBERS, "archive/version": b"3\n"}  # fmt: skip
    with zipfile.ZipFile(file, "w", compress) as archive:
        for name, data in {**found, **(members or {})}.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress)
    return file.getvalue()


def old(body: bytes, keys: bytes | None = None, storages: bytes | None = None) -> bytes:
    """A file of PyTorch before 1.6, around a program."""
    begin = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2)
    begin += pickle.dumps({"protocol_version": 1001, "little_endian": True}, 2)
    keys = pickle.dumps(["0"], 2) if keys is None else keys
    storages = _COUNTED if storages is None else storages
    return begin + program(body) + keys + storages


def add(name: str, data: bytes | Callable[[], bytes], said: str, ending: str = "pt") -> None:
    """One more file of the corpus; a large one is made when it is written."""

    def write(folder: Path) -> Path:
        path = folder / f"weights.{ending}"
        path.write_bytes(data() if callable(data) else data)
        return path

    assert name not in HOSTILE, name
    HOSTILE[name] = write, said


def in_all_forms(name: str, body: bytes, said: str) -> None:
    add(f"{name}, zip", zipped(b"}" + text("w") + tensor() + b"s" + text("x") + body + b"s"), said)
    add(f"{name}, old", old(b"}" + text("w") + tensor() + b"s" + text("x") + body + b"s"), said)
    add(f"{name}, pickle", program(body), said)


def in_zip_and_old(name: str, body: bytes, said: str) -> None:
    add(f"{name}, zip", zipped(body), said)
    add(f"{name}, old", old(body), said)


# ---------------------------------------------------------------------------------- what they call
CALLS: dict[str, tuple[str, str, tuple[bytes, ...]]] = {
    "os.system": ("os", "system", (text(TOUCH),)),
    "posix.system": ("posix", "system", (text(TOUCH),)),
    "subprocess.Popen": ("subprocess", "Popen", (text(TOUCH),)),
    "builtins.eval": ("builtins", "eval", (text(CODE),)),
    "builtins.exec": ("builtins", "exec", (text(CODE),)),
    "__builtin__.execfile": ("__builtin__", "execfile", (text(MARKER),)),
    "builtins.__import__": ("builtins", "__import__", (text("os"),)),
    "builtins.open": ("builtins", "open", (text(MARKER), text("w"))),
    "builtins.getattr": ("builtins", "getattr", (text(""), text("__class__"))),
    "builtins.setattr": ("builtins", "setattr", (b"]", text("x"), b"N")),
    "builtins.map": ("builtins", "map", (named("builtins", "int"), b"]")),
    "builtins.type": ("builtins", "type", (text("T"), b")", b"}")),
    "operator.attrgetter": ("operator", "attrgetter", (text("__class__.__base__"),)),
    "operator.methodcaller": ("operator", "methodcaller", (text("system"), text(TOUCH))),
    "functools.partial": ("functools", "partial", (named("builtins", "int"),)),
    "functools.reduce": ("functools", "reduce", (named("builtins", "int"), b"]")),
    "copyreg._reconstructor": ("copyreg", "_reconstructor", (named("builtins", "int"), b"N", b"N")),
    "copyreg.add_extension": ("copyreg", "add_extension", (text("os"), text("system"), b"K\x01")),
    "types.FunctionType": ("types", "FunctionType", (b"N", b"}")),
    "types.CodeType": ("types", "CodeType", ()),
    "marshal.loads": ("marshal", "loads", (text("x"),)),
    "pickle.loads": ("pickle", "loads", (text("cos\nsystem\n"),)),
    "_pickle.loads": ("_pickle", "loads", (text("cos\nsystem\n"),)),
    "importlib.import_module": ("importlib", "import_module", (text("antigravity"),)),
    "runpy.run_path": ("runpy", "run_path", (text(MARKER),)),
    "ctypes.CDLL": ("ctypes", "CDLL", (text("libc.so.6"),)),
    "socket.create_connection": ("socket", "create_connection", (tuple_of(text("a"), b"K\x01"),)),
    "webbrowser.open": ("webbrowser", "open", (text("http://localhost"),)),
    "pty.spawn": ("pty", "spawn", (text("sh"),)),
    "shutil.rmtree": ("shutil", "rmtree", (text("."),)),
    "logging.config.listen": ("logging.config", "listen", ()),
    "numpy.load": ("numpy", "load", (text("x.npy"),)),
    "numpy.memmap": ("numpy", "memmap", (text(MARKER), text("u1"), text("w+"))),
    "numpy.ndarray.tofile": ("numpy", "ndarray.tofile", (text(MARKER),)),
    "torch.load": ("torch", "load", (text("x.pt"),)),
    "torch.hub.load": ("torch.hub", "load", (text("a/b"), text("c"))),
    "torch.jit.load": ("torch.jit", "load", (text("x"),)),
    "torch.storage._load_from_bytes": ("torch.storage", "_load_from_bytes", (text("x"),)),
    "torch.nn.modules.linear.Linear": ("torch.nn.modules.linear", "Linear", ()),
    "narae.load": ("narae", "load", (text("x"),)),
    "collections.OrderedDict.fromkeys": ("collections", "OrderedDict.fromkeys", (b"]",)),
    "__main__.f": ("__main__", "f", ()),
    "builtins.print": ("builtins", "print", (text("never"),)),
}
for _name, (_module, _function, _arguments) in CALLS.items():
    _said = rf"asks for {_name}".replace(".", r"\.")
    in_all_forms(f"calls {_name}", call(_module, _function, *_arguments), _said)

_PAYLOAD = tuple_of(text(TOUCH))
OTHER_WAYS = {
    "INST": (b"(" + text(TOUCH) + b"ios\nsystem\n", r"INST os system"),
    "OBJ": (b"(" + named("os", "system") + text(TOUCH) + b"o", r"os\.system"),
    "OBJ of the list": (b"(" + named("builtins", "list") + b"o", "OBJ"),
    "NEWOBJ": (named("os", "system") + _PAYLOAD + b"\x81", r"os\.system"),
    "NEWOBJ_EX": (named("builtins", "list") + b")}\x92", "NEWOBJ_EX"),
    "STACK_GLOBAL": (text("os") + text("system") + b"\x93" + _PAYLOAD + b"R", r"os\.system"),
    "STACK_GLOBAL of no texts": (b"K\x01K\x02\x93", "no text"),
    "STACK_GLOBAL through an attribute": (
        text("builtins") + text("list.__class__.__base__") + b"\x93", r"builtins\.list\.__class__"),
    "STACK_GLOBAL with a long name": (text("o" * 5000) + text("s") + b"\x93", r"ooo\.\.\."),
    "GLOBAL with an escape": (named("a\x1b[2J", "b"), r"\\x1b"),
    "EXT1": (b"\x82\x01", "EXT1"),
    "EXT2": (b"\x83\x01\x00", "EXT2"),
    "EXT4": (b"\x84\x01\x00\x00\x00", "EXT4"),
    "NEXT_BUFFER": (b"\x97", "NEXT_BUFFER"),
    "calls a text": (text("os.system") + _PAYLOAD + b"R", "calls a str"),
    "calls with a list": (named("builtins", "list") + b"]R", "calls with a list"),
    "calls what was built": (call("builtins", "list") + _PAYLOAD + b"R", "calls a list"),
    "a class as a value": (named("builtins", "dict"), "class or a function"),
    "the state of a function": (
        named("_codecs", "encode") + b"}" + text("__code__") + b"Nsb", "__code__ of name"),
    "the state of a dict": (b"}}" + text("keys") + b"Nsb", "keys of dict"),
    "a method of an OrderedDict": (
        call("collections", "OrderedDict") + b"}" + text("items") + b"Nsb", "items of OrderedDict"),
    "slots of an OrderedDict": (
        call("collections", "OrderedDict") + b"N}" + text("x") + b"Ns\x86b", "of OrderedDict"),
    "a set as a list": (b"\x8f(K\x01e", "fills a set"),
    "a text as a list": (text("x") + b"K\x01a", "fills a str"),
    "codecs other than latin-1": (
        call("_codecs", "encode", text("x"), text("zip")), "encoding 'zip'"),
    "bytes of a size": (call("builtins", "bytes", whole(1 << 40)), "bytes from a int"),
    "bytearray of a size": (call("builtins", "bytearray", whole(1 << 40)), "bytes from a int"),
    "numpy.ndarray called": (
        call("numpy", "ndarray", tuple_of(whole(1 << 40))), "calls a Inner"),
    "an array of objects": (
        call("numpy.core.multiarray", "scalar", call("numpy", "dtype", text("O8")), text("x")),
        "Python objects"),
    "a dtype of fields outside": (
        call("numpy.core.multiarray", "scalar",
             call("numpy", "dtype", text("V8"))
             + tuple_of(b"K\x03", text("|"), b"N", text("a") + b"\x85",
                        b"}" + text("a") + call("numpy", "dtype", text("f8")) + whole(1 << 30)
                        + b"\x86s", b"K\x08", b"K\x01", b"K\x10") + b"b", text("x")),
        "cannot be read"),
    "an array larger than its bytes": (
        call("numpy.core.multiarray", "_reconstruct", named("numpy", "ndarray"), tuple_of(b"K\x00"),
             text("b"))
        + tuple_of(b"K\x01", tuple_of(whole(1 << 40)), call("numpy", "dtype", text("u1")), b"\x89",
                   call("_codecs", "encode", text("x"), text("latin1"))) + b"b",
        "cannot be read"),
    "defaultdict of a function": (
        call("collections", "defaultdict", named("_codecs", "encode")), "defaultdict of anything"),
    # memory and time
    "a memo of 4 billion places": (b"K\x01r\xff\xff\xff\xff0", "cannot be read"),
    "a memo place that is empty": (b"j\xff\xff\xff\xff", "cannot be read"),
    "a text of 2^60 bytes": (b"\x8d" + struct.pack("<Q", 1 << 60) + b"x", "cannot be read"),
    "bytes of 2^60 bytes": (b"\x8e" + struct.pack("<Q", 1 << 60) + b"x", "cannot be read"),
    "a bytearray of 2^40 bytes": (b"\x96" + struct.pack("<Q", 1 << 40) + b"x", "cannot be read"),
    "a number of 2^31 bytes": (b"\x8b" + struct.pack("<i", 2**31 - 1) + b"x", "cannot be read"),
    "a number of less than 0 bytes": (b"\x8b" + struct.pack("<i", -1), "cannot be read"),
    "a number of a million digits": (b"L" + b"9" * 1_000_000 + b"L\n", "cannot be read"),
    "a frame of 2^62 bytes and no end": (b"\x95" + struct.pack("<Q", 1 << 62) + b"(((", "cannot"),
    "a protocol of the future": (b"\x80\xff", "protocol 255"),
    "a stack below its bottom": (b"000", "cannot be read"),
    "a mark that is missing": (b"K\x01t", "cannot be read"),
    "an unknown instruction": (b"\xfe", "cannot be read"),
    "a list in itself": (b"]q\x00h\x00a", "holds itself"),
    "lists as deep as the file is long": (b"]" * 200_000 + b"a" * 199_999, "nested too deeply"),
    "tuples as deep as the file is long": (b")" + b"\x85" * 200_000, "nested too deeply"),
    "a billion laughs of lists": (
        b"]" + b"".join(b"q\x000(" + b"h\x00" * 10 + b"l" for _ in range(20)), "bomb"),
    "a billion laughs of tuples": (
        b")" + b"".join(b"q\x000(" + b"h\x00" * 10 + b"t" for _ in range(20)), "bomb"),
    "a key that takes for ever": (
        b"}(" + text("x") + b"".join(b"q\x00h\x00\x86" for _ in range(64)) + b"Nu", "key of more"),
    "a set item that takes for ever": (
        b"\x8f(" + text("x") + b"".join(b"q\x00h\x00\x86" for _ in range(64)) + b"\x90", "key of"),
    "a key that cannot be one": (b"}]Ns", "key of the kind list"),
    "copies of a long text": (
        text("x" * 100_000) + b"q\x00" + text("latin1") + b"q\x01" + b"00("
        + (named("_codecs", "encode") + b"h\x00h\x01\x86R") * 20_000 + b"l", "bomb"),
    "copies of a long list": (
        b"(" + b"N" * 100_000 + b"lq\x000" + named("builtins", "tuple") + b"q\x010("
        + b"h\x01h\x00\x85R" * 50_000 + b"l", "bomb"),
}  # fmt: skip
for _name, (_body, _said) in OTHER_WAYS.items():
    in_all_forms(_name, _body, _said)

# -------------------------------------------------------------------------------------- storages
add("a storage in a plain pickle", program(storage_id(kind=b"N")), "outside itself")
add("a persistent id of text", program(b"Pos.system\n"), "outside itself")
in_zip_and_old("a module as a storage", tuple_of(text("module"), b"N", b"N", b"N", b"N") + b"Q",
               "no storage")  # fmt: skip
STORAGES = {
    "an id that is no tuple": (text("0") + b"Q", "no storage"),
    "an id by text": (b"Pstorage\n", "no storage"),
    "a kind that is a function": (
        storage_id(kind=named("_codecs", "encode")), "storage of the kind"),
    "a kind that is a text": (storage_id(kind=text("FloatStorage")), "storage of the kind"),
    "a key that is a number": (storage_id(key=b"K\x00"), "without a key"),
    "a key on the way out": (
        storage_id(key=text("../../etc/passwd")), "no member|lists storages"),
    "a count that is a text": (storage_id(count=text("4")), "without a key"),
    "a count of 2^60": (storage_id(count=whole(1 << 60)), "4 numbers|were announced"),
    "a count below 0": (storage_id(count=whole(-4)), "were announced"),
    "a view of a storage": (storage_id(b"", b"", b"", tuple_of(text("0"), b"K\x00", b"K\x01")),
                            "view of a storage"),
    "another storage kind the second time": (
        storage_id() + storage_id(kind=named("torch", "DoubleStorage")) + b"\x86",
        "at once|not in it|announced"),
    "complex numbers": (storage_id(kind=named("torch", "ComplexFloatStorage")), "complex"),
    "quantized numbers": (storage_id(kind=named("torch", "QInt8Storage")), "quantized"),
}  # fmt: skip
TENSORS = {
    "an offset beyond the end": (tensor(offset=b"K\x01"), "leaves its storage"),
    "an offset of 2^62": (tensor(offset=whole(1 << 62)), "leaves its storage"),
    "a negative offset": (tensor(offset=whole(-1)), "negative"),
    "a size beyond the end": (tensor(size=b"K\x05\x85"), "leaves its storage"),
    "a size of 2^62": (tensor(size=whole(1 << 62) + b"\x85", stride=b"K\x00\x85"), "any memory"),
    "a negative size": (tensor(size=whole(-1) + b"\x85"), "negative"),
    "a negative stride": (tensor(offset=b"K\x03", stride=whole(-1) + b"\x85"), "negative"),
    "a stride of 2^62": (tensor(stride=whole(1 << 62) + b"\x85"), "leaves its storage"),
    "more sizes than strides": (tensor(size=b"K\x02K\x02\x86"), "2 sizes and 1 strides"),
    "a size that is a text": (tensor(size=text("4") + b"\x85"), "no whole numbers"),
    "a size that is true": (tensor(size=b"\x88\x85"), "no whole numbers"),
    "a hundred dimensions": (
        tensor(size=tuple_of(*[b"K\x01"] * 100), stride=tuple_of(*[b"K\x01"] * 100)), "cannot be"),
    "a storage that is a list": (tensor(storage=b"]"), "tensor of a list|lists storages"),
    "a storage that is bytes": (
        tensor(storage=call("_codecs", "encode", text("abcd"), text("latin1"))),
        "of a bytes|lists storages"),
    "state of a tensor": (tensor() + b"}" + text("data") + b"Nsb", "data of (Tensor|NoneType)"),
    "state of a dtype": (named("torch", "float32") + b"}" + text("name") + b"Nsb", "of DType"),
    "a parameter of a dict": (
        call("torch._utils", "_rebuild_parameter", b"}", b"\x88", b"}"),
        "parameter of a dict|lists stor"),
    "floats of 8 bits": (named("torch", "float8_e4m3fn") + b"0" + call(
        "torch._utils", "_rebuild_tensor_v3",
        storage_id(kind=named("torch.storage", "UntypedStorage"), count=whole(16)), b"K\x00",
        b"K\x04\x85", b"K\x01\x85", b"\x89", b"}", named("torch", "float8_e4m3fn")),
        "8 bits|were announced"),
    "a sparse tensor": (call("torch._utils", "_rebuild_sparse"), "_rebuild_sparse"),
    "a model": (named("torch.nn.modules.container", "Sequential") + b")\x81", r"model\.state_dict"),
}  # fmt: skip
for _name, (_body, _said) in {**STORAGES, **TENSORS}.items():
    in_zip_and_old(_name, _body, _said)

_GOOD = tensor()
add("an old file of another version", old(_GOOD).replace(pickle.dumps(1001, 2), program(b"K\x07")),
    "unknown version")  # fmt: skip
add(
    "old storages that are too short",
    old(_GOOD, storages=struct.pack("<q3f", 4, 1, 2, 3)),
    "not in",
)
add("old storages of 2^62 numbers", old(_GOOD, storages=struct.pack("<q", 1 << 62)), "not in it")
add("old storages of -1 numbers", old(_GOOD, storages=struct.pack("<q", -1)), "not in it")
add("old keys that are no list", old(_GOOD, keys=program(text("0"))), "storages that it does not")
add("old keys that are not used", old(_GOOD, keys=pickle.dumps(["1"], 2)), "storages that it does")
add("an old key twice", old(_GOOD, pickle.dumps(["0", "0"], 2), _COUNTED * 2), "there twice")
add("old keys that call", old(_GOOD, keys=_CALL), r"os\.system")


# ------------------------------------------------------------------------------------------ zips
def _directory_at(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


def _changed(data: bytes, place: int, new: bytes) -> bytes:
    return data[:place] + new + data[place + len(new) :]


def _entry_of(data: bytes, name: bytes) -> int:
    """Where the directory speaks of a member."""
    return data.index(name, _directory_at(data)) - 46


_ZIP = zipped(_GOOD)
_ENTRY = _entry_of(_ZIP, b"archive/data/0")
ZIPS = {
    "a bomb of zeros": (
        lambda: zipped(_GOOD, {"archive/data/0": bytes(1 << 28)}, 8), "compressed"),
    "members by bzip2": (zipped(_GOOD, compress=12), "compressed"),
    "members by lzma": (zipped(_GOOD, compress=14), "compressed"),
    "a way out": (zipped(_GOOD, {"archive/../../evil": b"x"}), "inside one folder"),
    "a way from the root": (zipped(_GOOD, {"/etc/passwd": b"x"}), "inside one folder"),
    "a way out with backslashes": (zipped(_GOOD, {"archive/..\\evil": b"x"}), "inside one folder"),
    "two folders": (zipped(_GOOD, {"other/x": b"x"}), "2 folders"),
    "no folder": (zipped(_GOOD, {"data.pkl": b"x"}), "inside one folder"),
    "another byte order": (zipped(_GOOD, {"archive/byteorder": b"middle"}), "byte order"),
    "a storage that is too short": (zipped(_GOOD, {"archive/data/0": b"1234"}), "were announced"),
    "a storage of half a number": (zipped(_GOOD, {"archive/data/0": b"12345"}), "have 4"),
    "a storage that is missing": (
        zipped(tensor(storage_id(key=text("7")))), "no member 'data/7'"),
    "truth values that are neither": (
        zipped(tensor(storage_id(kind=named("torch", "BoolStorage"), count=whole(16)))),
        "neither 0 nor 1"),
    "a TorchScript program": (zipped(_GOOD, {"archive/constants.pkl": b"x"}), "TorchScript"),
    "no program": (zipped(_GOOD).replace(b"data.pkl", b"data.pxl"), "no member 'data.pkl'"),
    "a member twice": (
        zipped(_GOOD, {"archive/data/1": b"x"}).replace(b"archive/data/1", b"archive/data/0"),
        "two members"),
    "a wrong checksum": (_changed(_ZIP, _ENTRY + 16, b"\0\0\0\0"), "checksum"),
    "a changed number": (_ZIP.replace(struct.pack("<f", 3), struct.pack("<f", 5)), "checksum"),
    "an encrypted member": (_changed(_ZIP, _ENTRY + 8, b"\x01\0"), "encrypted"),
    "a size beyond the end": (
        _changed(_ZIP, _ENTRY + 20, struct.pack("<II", 1 << 30, 1 << 30)), "beyond the end"),
    "a size over the next member": (
        _changed(_ZIP, _ENTRY + 20, struct.pack("<II", 60, 60)), "overlap"),
    "a smaller compressed size": (_changed(_ZIP, _ENTRY + 20, struct.pack("<I", 1)), "compressed"),
    "a member beyond the end": (
        _changed(_ZIP, _ENTRY + 42, struct.pack("<I", 1 << 30)), "beyond the end"),
    "a member that is another": (
        _changed(_ZIP, _ENTRY + 42, struct.pack("<I", 0)), "not where the directory says"),
    "a name that is another": (
        _ZIP.replace(b"archive/data/0", b"archive/data/1", 1), "not where the directory says"),
    "an end alone": (b"PK\x03\x04" + b"PK\x05\x06" + bytes(18), "no member"),
    "a directory that is missing": (_ZIP[: _directory_at(_ZIP)], "holds no weights"),
    "a zip in a zip": (zipped(b"N", {"archive/data.pkl": _ZIP}), "cannot be read"),
}  # fmt: skip
for _name, (_data, _said) in ZIPS.items():
    add(f"zip: {_name}", _data, _said)


def _overlapping_bomb() -> bytes:
    """Many members that are one piece of the file, as in a bomb without recursion."""
    big = bytes(1_000_000)
    names = {f"archive/data/{i}": big[:1] for i in range(200)}
    data = bytearray(zipped(b"N", {"archive/data/x": big, **names}))
    place = data.index(b"archive/data/x", _directory_at(bytes(data))) - 46
    body = data[place + 20 : place + 28]
    for i in range(200):
        other = _entry_of(bytes(data), f"archive/data/{i}".encode())
        data[other + 16 : other + 28] = struct.pack("<I", zlib.crc32(big)) + body
    return bytes(data)


add("zip: members that overlap", _overlapping_bomb(), "overlap|beyond the end")


# ----------------------------------------------------------------------------------- safetensors
def tensors(header: object, data: bytes = b"\0" * 16, length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def _one(**changes: object) -> dict[str, object]:
    return {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16], **changes}}


_TWO = {"dtype": "F32", "shape": [2]}
HEADERS = {
    "nothing": (b"", "cannot be read"),
    "a length alone": (struct.pack("<Q", 10), "cannot be read"),
    "a header of 2^63 bytes": (tensors(_one(), length=1 << 63), "cannot be read"),
    "a header over the end": (tensors(_one(), length=1 << 20), "cannot be read"),
    "a header of 100 MB": (
        lambda: tensors(b"{" + b" " * 100_000_000 + b"}"), "cannot be read"),
    "a header that is no JSON": (tensors(b"{'w': 1}"), "cannot be read"),
    "a header that is a list": (tensors(b"[]"), "cannot be read"),
    "a header in another encoding": (tensors(json.dumps(_one()).encode("utf-16")), "cannot be"),
    "a header of brackets": (tensors(b'{"w":' + b"[" * 200_000), "cannot be read"),
    "a number of a million digits": (tensors(b'{"w":' + b"9" * 1_000_000 + b"}"), "cannot be"),
    "a name twice": (
        tensors(b'{"w":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},'
                b'"w":{"dtype":"U8","shape":[8],"data_offsets":[8,16]}}'), "twice"),
    "an entry that is a text": (tensors({"w": "F32"}), "no dtype, shape"),
    "an entry with one thing more": (tensors(_one(code="x")), "no dtype, shape"),
    "an unknown dtype": (tensors(_one(dtype="OBJECT")), "OBJECT"),
    "a dtype that is a list": (tensors(_one(dtype=["F32"])), "has the dtype"),
    "floats of 8 bits": (tensors(_one(dtype="F8_E4M3", shape=[16])), "8 bits"),
    "a negative size": (tensors(_one(shape=[-4])), "sizes that are none"),
    "a size that is a float": (tensors(_one(shape=[4.0])), "sizes that are none"),
    "a size that is true": (tensors(_one(shape=[True, 4])), "sizes that are none"),
    "a size of 2^64": (tensors(_one(shape=[1 << 64])), "sizes that are none"),
    "sizes whose product wraps to 4": (tensors(_one(shape=[1 << 62, 4, 4, 1])), "as long as"),
    "a hundred dimensions": (tensors(_one(shape=[4] + [1] * 99)), "sizes that are none"),
    "a place beyond the end": (tensors(_one(data_offsets=[16, 32])), "gap"),
    "a place of three": (tensors(_one(data_offsets=[0, 16, 16])), "as long as"),
    "a place backwards": (tensors(_one(data_offsets=[16, 0])), "as long as"),
    "a place over the end": (tensors(_one(shape=[8], data_offsets=[0, 32])), "file at"),
    "tensors that overlap": (
        tensors({"a": {**_TWO, "data_offsets": [0, 8]}, "b": {**_TWO, "data_offsets": [4, 12]}}),
        "overlaps"),
    "tensors in one place": (
        tensors({"a": {**_TWO, "data_offsets": [0, 8]}, "b": {**_TWO, "data_offsets": [0, 8]}}),
        "overlaps"),
    "a gap between tensors": (
        tensors({"a": {**_TWO, "data_offsets": [0, 8]}, "b": {**_TWO, "data_offsets": [12, 20]}},
                bytes(20)), "gap"),
    "bytes at the end": (tensors(_one(), bytes(17)), "file at"),
    "metadata of numbers": (tensors({"__metadata__": {"a": 1}, **_one()}), "no texts"),
    "metadata that is a list": (tensors({"__metadata__": ["a"], **_one()}), "no texts"),
    "truth values that are neither": (
        tensors(_one(dtype="BOOL", shape=[16]), b"\x02" * 16), "neither 0 nor 1"),
    "a text": (b"#!/bin/sh\ntouch " + MARKER.encode(), "cannot be read"),
    "a structure that is cut": (
        tensors({"__metadata__": {"narae.structure": '{"dict": '}, **_one()}), "checksum"),
}  # fmt: skip
for _name, (_data, _said) in HEADERS.items():
    add(f"safetensors: {_name}", _data, _said, "safetensors")


# ---------------------------------------------------------------------------------------- indexes
def add_index(name: str, weight_map: object, said: str, content: bytes | None = None) -> None:
    """An index beside two shards, `a.safetensors` with "a" and `b.safetensors` with "a" and "b"."""

    def write(folder: Path) -> Path:
        entry = {"dtype": "U8", "shape": [0], "data_offsets": [0, 0]}
        (folder / "a.safetensors").write_bytes(tensors({"a": entry}, b""))
        (folder / "b.safetensors").write_bytes(tensors({"a": entry, "b": entry}, b""))
        (folder / "call.bin").write_bytes(_CALL)
        (folder.parent / "outside.safetensors").write_bytes(tensors({"a": entry}, b""))
        path = folder / "model.safetensors.index.json"
        path.write_bytes(json.dumps({"weight_map": weight_map}).encode()
                         if content is None else content)  # fmt: skip
        return path

    HOSTILE[f"index: {name}"] = write, said


add_index("a way out", {"a": "../outside.safetensors"}, r"looks for 'a' in '\.\./outside")
add_index("a way from the root", {"a": "/etc/passwd"}, "looks for 'a' in '/etc/passwd'")
add_index("a way out with backslashes", {"a": "..\\outside.safetensors"}, "looks for 'a' in")
add_index("a file of the parent", {"a": ".."}, "looks for 'a' in")
add_index("a file with a zero", {"a": "a.safetensors\0"}, "looks for 'a' in")
add_index("a file that is a number", {"a": 1}, "looks for 'a' in")
add_index("itself", {"a": "model.safetensors.index.json"}, "looks for 'a' in")
add_index("a file that is missing", {"a": "c.safetensors"}, "there is no file")
add_index("a tensor that is missing", {"x": "a.safetensors"}, "'x' is not in it")
add_index(
    "a tensor in two files", {"a": "a.safetensors", "b": "b.safetensors"}, "'a' is in another"
)
add_index("a shard that calls", {"a": "call.bin"}, r"os\.system")
add_index("no files", {}, "names no files")
add_index("a list of files", ["a.safetensors"], "names no files")
add_index("no JSON", {}, "no JSON", b"{")
add_index("brackets", {}, "no JSON", b"[" * 200_000)
add_index("a number", {}, "names no files", b"1")


def truncations(data: bytes, step: int = 1) -> list[bytes]:
    """A file cut at each position."""
    return [data[:length] for length in range(0, len(data), step)]


GOOD = {
    "zip": zipped(b"}" + text("w") + _GOOD + b"s"),
    "old": old(b"}" + text("w") + _GOOD + b"s"),
    "safetensors": tensors(_one()),
}
