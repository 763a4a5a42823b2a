"""float16 on processors without instructions for it: conversions by whole numbers.

Source: Giesen, float_to_half_fast3_rtne and half_to_float (2012).
"""

from .emit import F16, F32, I16, I32, Function, Val

SMALLEST_NORMAL = 113 << 23  # 2 ** -14 as float32
TOO_LARGE = 143 << 23  # 2 ** 16
INFINITY = 255 << 23
MAGIC = 126 << 23  # 0.5: adding it leaves the bits of a small float16 at the end


def extended(f: Function, x: Val) -> Val:
    """float16 to float32, exactly."""
    if f.has_half:
        return f.convert("fpext", x, F32.like(x.type))
    kind = I32.like(x.type)
    bits = f.convert("zext", f.convert("bitcast", x, I16.like(x.type)), kind)
    sign = f.binary("shl", f.binary("and", bits, f.const(0x8000, kind)), f.const(16, kind))
    moved = f.binary("shl", f.binary("and", bits, f.const(0x7FFF, kind)), f.const(13, kind))
    small = f.convert("bitcast", moved, F32.like(kind))
    grown = f.mul(small, f.const(2.0**112, small.type))
    whole = f.convert("bitcast", grown, kind)
    special = f.compare("uge", moved, f.const(0x0F800000, kind))  # infinity and NaN
    whole = f.select(special, f.binary("or", whole, f.const(INFINITY, kind)), whole)
    return f.convert("bitcast", f.binary("or", whole, sign), small.type)


def shortened(f: Function, x: Val) -> Val:
    """float32 to float16, to the nearest, ties to even."""
    if f.has_half:
        return f.convert("fptrunc", x, F16.like(x.type))
    kind = I32.like(x.type)
    bits = f.convert("bitcast", x, kind)
    sign = f.binary("and", bits, f.const(-(2**31), kind))
    size = f.binary("xor", bits, sign)
    nan = f.compare("ugt", size, f.const(INFINITY, kind))
    out = f.select(nan, f.const(0x7E00, kind), f.const(0x7C00, kind))
    out = f.select(f.compare("ult", size, f.const(TOO_LARGE, kind)), _normal(f, size), out)
    tiny = f.compare("ult", size, f.const(SMALLEST_NORMAL, kind))
    out = f.select(tiny, _subnormal(f, size), out)
    out = f.binary("or", out, f.binary("lshr", sign, f.const(16, kind)))
    return f.convert("bitcast", f.convert("trunc", out, I16.like(kind)), F16.like(kind))


def _normal(f: Function, size: Val) -> Val:
    kind = size.type
    odd = f.binary("and", f.binary("lshr", size, f.const(13, kind)), f.const(1, kind))
    moved = f.add(size, f.const(0xFFF - (112 << 23), kind))
    return f.binary("lshr", f.add(moved, odd), f.const(13, kind))


def _subnormal(f: Function, size: Val) -> Val:
    kind = size.type
    small = f.convert("bitcast", size, F32.like(kind))
    sum_ = f.convert("bitcast", f.add(small, f.const(0.5, small.type)), kind)
    return f.sub(sum_, f.const(MAGIC, kind))
