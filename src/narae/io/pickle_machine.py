"""The machine that reads a pickle: a program whose instructions are known one by one, and harmless.

A pickle is a program for a machine with a stack and a memo. Python's own machine may import and
call anything, takes a program's word for the size of its memo, and hashes what it is given. This
one knows the instructions of plain data. Names in a program stand for what a list says and nothing
else; whatever a name builds is built from plain values, out of a budget.

Source: `pickletools` of Python's standard library describes every instruction.
"""

import abc
import codecs
import pickletools
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Mapping
from typing import IO, Any

from narae.base.errors import FileFormatError, explain

_LISTS = (list, deque)
_DICTS = (dict, OrderedDict, defaultdict, Counter)
_SCALARS = (type(None), bool, float, complex, str, bytes)
_SIZED = (*_LISTS, *_DICTS, tuple, set, frozenset, str, bytes, bytearray)
_KEY_ITEMS = 1000  # in one key: numbers and texts in tuples in tuples
_LARGEST_KEY = 1 << 64  # more have so many numbers to a hash that a dict becomes slow
_EXPANDED = 10_000_000  # values in a structure written out, from where sharing is looked at
_WORDS = 120  # characters of a file that a message repeats


_RULE = "only numbers, texts, containers, arrays and tensors are read; never code"
_FIX = (
    "if you trust the file, open it where it was written, and save a dict of arrays, or of tensors "
    "such as model.state_dict()"
)


class RefusedError(Exception):
    """A pickle asks for something that is not on the list.

    Args:
        given: what it asks for.
        rule, fix: of the message.
    """

    def __init__(self, given: str, rule: str = _RULE, fix: str = _FIX) -> None:
        super().__init__(given)
        self.rule, self.fix = rule, fix


class Inner:
    """What exists while a file is read, and is no value that a file may hold."""


class Named(Inner):
    """A name on the list, with what builds the values that it stands for.

    Args:
        build: takes the arguments that the file gives, none of which is to be trusted.
    """

    def __init__(self, build: Callable[..., Any]) -> None:
        self.build = build


class Stated(Inner, abc.ABC):
    """A value that is built in two steps, as pickles do: first anew, then from its state."""

    @abc.abstractmethod
    def set_state(self, state: Any) -> None:
        """The second step.

        Raises:
            RefusedError: if the state is of another kind.
        """

    @abc.abstractmethod
    def value(self) -> Any:
        """What the file holds."""


Allowed = Mapping[tuple[str, str], Any]


