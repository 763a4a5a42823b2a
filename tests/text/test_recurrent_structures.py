"""What is read, what is said, and how many steps wait for one another."""

import importlib.util
import pathlib

import pytest

import narae
from narae import nn
from narae.base.errors import ConfigError
from narae.explain.unrolled import unrolled

EXAMPLES = pathlib.Path(__file__).parents[2] / "examples" / "sequences"


def example(name):
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def chain(first, last):
    return {(f"h{step}", f"h{step + 1}") for step in range(first, last)}


def pairs(start, end, first, last):
    return {(f"{start}{step}", f"{end}{step}") for step in range(first, last + 1)}


GRAPHS = {
    # Each answer is read by the next step.
    "one to many": {("x1", "h1"), *chain(1, 3), *pairs("h", "y", 1, 3), ("y1", "h2"), ("y2", "h3")},
    "many to one": {*pairs("x", "h", 1, 3), *chain(1, 3), ("h3", "y1")},
    "many to many": {*pairs("x", "h", 1, 3), *chain(1, 3), *pairs("h", "y", 1, 3)},
    "in two parts": {
        *pairs("x", "h", 1, 4),
        *chain(1, 8),
        *{(f"h{step + 4}", f"y{step}") for step in range(1, 5)},
        *{(f"y{step}", f"h{step + 5}") for step in range(1, 4)},
    },
}


@pytest.mark.parametrize("name", GRAPHS)
def test_unrolled_graphs(name):
    """B17: the graph of each structure, read from its traced program, has these edges only."""
    structures = example("structures")
    graph = structures.graph(structures.TASKS[name]())
    assert graph.edges == GRAPHS[name]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "accuracy"),
    [("one to many", 0.7), ("many to one", 0.93), ("many to many", 0.99), ("in two parts", 0.9)],
)
def test_structures_learn(name, accuracy):
    """B17: one-to-many, many-to-one and many-to-many; whole answers, to what was not learnt."""
    structures = example("structures")
    task = structures.TASKS[name]()
    assert structures.share_right(task, structures.trained(task)) > accuracy


def test_names_that_are_left_out():
    """B17: what the first structure is judged by is not in what it learns from."""
    structures = example("structures")
    task = structures.one_to_many()
    learnt, judged = ({row.tobytes() for row in x[0][0]} for x in (task.batch(0), task.test))
    assert (len(learnt), len(judged)) == (88, 12)
    assert not learnt & judged


def test_a_drawing():
    """B17: an LSTM, whose first state reaches the last by attention as well."""
    cell, head = nn.LSTMCell(2, 3), nn.Linear(3, 1)

    def net(first, second, third):
        state = cell(first)
        early = state[0]
        for x in (second, third + early.mean()):
            state = cell(x, state)
        return head(state[0])

    graph = unrolled(net, *(narae.zeros(1, 2) for _ in range(3)))
    assert str(graph).splitlines() == [
        "            y1",
        "            ↑",
        "h1 ─→ h2 ─→ h3",
        "↑     ↑     ↑",
        "x1    x2    x3",
        "and h1 → h3",
    ]


def test_a_layer_has_no_steps_to_see():
    with pytest.raises(ConfigError, match="calls no cell"):
        unrolled(nn.GRU(2, 3), narae.zeros(4, 1, 2))


# --- steps and length -----------------------------------------------------------------------


def test_the_chain_of_a_recurrent_net_grows_with_the_text():
    """B21: an LSTM runs once per token (three operations that wait), a Transformer once."""
    steps = example("steps_and_length")
    lstm, transformer = steps.models(16, 32).values()
    chains = {length: steps.counts(lstm, length)[0] for length in (16, 64, 256)}
    assert chains[64] - chains[16] == 3 * 48
    assert chains[256] - chains[64] == 3 * 192
    assert len({steps.counts(transformer, length)[0] for length in (16, 64, 256)}) == 1


@pytest.mark.parametrize("length", [16, 64])
def test_operations_are_those_of_the_formulas(length):
    """B21: counted in the programs, against Vaswani et al. (2017), table 1."""
    steps = example("steps_and_length")
    lstm, transformer = steps.models(16, 32).values()
    batch, d, inner = 3, 16, 32
    # Four gates of x and h, a product and a sum for each weight.
    assert steps.counts(lstm, length, batch)[1] == 2 * batch * length * (4 * d * d + 4 * d * d)
    # Queries, keys, values and their mixing; two layers; scores and sums over all tokens.
    weights = 4 * d * d + 2 * d * inner
    assert steps.counts(transformer, length, batch)[1] == 2 * batch * length * (
        weights + 2 * length * d
    )
