"""From LLVM's text to an object image, in this process or in a process of its own.

The file is also run by itself, as a program that imports nothing of Narae: it reads texts from its
input and writes images to its output.
"""

import json
import signal
import struct
import sys
from functools import lru_cache
from typing import IO, Any

# Changes whenever the same text would become different code: it is part of the cache's key.
RECIPE = "codegen 2, no passes, pic"


@lru_cache(maxsize=8)
def target_machine(features: str) -> Any:
    """What turns a module into code for a processor with these features ("+avx,+avx2")."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    target = binding.Target.from_triple(binding.get_process_triple())
    return target.create_target_machine(
        cpu="", features=features, opt=2, reloc="pic", codemodel="small", jit=True
    )


def compile_text(text: str, features: str) -> bytes:
    """The object image of a module.

    Raises:
        RuntimeError: if LLVM does not understand the text; the message shows where.
    """
    from llvmlite import binding

    context = binding.create_context()
    with binding.parse_assembly(text, context) as module:
        image: bytes = target_machine(features).emit_object(module)
        return image


def send(stream: IO[bytes], data: bytes) -> None:
    """Write a message: its length in 8 bytes, and itself."""
    stream.write(struct.pack("<Q", len(data)) + data)
    stream.flush()


def receive(stream: IO[bytes]) -> bytes:
    """Read a message.

    Raises:
        EOFError: if the stream ends before it does.
    """
    (size,) = struct.unpack("<Q", _exactly(stream, 8))
    return _exactly(stream, size)


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def serve(source: IO[bytes], sink: IO[bytes]) -> None:
    """Answer texts until the end: with b"1" and the image, or with b"0" and what is wrong."""
    settings = json.loads(receive(source))
    sys.path[:0] = settings["path"]
    while True:
        try:
            text = receive(source).decode()
        except EOFError:
            return
        try:
            answer = b"1" + compile_text(text, settings["features"])
        except Exception as error:  # whatever it is, the program that asked compiles it itself
            answer = b"0" + str(error).encode()
        send(sink, answer)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the program, which ends this one
    serve(sys.stdin.buffer, sys.stdout.buffer)
