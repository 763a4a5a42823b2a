"""States that a program writes: in place, swapped, seen through views; all of them or none.

Planted faults that it has seen: old states read after they were replaced; a state written where
another kernel of the same phase reads it; updates done twice after an interrupt.
"""

import dis
import sys

import numpy as np
import pytest

pytest.importorskip("llvmlite")

from hypothesis import given, settings
from hypothesis import strategies as st

import narae
from narae import primitives as p
from narae.ir import Program, trace
from narae.ir.builder import building
from narae.native import executor as native
from narae.reference import ReferenceExecutor
from tests.native.native_checks import (
    LOOSE,
    assert_same,
    bits,
    guarded_copy,
    guarded_outputs,
    native_runner,
    strided_copy,
)
from tests.native.program_making import Making

F32, F64 = np.dtype("float32"), np.dtype("float64")
LAYOUTS = (np.copy, guarded_copy, strided_copy, lambda x: np.copy(x, order="F"))


def history(runner, arrays, calls=3, writes=1):
    """Outputs and states after each of some calls."""
    found = []
    for _ in range(calls):
        with guarded_outputs:
            outputs = runner(arrays)
        found += [np.copy(x) for x in outputs if x is not None]
        for _ in range(writes):
            runner.write()
        found += [np.copy(x) for x in arrays]
    return found


def check_updates(program: Program, updates, arrays) -> None:
    """The same states and outputs as on the reference executor, wherever states lie in memory."""
    wanted = history(ReferenceExecutor().compile(program, updates), [np.copy(x) for x in arrays])
    runner = native_runner(program, updates)
    for layout in LAYOUTS:
        found = history(runner, [layout(x) for x in arrays], writes=2)
        assert_same(found, wanted, f"{program} with {updates}", LOOSE)


# --- optimizers -------------------------------------------------------------------------------


def _sgd(w, velocity, grad, rate):
    velocity = p.add(p.mul(velocity, 0.9), grad)
    return p.sub(w, p.mul(velocity, rate)), velocity


def _adam(w, mean, square, grad, rate):
    mean = p.add(p.mul(mean, 0.9), p.mul(grad, 0.1))
    square = p.add(p.mul(square, 0.99), p.mul(p.mul(grad, grad), 0.01))
    return p.sub(w, p.mul(p.div(mean, p.add(p.sqrt(square), 1e-3)), rate)), mean, square


@pytest.mark.parametrize("shape", [(), (1,), (7,), (20, 30), (3, 0), (9000, 3)])
@pytest.mark.parametrize(("rule", "states"), [(_sgd, 2), (_adam, 3)])
def test_optimizers(rule, states, shape):
    random = np.random.default_rng(1)
    arrays = [np.abs(random.normal(size=shape)).astype(F32) for _ in range(states + 1)]
    arrays.append(np.array(0.1, F32))
    check_updates(trace(rule, arrays), [(n, n) for n in range(states)], arrays)


def test_threads_share_long_updates():
    """Their kernel knows no length, but what it takes is told by the length of the states."""
    shape = 300, 400
    arrays = [np.ones(shape, F32)] * 4 + [np.array(0.1, F32)]
    runner = native_runner(trace(_adam, arrays), [(n, n) for n in range(3)])
    first = next(phase for phase in runner.built.scheduled.phases[runner._late :] if phase.chains)
    (step,) = first.chains[0].steps
    assert step.kernel.bytes == (4 + 3) * 4 * 300 * 400 + 4
    assert step.pieces > 1
    assert runner.table._is_shared(runner._late, runner._end)


def test_mixed_precision():
    """A float32 state whose bfloat16 copy is another state; a counter of steps."""
    import ml_dtypes

    def step(master, low, count, grad):
        master = p.sub(master, p.cast(grad, dtype=F32))
        return master, p.cast(master, dtype=low.dtype), p.add(count, 1), p.mul(master, 2.0)

    random = np.random.default_rng(1)
    x = random.normal(size=(5, 33)).astype(F32)
    arrays = [x, x.astype(ml_dtypes.bfloat16), np.array([3, 4]), x.astype(ml_dtypes.bfloat16)]
    check_updates(trace(step, arrays), [(0, 0), (1, 1), (2, 2)], arrays)


# --- states that depend on each other ---------------------------------------------------------


def _swapped(a, b):
    return b, a


def _turned(a, b):
    return p.permute(b, dims=(1, 0)), p.permute(a, dims=(1, 0))


def _turned_onto_itself(a, b):
    return p.permute(a, dims=(1, 0)), p.add(a, b)


def _old_and_new(a, b):
    new = p.add(a, p.permute(b, dims=(1, 0)))
    return new, p.mul(new, a), a, new


def _same_for_both(a, b):
    new = p.mul(a, b)
    return new, new


def _number_and_constant(a, b):
    return 0.5, np.arange(16.0).reshape(4, 4), p.add(a, b)


def _itself(a, b):
    return a, p.exp(a)