class Reader:
    """Runs one pickle, and refuses by name what is not on the list.

    Args:
        file: where to read.
        allowed: what each (module, name) stands for: a `Named`, or a constant.
        storage: what a persistent id stands for, in files that have some.
        encoding: of texts that Python 2 wrote; "bytes" leaves them bytes.
    """

    def __init__(
        self,
        file: IO[bytes],
        allowed: Allowed,
        storage: Callable[[Any], Any] | None = None,
        encoding: str = "ASCII",
    ) -> None:
        self._file, self._allowed = file, allowed
        self._storage, self._encoding = storage, encoding

    def load(self) -> Any:
        """The next object of the file.

        Raises:
            RefusedError: if it asks for what is not on the list.
            Exception: of any kind, if it is damaged.
        """
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under the marks
        self._memo: dict[int, Any] = {}
        self._begin, self._spent = self._file.tell(), 0
        while True:
            code = self._file.read(1)
            if code == b".":
                return finished(self._stack.pop())
            if not code:
                raise EOFError("it ends before its end")
            name, read, act = _step(code)
            argument = read(self._file) if read else None
            if act is None:
                raise RefusedError(f"the file uses the instruction {name} {shown(argument)}")
            act(self, argument)

    # --- the stack ----------------------------------------------------------------------------

    def push(self, value: Any) -> None:
        self._stack.append(value)

    def mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def since_mark(self) -> list[Any]:
        found, self._stack = self._stack, self._below.pop()
        return found

    def take(self, count: int) -> list[Any]:
        """The last values of the stack."""
        if len(self._stack) < count:
            raise IndexError("it takes more from its stack than there is")
        found = self._stack[len(self._stack) - count :]
        del self._stack[len(self._stack) - count :]
        return found

    def pop(self, _: Any) -> None:
        self.take(1)

    def pop_mark(self, _: Any) -> None:
        self.since_mark()

    def duplicate(self, _: Any) -> None:
        self.push(self._stack[-1])

    def spend(self, *values: Any) -> None:
        """Account for a copy of values; a program of n bytes has no more than some n to copy.

        A value is written once and may be named a thousand times: copies would multiply it.
        """
        self._spent += 1 + sum(map(_weight, values))
        if self._spent > 8 * (self._file.tell() - self._begin) + 10_000:
            raise RefusedError("it builds far more than it holds, as a bomb does")

    # --- texts --------------------------------------------------------------------------------

    def old_text(self, text: str) -> None:
        """Python 2's `str`, which `pickletools` reads as latin-1."""
        data = text.encode("latin-1")
        self.push(data if self._encoding == "bytes" else data.decode(self._encoding))

    # --- containers ---------------------------------------------------------------------------

    def list_of(self, _: Any) -> None:
        self.push(self.since_mark())

    def tuple_of(self, _: Any) -> None:
        self.push(tuple(self.since_mark()))

    def dict_of(self, _: Any) -> None:
        items = self.since_mark()
        self.push({})
        self._fill(items)

    def frozenset_of(self, _: Any) -> None:
        self.push(frozen(self.since_mark()))

    def append(self, _: Any) -> None:
        self._extend(self.take(1))

    def appends(self, _: Any) -> None:
        self._extend(self.since_mark())

    def _extend(self, values: list[Any]) -> None:
        self._top(_LISTS).extend(values)

    def set_item(self, _: Any) -> None:
        self._fill(self.take(2))

    def set_items(self, _: Any) -> None:
        self._fill(self.since_mark())

    def _fill(self, items: list[Any]) -> None:
        target = self._top(_DICTS)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[checked_key(key)] = value

    def add_items(self, _: Any) -> None:
        items = self.since_mark()
        self._top((set,)).update(map(checked_key, items))

    def _top(self, kinds: tuple[type, ...]) -> Any:
        top = self._stack[-1]
        if type(top) not in kinds:
            raise RefusedError(f"the file fills a {_kind(top)} as if it were a {kinds[0].__name__}")
        return top

    # --- the memo -----------------------------------------------------------------------------

    def put(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def get(self, index: int) -> None:
        self.push(self._memo[index])

    # --- names --------------------------------------------------------------------------------

    def name(self, words: str) -> None:
        module, _, name = words.partition(" ")
        self._name(module, name)

    def name_on_stack(self, _: Any) -> None:
        self._name(*self.take(2))

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise RefusedError("the file asks for a name that is no text")
        try:
            self.push(self._allowed[(module, name)])
        except KeyError:
            raise RefusedError(f"the file asks for {shown(f'{module}.{name}')}") from None

    def call(self, _: Any) -> None:
        """Build what a name stands for: both ways that pickles have of saying so."""
        named, arguments = self.take(2)
        if not isinstance(named, Named):
            raise RefusedError(f"the file calls a {_kind(named)}")
        if type(arguments) is not tuple:
            raise RefusedError(f"the file calls with a {_kind(arguments)}")
        self.spend(*arguments)
        self.push(named.build(*arguments))

    def set_state(self, _: Any) -> None:
        (state,) = self.take(1)
        top = self._stack[-1]
        if isinstance(top, Stated):
            self.spend(*state if type(state) is tuple else ())
            top.set_state(state)
        elif type(top) is OrderedDict and type(state) is dict and set(state) <= {"_metadata"}:
            _set_versions(top, state)
        else:
            names = sorted(map(str, state)) if type(state) is dict else []
            raise RefusedError(f"the file sets the state {shown(', '.join(names))} of {_kind(top)}")

    def outside(self, _: Any) -> None:
        self.outside_by_text(self.take(1)[0])

    def outside_by_text(self, key: Any) -> None:
        if self._storage is None:
            raise RefusedError("the file refers to something outside itself")
        self.push(self._storage(key))


def _set_versions(state_dict: OrderedDict, state: dict[str, Any]) -> None:
    """What `state_dict()` notes of the layers' versions."""
    versions = state.get("_metadata", {})
    if not isinstance(versions, dict) or not all(map(_is_flat, versions.values())):
        raise RefusedError("the versions of layers are no dicts of numbers")
    if state:
        state_dict._metadata = versions  # type: ignore[attr-defined]


def _is_flat(value: Any) -> bool:
    return type(value) is dict and all(type(x) in (*_SCALARS, int) for x in value.values())


# ------------------------------------------------------------------------------- single values
def checked_key(key: Any) -> Any:
    """A key of a dict or item of a set, after a look at all that its hash will go through.

    Raises:
        RefusedError: if it is no number, text or small tuple of these.
    """
    if type(key) in _SCALARS:
        return key
    waiting, seen = [key], 0
    while waiting:
        item = waiting.pop()
        seen += 1
        if seen > _KEY_ITEMS:
            raise RefusedError(f"a key of more than {_KEY_ITEMS} items")
        if type(item) in (tuple, frozenset):
            waiting.extend(item)
        elif type(item) is int and abs(item) >= _LARGEST_KEY:
            raise RefusedError("a key above 2^64")
        elif type(item) not in (*_SCALARS, int):
            raise RefusedError(f"a key of the kind {_kind(item)}")
    return key


def frozen(items: Any = ()) -> frozenset:
    """A frozen set of checked items."""
    return frozenset(map(checked_key, items))


def _weight(value: Any) -> int:
    return len(value) if type(value) in _SIZED else 1


def _kind(value: Any) -> str:
    return "name" if isinstance(value, Named) else type(value).__name__.lstrip("_")


def shown(value: Any) -> str:
    r"""A text of a file as a message repeats it: on one line, and not too long.

    >>> shown("os.system"), shown("a\nb"), len(shown("x" * 1000))
    ('os.system', 'a\\nb', 123)
    """
    if not isinstance(value, str):
        return "" if value is None else type(value).__name__
    plain = value[: _WORDS + 1].encode("unicode_escape").decode()
    return plain if len(plain) <= _WORDS else plain[:_WORDS] + "..."


# ------------------------------------------------------------------------------- whole values
def finished(value: Any) -> Any:
    """A value of which nothing is left that exists only while a file is read.

    Raises:
        RefusedError: if a name of the list is left in it, or it is nested too deeply.
    """
    try:
        return _Finishing().of(value)
    except RecursionError:
        raise RefusedError("it is nested too deeply") from None


class _Finishing:
    """Visits each container once, however often it is named, and knows its size written out."""

    def __init__(self) -> None:
        self._done: dict[int, tuple[Any, Any, int]] = {}  # by id: what it was, became, its size
        self._items = 0  # of all containers, each counted once

    def of(self, value: Any) -> Any:
        return self._visit(value)[0]

    def _visit(self, value: Any) -> tuple[Any, int]:
        kind = type(value)
        if kind in (tuple, *_LISTS, *_DICTS):
            if id(value) not in self._done:
                self._done[id(value)] = value, None, -1
                self._done[id(value)] = value, *self._container(value, kind)
            _, found, size = self._done[id(value)]
            if size < 0:
                raise RefusedError("a container holds itself")
            return found, size
        if isinstance(value, Stated):
            return value.value(), 1
        if isinstance(value, Inner):
            raise RefusedError("the file holds a class or a function as a value")
        return value, 1

    def _container(self, value: Any, kind: type) -> tuple[Any, int]:
        self._items += len(value)
        places = list(value) if kind in _DICTS else range(len(value))
        found = [self._visit(value[place]) for place in places]
        size = 1 + sum(each for _, each in found)
        if size > _EXPANDED and size > 1000 * self._items:
            raise RefusedError("it names its parts over and over, as a bomb does")
        if kind is tuple:
            return tuple(each for each, _ in found), size
        for place, (each, _) in zip(places, found, strict=True):
            value[place] = each
        return value, size


def read_object(reader: Reader, name: str) -> Any:
    """The next object, with errors that name the file.

    Raises:
        FileFormatError: if it is damaged, or asks for what is not on the list.
    """
    try:
        return reader.load()
    except RefusedError as error:
        message = explain("load", f"{name}: {error}", error.rule, error.fix)
        raise FileFormatError(message) from error
    except FileFormatError:  # of what is outside the pickle
        raise
    except Exception as error:  # a damaged pickle may fail in any way
        given = f"{name}: it cannot be read ({type(error).__name__}: {shown(str(error))})"
        rule = "a pickle file is read to its end"
        raise FileFormatError(explain("load", given, rule, "fetch it again")) from error


# ------------------------------------------------------------------------------ instructions
Act = Callable[[Reader, Any], None]


def _constant(value: Any) -> Act:
    return lambda reader, _: reader.push(value)


def _new(kind: Callable[[], Any]) -> Act:
    return lambda reader, _: reader.push(kind())


def _tuple(count: int) -> Act:
    return lambda reader, _: reader.push(tuple(reader.take(count)))


def _nothing(reader: Reader, _: Any) -> None:
    pass


def _protocol(reader: Reader, number: int) -> None:
    if number > 5:
        raise RefusedError(f"it is of the protocol {number}")


_PUSHED = ("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
           "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8", "BINBYTES",
           "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8")  # fmt: skip

# Every instruction that is known. Those that build objects in other ways (INST, OBJ, NEWOBJ_EX),
# by numbers of a registry (EXT1, EXT2, EXT4) or from buffers elsewhere are not.
_ACTIONS: dict[str, Act] = {
    **dict.fromkeys(_PUSHED, Reader.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), Reader.old_text),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Reader.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Reader.get),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), Reader.call),
    "PROTO": _protocol,
    "FRAME": _nothing,
    "MARK": Reader.mark,
    "POP": Reader.pop,
    "POP_MARK": Reader.pop_mark,
    "DUP": Reader.duplicate,
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_LIST": _new(list),
    "EMPTY_DICT": _new(dict),
    "EMPTY_SET": _new(set),
    "EMPTY_TUPLE": _constant(()),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "TUPLE": Reader.tuple_of,
    "LIST": Reader.list_of,
    "DICT": Reader.dict_of,
    "FROZENSET": Reader.frozenset_of,
    "APPEND": Reader.append,
    "APPENDS": Reader.appends,
    "SETITEM": Reader.set_item,
    "SETITEMS": Reader.set_items,
    "ADDITEMS": Reader.add_items,
    "MEMOIZE": Reader.memoize,
    "GLOBAL": Reader.name,
    "STACK_GLOBAL": Reader.name_on_stack,
    "BUILD": Reader.set_state,
    "BINPERSID": Reader.outside,
    "PERSID": Reader.outside_by_text,
}


def _quoted(file: IO[bytes]) -> str:
    """The text of STRING; `pickletools` takes ASCII alone, and Python 2 wrote any byte."""
    line = file.readline()
    text = line.strip()
    if not line.endswith(b"\n") or len(text) < 2 or text[:1] != text[-1:] or text[:1] not in b"'\"":
        raise ValueError("a text without its quotes")
    return codecs.escape_decode(text[1:-1])[0].decode("latin-1")


Step = tuple[str, Callable[[IO[bytes]], Any] | None, Act | None]
_STEPS: dict[bytes, Step] = {
    each.code.encode("latin-1"): (
        each.name,
        each.arg.reader if each.arg else None,
        _ACTIONS.get(each.name),
    )
    for each in pickletools.opcodes
} | {b"S": ("STRING", _quoted, Reader.old_text)}


def _step(code: bytes) -> Step:
    try:
        return _STEPS[code]
    except KeyError:
        raise ValueError(f"there is no instruction {code!r}") from None
