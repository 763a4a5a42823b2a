"""Philox 4x32-10: 32 random bits that depend on a key and a counter alone.

Source: Salmon, Moraes, Dror and Shaw, Parallel Random Numbers: As Easy as 1, 2, 3 (2011),
section 3.3 and table 2.
"""

from ..emit import I32, I64, Function, Val

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)  # golden ratio; square root of 3, less 1
LOW = 0xFFFFFFFF


Keys = list[tuple[Val, Val]]


def philox_keys(f: Function, key: Val) -> Keys:
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


def philox_block(f: Function, keys: Keys, block: Val) -> list[Val]:
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


def philox_words(f: Function, keys: Keys, counter: Val) -> Val:
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


def philox_run(f: Function, keys: Keys, start: Val, lanes: int, count: int) -> list[Val]:
    """The words of consecutive counters, as vectors: four words for the work of one.

    Args:
        start: i64, the first counter, a multiple of 4
        lanes: words in a vector, a multiple of 4
        count: how many vectors
    """
    blocks = lanes * count // 4
    first = f.splat(f.binary("lshr", start, f.const(2, I64)), blocks)
    numbers = f.add(first, f.vector(range(blocks), I64))
    narrow = I32.of(blocks)
    words = [f.convert("trunc", word, narrow) for word in philox_block(f, keys, numbers)]
    return [_woven(f, words, k * lanes // 4, lanes) for k in range(count)]


def _woven(f: Function, words: list[Val], block: int, lanes: int) -> Val:
    """One vector: the four words of a block, those of the next, …"""
    blocks = words[0].type.lanes
    place = [block + lane // 4 + blocks * (lane % 2) for lane in range(lanes)]
    low = f.shuffle(words[0], words[1], place)
    high = f.shuffle(words[2], words[3], place)
    halves = [lane if lane % 4 < 2 else lane + lanes for lane in range(lanes)]
    return f.shuffle(low, high, halves)