def _rows_of_the_new(a, b):
    new = p.mul(a, 0.5)
    first = p.expand(p.narrow(new, 0, 0, 1), shape=(4, 4))
    return new, p.add(b, first), p.reshape(p.permute(new, dims=(1, 0)), shape=(16,))


def _narrowed_and_turned(a, b):
    """The new state reads the old one through a conversion and a view."""
    turned = p.permute(p.cast(p.cast(a, dtype=F32), dtype=F64), dims=(1, 0))
    return p.sub(turned, p.flip(b, dim=(0,))), p.flip(b, dim=(1,))


def _after_a_product(a, b):
    grad = p.matmul(a, b)
    loss = p.sum_(grad, dim=(0, 1), keepdim=False)
    return p.sub(a, p.mul(grad, 0.1)), p.sub(b, p.mul(p.permute(grad, dims=(1, 0)), 0.1)), loss


@pytest.mark.parametrize(
    "step",
    [
        _swapped,
        _turned,
        _turned_onto_itself,
        _old_and_new,
        _same_for_both,
        _number_and_constant,
        _itself,
        _rows_of_the_new,
        _narrowed_and_turned,
        _after_a_product,
    ],
)
def test_states_that_read_each_other(step):
    arrays = list(np.random.default_rng(2).normal(size=(2, 4, 4)))
    check_updates(trace(step, arrays), [(0, 0), (1, 1)], arrays)


