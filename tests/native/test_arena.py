"""Memory of a program: what is needed at once never overlaps, and what is dead is used again."""

import gc
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("llvmlite")

from narae import native
from narae import primitives as p
from narae.ir import trace
from narae.native.executor import NativeRunner, build
from narae.native.kernel import Kernel
from narae.native.loops.nest import Apply, Load, Lookup, Nest, Store
from narae.native.plan.arena import PackedArena, packed_offsets
from narae.native.plan.buffers import Access, Buffer, Step
from narae.native.plan.in_place import in_place
from narae.native.plan.scheduling import ChainOf, Phase, Scheduled, lifetimes
from narae.native.plan.sharing import takeovers
from narae.native.runtime.blocks import ALIGNMENT, Pool
from tests.native.native_checks import PoisonedArena, bits, check_program

BYTE = np.dtype(np.uint8)
TEBI = 2**40

# --- packing --------------------------------------------------------------------------------


def overlap(one, other):
    return one[0] < other[1] and other[0] < one[1]


alive = st.tuples(st.sampled_from([1, 64, 200, 500]), st.integers(0, 9), st.integers(0, 4))


@given(st.lists(alive, max_size=25), st.randoms())
def test_what_is_needed_at_once_does_not_overlap(buffers, random):
    times = {Buffer(BYTE, size): (first, first + more) for size, first, more in buffers}
    owners = {}
    for buffer, (first, _) in times.items():  # the memory of one that ends as this one begins
        free = [b for b in times if times[b][1] == first and b is not buffer]
        free = [b for b in free if b.bytes == buffer.bytes and b not in owners]
        free = [b for b in free if b not in owners.values() and buffer not in owners.values()]
        if free and random.random() < 0.5:
            owners[buffer] = free[0]
    offsets, size = packed_offsets(times, owners)
    places = {b: (offsets[b], offsets[b] + b.bytes) for b in times}
    assert all(low % ALIGNMENT == 0 and high <= size for low, high in places.values())
    for one in times:
        for other in times:
            at_once = one is not other and overlap(
                (times[one][0], times[one][1] + 1), (times[other][0], times[other][1] + 1)
            )
            if owners.get(one) is other or owners.get(other) is one:
                assert places[one] == places[other]
            elif at_once:
                assert not overlap(places[one], places[other])


def test_memory_for_one_at_a_time():
    times = {Buffer(BYTE, 640): (n, n) for n in range(5)}
    assert packed_offsets(times, {})[1] == 640


def test_too_much_memory_names_what_needs_it():
    small, large = Buffer(BYTE, TEBI, about="t7"), Buffer(BYTE, TEBI << 16, about="conv2d")
    with pytest.raises(MemoryError) as caught:
        PackedArena({small: (0, 0), large: (0, 0)}, {})
    text = str(caught.value)
    assert "needs 68,720,525,312 MiB" in text  # 2^36 + 2^20
    assert "conv2d with 68,719,476,736 MiB" in text
    assert "smaller batch" in text


def test_a_program_that_needs_too_much_memory():
    """4 PiB: more than a process can address, so it is refused whatever the system promises."""
    size = 2**25

    def outer(x, y):
        grown = p.exp(p.mul(p.reshape(x, shape=(size, 1)), p.reshape(y, shape=(1, size))))
        return p.matmul(grown, p.reshape(y, shape=(size, 1)))

    x = np.zeros(size, np.float32)
    program = trace(outer, [x, x])
    with pytest.raises(MemoryError, match=r"needs 4,29\d,\d{3},\d{3} MiB.* with 4,294,967,296 MiB"):
        native.NativeExecutor().compile(program)


# --- taking turns ---------------------------------------------------------------------------


def runner_in(pool, rows, updates=()):
    """A program that needs memory for (rows, 64) numbers on the way, and its input."""

    def function(x):
        y = p.matmul(p.exp(p.matmul(x, x_of_64)), x_of_64)
        return p.matmul(y, x_of_64), p.sum_(y, dim=(0, 1), keepdim=False)

    x_of_64 = np.eye(64, dtype=np.float32) / 2
    x = np.random.default_rng(rows).normal(size=(rows, 64)).astype(np.float32)
    built = build(trace(function, [x]), updates, native.NativeExecutor().machine)
    return NativeRunner(built, lambda alive, owners: PackedArena(alive, owners, pool)), x


def test_programs_that_take_turns_work_in_one_block():
    pool = Pool()
    runners = [runner_in(pool, rows) for rows in (500, 300, 900, 100)]
    needs = [runner.arena.size for runner, _ in runners]
    expected = []
    for runner, x in runners:
        expected.append(bits(runner([x])))
        runner.write()
    (block,) = pool._free
    for _ in range(3):
        for (runner, x), right in zip(runners, expected, strict=True):
            assert bits(runner([x])) == right
            runner.write()
    assert pool._free == [block]
    assert block.size == max(needs)


