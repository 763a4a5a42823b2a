"""Primitives on whole numbers, with the care that LLVM asks for where it defines nothing.

Division is by floor, division by zero gives 0 (as NumPy has it), shifts by the width of a number
or more empty it.
"""

from collections.abc import Callable

from ..emit import Function, Val

IntegerBinary = Callable[[Function, Val, Val, bool], Val]


def absolute_integer(f: Function, x: Val) -> Val:
    """|x| of a signed number."""
    return f.select(f.compare("slt", x, f.const(0, x.type)), f.neg(x), x)


def sign_integer(f: Function, x: Val, signed: bool) -> Val:
    """-1, 0 or 1."""
    zero = f.const(0, x.type)
    more = f.convert("zext", f.compare("sgt" if signed else "ugt", x, zero), x.type)
    if not signed:
        return more
    return f.sub(more, f.convert("zext", f.compare("slt", x, zero), x.type))


def _quotient(f: Function, x: Val, y: Val, signed: bool) -> tuple[Val, Val, Val]:
    """x / y toward zero, what is left, and whether y is zero."""
    none = f.compare("eq", y, f.const(0, y.type))
    if not signed:
        safe = f.select(none, f.const(1, y.type), y)
        quotient = f.binary("udiv", x, safe)
        return quotient, f.sub(x, f.mul(quotient, safe)), none
    opposite = f.compare("eq", y, f.const(-1, y.type))  # the smallest number has no negative
    safe = f.select(f.binary("or", none, opposite), f.const(1, y.type), y)
    quotient = f.div(x, safe)
    rest = f.sub(x, f.mul(quotient, safe))
    return f.select(opposite, f.neg(x), quotient), rest, none


def _unlike(f: Function, rest: Val, y: Val) -> Val:
    """Whether something is left, of another sign than y."""
    zero = f.const(0, y.type)
    differs = f.compare("slt", f.binary("xor", rest, y), zero)
    return f.binary("and", f.compare("ne", rest, zero), differs)


def _floor_divide(f: Function, x: Val, y: Val, signed: bool) -> Val:
    quotient, rest, none = _quotient(f, x, y, signed)
    if signed:
        quotient = f.add(quotient, f.convert("sext", _unlike(f, rest, y), y.type))
    return f.select(none, f.const(0, y.type), quotient)


def _remainder(f: Function, x: Val, y: Val, signed: bool) -> Val:
    _, rest, none = _quotient(f, x, y, signed)
    if signed:
        rest = f.select(_unlike(f, rest, y), f.add(rest, y), rest)
    return f.select(none, f.const(0, y.type), rest)


def _fmod(f: Function, x: Val, y: Val, signed: bool) -> Val:
    _, rest, none = _quotient(f, x, y, signed)
    return f.select(none, f.const(0, y.type), rest)


def _fits(f: Function, y: Val) -> Val:
    """Whether a shift is by less than the width."""
    return f.compare("ult", y, f.const(y.type.bits, y.type))


def _shift_left(f: Function, x: Val, y: Val, signed: bool) -> Val:
    fits, zero = _fits(f, y), f.const(0, y.type)
    return f.select(fits, f.binary("shl", x, f.select(fits, y, zero)), zero)


def _shift_right(f: Function, x: Val, y: Val, signed: bool) -> Val:
    most = f.const(y.type.bits - 1, y.type)
    fits = _fits(f, y)
    moved = f.binary("ashr" if signed else "lshr", x, f.select(fits, y, most))
    return moved if signed else f.select(fits, moved, f.const(0, y.type))


def _extreme(how: str) -> IntegerBinary:
    def choose(f: Function, x: Val, y: Val, signed: bool) -> Val:
        return f.select(f.compare(("s" if signed else "u") + how, x, y), x, y)

    return choose


def integer_power(f: Function, x: Val, y: Val, signed: bool) -> Val:
    """x ** y by repeated squaring; to negative powers only 1 and -1 are not 0."""
    zero, one = f.const(0, x.type), f.const(1, x.type)
    with f.loop(0, x.type.bits, carried=[x, y, one]) as loop:
        base, rest, out = loop.carried
        odd = f.compare("ne", f.binary("and", rest, one), zero)
        out = f.mul(out, f.select(odd, base, one))
        loop.next = [f.mul(base, base), f.binary("lshr", rest, one), out]
    power = loop.results[2]
    if not signed:
        return power
    # Powers of 1 and -1 depend on the lowest bit of y alone, so these are right already.
    unit = f.compare("eq", absolute_integer(f, x), one)
    return f.select(f.compare("slt", y, zero), f.select(unit, power, zero), power)


INTEGER_BINARY: dict[str, IntegerBinary] = {
    "add": lambda f, x, y, signed: f.add(x, y),
    "sub": lambda f, x, y, signed: f.sub(x, y),
    "mul": lambda f, x, y, signed: f.mul(x, y),
    "maximum": _extreme("gt"),
    "minimum": _extreme("lt"),
    "floor_divide": _floor_divide,
    "remainder": _remainder,
    "fmod": _fmod,
    "and": lambda f, x, y, signed: f.binary("and", x, y),
    "or": lambda f, x, y, signed: f.binary("or", x, y),
    "xor": lambda f, x, y, signed: f.binary("xor", x, y),
    "shift_left": _shift_left,
    "shift_right": _shift_right,
}