UNARY = [
    p.neg,
    p.tanh,
    lambda x: p.mul(x, 0.9),
    lambda x: p.permute(x, dims=(1, 0)),
    lambda x: p.flip(x, dim=(0,)),
    lambda x: p.add(x, p.mul(p.sum_(x, dim=(1,), keepdim=True), 0.01)),
    lambda x: p.mul(p.matmul(x, x), 0.1),
    lambda x: p.concat(p.narrow(x, 0, 1, x.shape[0] - 1), p.narrow(x, 0, 0, 1), dim=0),
    lambda x: p.expand(p.narrow(x, 0, 0, 1), shape=tuple(x.shape)),
    lambda x: p.cumsum(x, dim=0),  # on NumPy
    lambda x: p.reshape(
        p.permute(p.reshape(x, shape=(2, x.size // 2)), dims=(1, 0)), shape=tuple(x.shape)
    ),
]
BINARY = [p.add, p.sub, p.mul, p.maximum, lambda x, y: p.where(p.lt(0.1, p.abs_(x)), x, y)]


def check_random(seed: int, length: int) -> None:
    """Random steps on square states; each state gets a random value or keeps its own."""
    random = np.random.default_rng(seed)
    made = Making(lambda n: int(random.integers(n)))
    size = made.of([2, 4, 6, 16, 40])
    with building(made.builder):
        states = [made.input((size, size)) for _ in range(1 + made.below(4))]
        values = [*states, made.input((size, size))]
        for _ in range(length):
            if made.chance(3):
                values.append(made.of(UNARY)(made.of(values)))
            else:
                values.append(made.of(BINARY)(made.of(values), made.of(values)))
        written = [place for place in range(len(states)) if not made.chance(4)]
        outputs = [made.of(values[-6:]) for _ in written]
        updates = list(enumerate(written))
        outputs += [made.of(values) for _ in range(1 + made.below(2))]
        program = made.builder.finish(outputs)
    check_updates(program, updates, made.arrays)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_random_updates(seed, length):
    check_random(seed, length)


@pytest.mark.slow
@settings(max_examples=300)
@given(st.integers(0, 2**32 - 1), st.integers(0, 12))
def test_many_random_updates(seed, length):
    check_random(seed, length)


# --- all or nothing ---------------------------------------------------------------------------


def _looked_up(state, x, places):
    return p.add(state, 1.0), p.take(x, places, dim=0)


def _gathered(state, x, places):
    return p.add(state, 1.0), p.gather(x, p.reshape(places, shape=(3, 1)), dim=1)


def _into_the_state(state, x, places):
    return p.add(state, p.sum_(p.take(x, places, dim=0), dim=(0,), keepdim=False)), x


def _indices_added(state, x, places):
    return p.add(state, 1.0), p.index_add(x, places, x, dim=0)


def _scattered(state, x, places):
    return p.add(state, 1.0), p.scatter_add(
        x, p.reshape(places, shape=(3, 1)), p.narrow(x, 1, 0, 1), dim=1
    )


@pytest.mark.parametrize(
    "step", [_looked_up, _gathered, _into_the_state, _indices_added, _scattered]
)
@pytest.mark.parametrize("bad", [-1, 3, 2**40, -(2**60)])
def test_nothing_is_written_when_an_index_is_out_of_range(step, bad):
    state, x = np.zeros(3), np.arange(9.0).reshape(3, 3)
    places = np.array([0, 2, 1])
    program = trace(step, [state, x, places])
    runner = native_runner(program, [(0, 0)])
    runner([state, x, places])
    before = np.copy(state)
    runner.write()
    after = np.copy(state)
    assert bits([after]) != bits([before])
    with pytest.raises(IndexError):
        runner([state, x, np.array([0, bad, 1])])
    runner.write()  # there is nothing to be written
    assert bits([state]) == bits([after])
    runner([state, x, places])
    runner.write()
    assert bits([state]) != bits([after])


def _train(reduction, returns):
    narae.manual_seed(0)
    model = narae.nn.Linear(4, 3)
    optimizer = narae.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

    def step(x, labels):
        optimizer.zero_grad()
        loss = narae.nn.functional.cross_entropy(model(x), labels, reduction=reduction).sum()
        loss.backward()
        optimizer.step()
        return loss.detach() if returns else None

    return model, step


@pytest.mark.parametrize("returns", [True, False])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("bad", [3, -1])
def test_labels_out_of_range(reduction, returns, bad):
    """The error is the one that eager mode raises, and no parameter moved."""
    x = narae.from_numpy(np.random.default_rng(0).normal(size=(5, 4)).astype(F32))
    labels = narae.tensor([0, 1, 2, 1, 0])
    wrong = narae.tensor([0, 1, bad, 1, 0])
    _, eager = _train(reduction, returns)
    with pytest.raises(IndexError) as told:
        eager(x, wrong)
    model, step = _train(reduction, returns)
    step = narae.compile(step, executor="native")
    step(x, labels)
    before = bits([q.detach().numpy() for q in model.parameters()])
    with pytest.raises(IndexError) as found:
        step(x, wrong)
    assert str(found.value) == str(told.value)
    assert bits([q.detach().numpy() for q in model.parameters()]) == before
    step(x, labels)
    assert bits([q.detach().numpy() for q in model.parameters()]) != before


def test_an_interrupt_while_updates_run_does_not_do_them_twice():
    """It is raised as soon as machine code returns; whoever handles it asks to write again."""
    state = np.zeros(1000)
    program = trace(lambda x: p.add(x, 1.0), [state])
    runner = native_runner(program, [(0, 0)])
    for call in range(3):
        runner([state])
        run, runner.table.run = runner.table.run, _interrupted(runner.table.run)
        with pytest.raises(KeyboardInterrupt):
            runner.write()
        runner.table.run = run
        runner.write()
        assert state.tolist() == [call + 1.0] * 1000


def _interrupted(run):
    def wrapped(*phases):
        run(*phases)
        raise KeyboardInterrupt

    return wrapped


def test_an_interrupt_between_calls_leaves_no_old_addresses():
    """Interrupted anywhere in getting ready, the next call does not read memory that is gone."""
    state = np.zeros(5)
    runner = native_runner(trace(lambda x: p.add(x, 1.0), [state]))
    finished, stop = False, 0
    while not finished:
        stop += 1
        fresh = strided_copy(np.full(5, float(stop)))
        finished = ran_through(lambda x=fresh: runner([x]), stop, native.__file__)
        assert runner([fresh])[0].tolist() == [stop + 1.0] * 5
        other = np.full(5, 0.5)
        assert runner([other])[0].tolist() == [1.5] * 5
    assert stop > 10


def ran_through(call, stop, *places):
    """Whether a call ends before Python could interrupt it so many times in files of some places.

    As in CPython, that is where a function begins or a call has returned.
    """
    count, before = 0, {}

    def stopping(frame, event, _):
        nonlocal count
        code = frame.f_code
        if any(place in code.co_filename for place in places):
            frame.f_trace_opcodes = True
            if event == "opcode":
                name = dis.opname[code.co_code[frame.f_lasti]]
                count += name == "RESUME" or before.get(frame, "").startswith("CALL")
                before[frame] = name
            if count == stop:
                count += 1
                raise KeyboardInterrupt
        return stopping

    sys.settrace(stopping)
    try:
        call()
    except KeyboardInterrupt:
        return False
    finally:
        sys.settrace(None)
    return True


def test_an_interrupted_step_is_done_or_not_done():
    """Wherever Python is when the interrupt comes, all states have moved, or none."""
    a, b, c = narae.zeros(3), narae.zeros(4000), narae.zeros(5)

    @narae.compile(executor="native")
    def step(x):
        a.add_(1.0)
        b.add_(a.sum() * 0 + x)  # computed first, then copied
        c.add_(x)  # added up in place
        return b * 2

    one, count = narae.ones(()), 0
    for _ in range(9):  # past the calls in which the step is traced again and compared
        step(one)
    count, stop, finished = 9, 0, False
    while not finished:
        stop += 1
        finished = ran_through(lambda: step(one), stop, "/narae/native/", "/compilation/")
        states = {*a.numpy().tolist(), *b.numpy().tolist(), *c.numpy().tolist()}
        assert states in ({float(count)}, {float(count + 1)}), stop
        count = int(states.pop())
    assert stop > 50 and count > 20
    assert step(one).numpy()[0] == 2 * (count + 1)