def test_what_waits_to_be_written_keeps_its_memory():
    """A step whose updates are still to come, while another program runs."""
    pool = Pool()
    (step, x), (other, y) = runner_in(pool, 400, updates=[(0, 0)]), runner_in(pool, 400)
    before, right = x.copy(), bits(other([y]))
    other.write()
    first = step([x])
    assert bits([x]) == bits([before])
    assert bits(other([y])) == right
    other.write()
    step.write()
    assert x.tobytes() != before.tobytes()
    alone, again = runner_in(Pool(), 400, updates=[(0, 0)])
    second = alone([again])
    alone.write()
    assert bits([x, first[1]]) == bits([again, second[1]])


def test_a_block_goes_with_the_last_program_that_needs_one_so_large():
    pool = Pool()
    runners = [runner_in(pool, rows) for rows in (900, 100)]
    for runner, x in runners:
        runner([x])
        runner.write()
    (large,) = pool._free
    assert large.size == runners[0][0].arena.size
    del runners[0], runner
    gc.collect()
    assert pool._free == []
    runners[0][0]([runners[0][1]])
    runners[0][0].write()
    assert [block.size for block in pool._free] == [runners[0][0].arena.size]


def test_threads_have_a_block_each():
    pool = Pool()
    runners = [runner_in(pool, rows) for rows in (700, 500, 300)]
    expected = []
    for runner, x in runners:
        expected.append(bits(runner([x])))
        runner.write()

    def work(place):
        runner, x = runners[place]
        for _ in range(50):
            assert bits(runner([x])) == expected[place]
            runner.write()

    with ThreadPoolExecutor(3) as threads:
        list(threads.map(work, range(3)))
    assert len(pool._free) <= 3


# --- taking over ----------------------------------------------------------------------------


def size_of(program, arrays):
    """Bytes of the arena; the results are right and the same as without sharing."""
    runner, _ = check_program(program, arrays)
    alone = NativeRunner(runner.built, lambda alive, _: PoisonedArena(alive, {}))
    packed = NativeRunner(runner.built, PoisonedArena)
    assert bits(alone(arrays)) == bits(packed(arrays))
    return packed.arena.size, alone.arena.size


def in_a_chain(x, w):
    """Results of exp and tanh lie where their operands were; each product needs a new place."""
    return p.matmul(p.tanh(p.matmul(p.exp(p.matmul(x, w)), w)), w)


def two_results(x, w):
    """One of exp and the quotient lies where the product was, the other does not."""
    grown = p.exp(p.matmul(x, w))
    return p.matmul(p.div(grown, p.sum_(grown, dim=(1,), keepdim=True)), w), p.matmul(grown, w)


def needed_later(x, w):
    """The product is read again after exp."""
    product = p.matmul(x, w)
    return p.matmul(p.exp(product), w), p.matmul(product, w)


def transposed(x, w):
    """Each sum needs an element that another iteration would have written over."""
    y = p.matmul(x, w)
    return p.matmul(p.exp(p.add(y, p.permute(y, dims=(1, 0)))), w)


def along_rows(x, w):
    """Every row is gone over three times before the last time writes it."""
    y = p.matmul(x, w)
    less = p.sub(y, p.amax(y, dim=(1,), keepdim=True))
    squares = p.sum_(p.mul(less, less), dim=(1,), keepdim=True)
    return p.matmul(p.div(less, p.add(squares, 1.0)), w)


@pytest.mark.parametrize(
    ("function", "saved"),
    [(in_a_chain, 2), (two_results, 1), (needed_later, 0), (transposed, 0), (along_rows, 1)],
)
def test_results_take_the_memory_of_operands(function, saved):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(256, 256)).astype(np.float32)
    w = (rng.normal(size=(256, 256)) / 32).astype(np.float32)
    together, alone = size_of(trace(function, [x, w]), [x, w])
    assert alone - together == saved * x.nbytes


def step(*accesses, replaces=()):
    """A step of four pieces; accesses are "R", "W" and, of equal parts, "Rp", "Wp"."""
    found = tuple(Access(buffer, how[0] == "W", how.endswith("p")) for how, buffer in accesses)
    return Step(Kernel("k", "", frozenset()), (), found, 4, True, tuple(replaces))


