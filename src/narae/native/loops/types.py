"""How elements of each dtype look in registers and in memory, and conversions between them.

float16 and bfloat16 are held as float32 whose value the 16-bit type can represent; bool is one
byte in memory and one bit in registers; whole numbers are the same in both.
"""

import numpy as np

from narae.base.dtypes import BFLOAT16, BOOL, FLOAT32, NumpyDType, is_floating, is_half

from ..emit import F16, F32, F64, I1, I8, I16, I32, I64, Function, Type, Val
from ..halves import extended, shortened

FLOAT16 = np.dtype(np.float16)
UINT32 = np.dtype(np.uint32)
_INTEGERS = {1: I8, 2: I16, 4: I32, 8: I64}


def memory_type(dtype: NumpyDType) -> Type:
    """The type of an element in a buffer."""
    if dtype == FLOAT16:
        return F16
    if is_floating(dtype) and dtype != BFLOAT16:
        return F64 if dtype.itemsize == 8 else F32
    return _INTEGERS[dtype.itemsize]


def register_type(dtype: NumpyDType, lanes: int = 0) -> Type:
    """The type of an element in registers."""
    if dtype == BOOL:
        return I1.of(lanes)
    return (F32 if is_half(dtype) else memory_type(dtype)).of(lanes)


def constant(f: Function, value: object, dtype: NumpyDType, lanes: int = 0) -> Val:
    """A number in registers, rounded to its dtype."""
    with np.errstate(all="ignore"):
        rounded = np.asarray(value).astype(dtype)
    kind = register_type(dtype, lanes)
    plain = float(rounded) if kind.is_float else int(rounded)
    return f.const(plain, kind)


def unpacked(f: Function, x: Val, dtype: NumpyDType) -> Val:
    """What was read from memory, as registers hold it."""
    kind = register_type(dtype, x.type.lanes)
    if dtype == BOOL:
        return f.compare("ne", x, f.const(0, x.type))
    if dtype == FLOAT16:
        return extended(f, x)
    if dtype == BFLOAT16:
        wide = f.convert("zext", x, I32.like(x.type))
        return f.convert("bitcast", f.binary("shl", wide, f.const(16, wide.type)), kind)
    return x


def packed(f: Function, x: Val, dtype: NumpyDType) -> Val:
    """What registers hold, as it is written to memory."""
    kind = memory_type(dtype).like(x.type)
    if dtype == BOOL:
        return f.convert("zext", x, kind)
    if dtype == FLOAT16:
        return shortened(f, x)
    if dtype == BFLOAT16:
        bits = f.convert("bitcast", x, I32.like(x.type))
        return f.convert("trunc", f.binary("lshr", bits, f.const(16, bits.type)), kind)
    return x


def rounded(f: Function, x: Val, dtype: NumpyDType) -> Val:
    """float32 rounded to what a 16-bit type can represent; other dtypes unchanged."""
    if dtype == FLOAT16:
        return extended(f, shortened(f, x))
    return _rounded_to_bfloat16(f, x) if dtype == BFLOAT16 else x


def _rounded_to_bfloat16(f: Function, x: Val) -> Val:
    """Ties to even on the upper 16 bits; NaN keeps its sign and stays NaN."""
    bits = f.convert("bitcast", x, I32.like(x.type))
    kind = bits.type
    odd = f.binary("and", f.binary("lshr", bits, f.const(16, kind)), f.const(1, kind))
    near = f.add(f.add(bits, f.const(0x7FFF, kind)), odd)
    quiet = f.binary("or", bits, f.const(0x00400000, kind))
    chosen = f.select(f.compare("uno", x, x), quiet, near)
    upper = f.binary("and", chosen, f.const(-65536, kind))
    return f.convert("bitcast", upper, x.type)


def converted(f: Function, x: Val, source: NumpyDType, target: NumpyDType) -> Val:
    """A value of one dtype in another, as NumPy's `astype` does it."""
    if source == target:
        return x
    kind = register_type(target, x.type.lanes)
    if target == BOOL:
        return f.compare("une" if x.type.is_float else "ne", x, f.const(0, x.type))
    if is_floating(target):
        return rounded(f, _float_of(f, x, source, kind, target), target)
    return _whole_of(f, x, source, target)


def _float_of(f: Function, x: Val, source: NumpyDType, kind: Type, target: NumpyDType) -> Val:
    if not is_floating(source):
        signed = source.kind == "i"
        return f.convert("sitofp" if signed else "uitofp", x, kind)
    if x.type == kind:
        return x
    if kind.scalar == "double":
        return f.convert("fpext", x, kind)
    return _narrowed_oddly(f, x, kind) if target == FLOAT16 else f.convert("fptrunc", x, kind)


def _narrowed_oddly(f: Function, x: Val, kind: Type) -> Val:
    """float64 cut to float32 with the last bit set if inexact, so that rounding again is right."""
    near = f.convert("fptrunc", x, kind)
    back = f.convert("fpext", near, x.type)
    bits = f.convert("bitcast", near, I32.like(kind))
    large = f.compare("ogt", _magnitude(f, back), _magnitude(f, x))
    cut = f.add(bits, f.convert("sext", large, bits.type))
    odd = f.binary("or", cut, f.const(1, bits.type))
    chosen = f.select(f.compare("one", back, x), odd, bits)
    return f.convert("bitcast", chosen, kind)


def _magnitude(f: Function, x: Val) -> Val:
    return f.call(f"llvm.fabs.{x.type.suffix}", x.type, x)


def _whole_of(f: Function, x: Val, source: NumpyDType, target: NumpyDType) -> Val:
    kind = register_type(target, x.type.lanes)
    if x.type.is_float:
        return _truncated(f, x, target)
    if x.type.bits == kind.bits:
        return x
    if x.type.bits > kind.bits:
        return f.convert("trunc", x, kind)
    return f.convert("sext" if source.kind == "i" else "zext", x, kind)


def _truncated(f: Function, x: Val, target: NumpyDType) -> Val:
    """Toward zero; narrow types are cut from wider ones, so that -1.0 in uint8 is 255."""
    kind = register_type(target, x.type.lanes)
    if target.kind == "u" and target.itemsize == 8:
        half = f.const(2.0**63, x.type)
        large = f.compare("oge", x, half)
        cut = f.select(large, f.sub(x, half), x)
        low = _frozen(f, f.convert("fptosi", cut, kind))
        return f.select(large, f.binary("xor", low, f.const(-(2**63), kind)), low)
    wide = I64 if target.itemsize == 8 or target == UINT32 else I32
    whole = _frozen(f, f.convert("fptosi", x, wide.like(x.type)))
    return whole if whole.type == kind else f.convert("trunc", whole, kind)


def _frozen(f: Function, x: Val) -> Val:
    """Numbers out of range give what the processor gives, rather than anything at all."""
    return f.emit(x.type, f"freeze {x}")


def computing_bytes(dtype: NumpyDType) -> int:
    """Bytes that an element takes in registers."""
    return FLOAT32.itemsize if is_half(dtype) else dtype.itemsize
