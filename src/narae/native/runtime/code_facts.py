"""What LLVM says about itself and this computer, kept on the disk beside the machine code.

To load LLVM takes 60 ms and 45 MB. A process whose kernels are all in the cache need not, if it
knows what LLVM would answer: always the same, while its library and the processor are the same.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

from .cache import CodeCache
from .processor import processor_answers

_FORMAT = "facts 1"


@dataclass(frozen=True)
class Facts:
    """What is asked of LLVM before there is anything to compile.

    Attributes:
        version: LLVM's.
        triple: the kind of machine, "x86_64-unknown-linux-gnu".
        features: LLVM's names of what the processor has.
    """

    version: str
    triple: str
    features: tuple[str, ...]

    @property
    def processor(self) -> str:
        """The kind of processor: "x86_64", "aarch64"."""
        return self.triple.partition("-")[0]


@lru_cache(maxsize=1)
def llvm_facts() -> Facts:
    """The facts, from the disk if they are there, otherwise from LLVM."""
    key = _key()
    if key is None:
        return ask_llvm()
    cache = CodeCache()
    kept = cache.read(key)
    if kept is not None:
        found = json.loads(kept)
        return Facts(found["version"], found["triple"], tuple(found["features"]))
    facts = ask_llvm()
    cache.write(key, json.dumps(asdict(facts)).encode())
    return facts


def ask_llvm() -> Facts:
    """The facts, from LLVM."""
    from llvmlite import binding

    has = binding.get_host_cpu_features().items()
    version = ".".join(map(str, binding.llvm_version_info))
    features = tuple(sorted(name for name, is_there in has if is_there))
    return Facts(version, binding.get_process_triple(), features)


def _key() -> str | None:
    """A name for all that the answers depend on; None where that is not known."""
    import llvmlite

    library = Path(llvmlite.__file__).parent / "binding" / "libllvmlite.so"
    answers = processor_answers()
    try:
        found = library.stat()
    except OSError:
        return None
    if answers is None:
        return None
    about = (_FORMAT, llvmlite.__version__, str(library), found.st_size, found.st_mtime_ns)
    return hashlib.sha256(repr((about, answers)).encode()).hexdigest()