def owners_of(*phases, even=True):
    """Who takes over whose memory: phases are lists of chains, which are lists of steps."""
    made = [
        Phase(number, [ChainOf(list(steps), 4, even) for steps in chains])
        for number, chains in enumerate(phases)
    ]
    scheduled = Scheduled(made, len(made))
    return takeovers(scheduled, lifetimes(scheduled))


@pytest.fixture
def abc():
    return [Buffer(BYTE, 64, about=name) for name in "abc"]


def test_after_the_last_step_that_reads(abc):
    a, b, c = abc
    steps = [step(("Wp", a)), step(("Rp", a), ("Wp", b)), step(("Rp", b), ("Wp", c))]
    assert owners_of([steps]) == {c: a}
    assert owners_of([steps], [[step(("R", c))]]) == {c: a}
    assert owners_of([steps], [[step(("R", a))]]) == {}  # a is read in a later phase
    assert owners_of([[*steps, step(("Rp", a))]]) == {}  # or step
    assert owners_of([steps, [step(("Rp", a))]]) == {}  # or by another chain
    assert owners_of([steps], even=False) == {}
    assert owners_of([steps[:1]], [steps[1:]]) == {c: a}  # a was made before


def test_only_equal_parts_are_dead(abc):
    a, b, c = abc
    last = step(("Rp", b), ("Wp", c))
    assert owners_of([[step(("Wp", a)), step(("R", a), ("Wp", b)), last]]) == {}
    middle = step(("Rp", a), ("Wp", b))
    assert owners_of([[step(("Wp", a)), middle, step(("Rp", b), ("W", c))]]) == {}
    assert owners_of([[step(("Wp", a.part(0, 64))), middle, last]]) == {}
    c.size = 128
    assert owners_of([[step(("Wp", a)), middle, last]]) == {}


FLOAT, ROWS = np.dtype(np.float32), (64, 1)  # strides of rows, one after the other


def nest_of(*stores, reads=((0, ROWS),), status=None):
    """8 × 64 elements: the sum of what is read is written; (slot, strides) each."""
    loads = [Load(slot, FLOAT, strides) for slot, strides in reads]
    nodes = [*loads, Apply("add", (0, len(loads) - 1), FLOAT)]
    if status is not None:
        nodes.append(Lookup(status, FLOAT, (0, 0), (), 3))
    made = [Store(slot, len(loads), FLOAT, strides) for slot, strides in stores]
    return Nest((8, 64), 1, tuple(nodes), tuple(made), 8)


def test_which_results_may_be_in_place(abc):
    a, b, c = abc
    assert in_place(nest_of((1, ROWS)), abc) == ((a, b),)
    assert in_place(nest_of((1, ROWS), (2, ROWS)), abc) == ((a, b), (a, c))
    assert in_place(nest_of((1, ROWS), reads=[(0, ROWS), (2, ROWS)]), abc) == ((a, b), (c, b))
    assert in_place(nest_of((1, (1, 8))), abc) == ()  # other places
    assert in_place(nest_of((1, (64, 0)), reads=[(0, (64, 0))]), abc) == ()  # one for each row
    assert in_place(nest_of((1, ROWS), reads=[(0, ROWS), (0, (1, 64))]), abc) == ()  # a twice
    assert in_place(nest_of((1, ROWS), status=0), abc) == ()
    assert in_place(nest_of((1, ROWS), reads=[(0, ROWS), (1, ROWS)]), abc) == ()  # b is read
    assert in_place(nest_of((1, ROWS), (1, ROWS)), abc) == ()  # b is written twice
    assert in_place(nest_of((1, ROWS)), [a, a.part(0, 8), c]) == ()
    assert in_place(nest_of((1, ROWS)), [a, b, a.part(0, 8)]) == ()
    outside = Buffer(FLOAT, 512, "input")
    assert in_place(nest_of((1, ROWS)), [outside, b, c]) == ()
    assert in_place(nest_of((1, ROWS)), [a, outside, c]) == ()


def test_in_the_same_step(abc):
    a, b, c = abc
    first, pair = step(("Wp", a)), [(a, b)]
    assert owners_of([[first, step(("Rp", a), ("Wp", b), replaces=pair)]]) == {b: a}
    assert owners_of([[first, step(("R", a), ("W", b), replaces=pair)]]) == {}
    assert owners_of([[first]], [[step(("R", a), ("W", b), replaces=pair)]]) == {b: a}
    both = step(("Rp", a), ("Wp", b), ("Wp", c), replaces=[*pair, (a, c)])
    assert len(owners_of([[first, both]])) == 1
    later = step(("Rp", b), ("Wp", c), replaces=[(b, c)])
    assert owners_of([[first, step(("Rp", a), ("Wp", b), replaces=pair), later]]) == {b: a, c: a}
