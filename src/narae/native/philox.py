"""Philox 4x32-10: 32 random bits that depend on a key and a counter alone.

Source: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011),
section 3.3 and table 2.
"""

from .emit import I32, I64, Function, Val

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # golden ratio; square root of 3, less 1
LOW = 0xFFFFFFFF


def philox_keys(f: Function, key: Val) -> list[tuple[Val, Val]]:
    """The two 32-bit words that every round mixes in, held in 64 bits."""
    words = [_low(f, key), f.binary("lshr", key, f.const(32, I64))]
    rounds = []
    for _ in range(ROUNDS):
        rounds.append((words[0], words[1]))
        words = [
            _low(f, f.add(word, f.const(step, I64)))
            for word, step in zip(words, KEY_STEPS, strict=True)
        ]
    return rounds


def philox_block(f: Function, keys: list[tuple[Val, Val]], block: Val) -> list[Val]:
    """The four words of a block, each in the low half of 64 bits.

    Args:
        block: i64, the number of the block; lanes are independent of each other
    """
    lanes = block.type.lanes
    words = [_low(f, block), f.binary("lshr", block, f.const(32, block.type))]
    words += [f.const(0, block.type)] * 2
    for first, second in keys:
        left = f.mul(words[0], f.const(MULTIPLIERS[0], block.type))
        right = f.mul(words[2], f.const(MULTIPLIERS[1], block.type))
        words = [
            f.binary("xor", f.binary("xor", _high(f, right), words[1]), f.splat(first, lanes)),
            _low(f, right),
            f.binary("xor", f.binary("xor", _high(f, left), words[3]), f.splat(second, lanes)),
            _low(f, left),
        ]
    return words


def philox_words(f: Function, keys: list[tuple[Val, Val]], counter: Val) -> Val:
    """The word of every counter: word i mod 4 of block i div 4.

    Args:
        counter: i64
    """
    kind = counter.type
    words = philox_block(f, keys, f.binary("lshr", counter, f.const(2, kind)))
    which = f.binary("and", counter, f.const(3, kind))
    out = words[0]
    for k in (1, 2, 3):
        out = f.select(f.compare("eq", which, f.const(k, kind)), words[k], out)
    return f.convert("trunc", out, I32.like(kind))


def _low(f: Function, x: Val) -> Val:
    return f.binary("and", x, f.const(LOW, x.type))


def _high(f: Function, x: Val) -> Val:
    return f.binary("lshr", x, f.const(32, x.type))
