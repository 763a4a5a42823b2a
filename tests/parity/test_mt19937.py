"""The host random stream against PyTorch's CPU generator (INVENTORY G1, G3, D5)."""

import copy
import pickle

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from narae.tensors import mt19937 as stream  # noqa: E402
from narae.tensors.mt19937 import MT19937  # noqa: E402

DTYPES = {
    torch.float16: np.float16,
    torch.bfloat16: ml_dtypes.bfloat16,
    torch.float32: np.float32,
    torch.float64: np.float64,
    torch.uint8: np.uint8,
    torch.int8: np.int8,
    torch.int16: np.int16,
    torch.int32: np.int32,
    torch.int64: np.int64,
    torch.bool: np.bool_,
    torch.uint16: np.uint16,
    torch.uint32: np.uint32,
    torch.uint64: np.uint64,
}
FLOATS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
INTEGERS = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
LENGTHS = [0, 1, 2, 15, 16, 17, 31, 32, 100, 1000]
SHAPES = [(), (4, 5), (3, 0, 2), *((length,) for length in LENGTHS)]
SEEDS = [0, 1, 100, 5489, 2**31, 2**32 - 1, 2**32, 2**40 + 7, 2**64 - 1, -1, -(2**63)]

seeds = st.integers(-(2**63), 2**64 - 1) | st.sampled_from(SEEDS)
shapes = st.sampled_from(SHAPES)
floats = st.sampled_from(FLOATS)
locations = st.sampled_from([0.0, 1.0, -0.3, 1e-3, 77.7])
scales = st.sampled_from([1.0, 0.02, 1 / 3, 12.5])


def pair(seed):
    return torch.Generator().manual_seed(seed), MT19937(seed)


def bits(values):
    """The bytes of an array: -0.0 is not 0.0 here."""
    if isinstance(values, torch.Tensor):
        values = values.clone(memory_format=torch.contiguous_format).flatten()
        values = values.view(torch.uint8).numpy() if values.numel() else np.empty(0)
    return values.tobytes()


def same(expected, actual):
    assert tuple(expected.shape) == actual.shape
    assert actual.dtype == np.dtype(DTYPES[expected.dtype])
    assert bits(expected) == bits(actual)


def same_state(generator, twin):
    assert np.array_equal(generator.get_state().numpy(), twin.get_state())


# --- one draw of each kind, as (torch's draw, ours) -------------------------------------------


def uniform(shape, kind, low, width):
    return (
        lambda g: torch.empty(shape, dtype=kind).uniform_(low, low + width, generator=g),
        lambda m: m.uniform(shape, DTYPES[kind], low, low + width),
    )


def normal(shape, kind, mean, std):
    return (
        lambda g: torch.empty(shape, dtype=kind).normal_(mean, std, generator=g),
        lambda m: m.normal(shape, DTYPES[kind], mean, std),
    )


def strided_normal(shape, kind, mean, std):
    def expected(generator):
        return torch.empty((*shape, 2), dtype=kind)[..., 0].normal_(mean, std, generator=generator)

    contiguous = torch.empty((*shape, 2))[..., 0].is_contiguous()
    return expected, lambda m: m.normal(shape, DTYPES[kind], mean, std, contiguous=contiguous)


def log_normal(shape, kind, mean, std):
    return (
        lambda g: torch.empty(shape, dtype=kind).log_normal_(mean / 50, std / 5, generator=g),
        lambda m: m.log_normal(shape, DTYPES[kind], mean / 50, std / 5),
    )


def cauchy(shape, kind, median, sigma):
    return (
        lambda g: torch.empty(shape, dtype=kind).cauchy_(median, sigma, generator=g),
        lambda m: m.cauchy(shape, DTYPES[kind], median, sigma),
    )


def exponential(shape, kind, rate):
    return (
        lambda g: torch.empty(shape, dtype=kind).exponential_(rate, generator=g),
        lambda m: m.exponential(shape, DTYPES[kind], rate),
    )


def geometric(shape, kind, p):
    return (
        lambda g: torch.empty(shape, dtype=kind).geometric_(p, generator=g),
        lambda m: m.geometric(shape, p, DTYPES[kind]),
    )


def bernoulli(shape, kind, p):
    return (
        lambda g: torch.empty(shape, dtype=kind).bernoulli_(p, generator=g),
        lambda m: m.bernoulli(shape, p, DTYPES[kind]),
    )


def bernoulli_of(shape, kind, chance_kind):
    sizes = shape[1:]  # broadcast over the first dimension
    chances = torch.linspace(0, 1, int(np.prod(sizes)), dtype=torch.float64).reshape(sizes)
    chances = chances.to(chance_kind)
    return (
        lambda g: torch.empty(shape, dtype=kind).bernoulli_(chances, generator=g),
        lambda m: m.bernoulli(shape, as_array(chances), DTYPES[kind]),
    )


def randint(shape, kind, low, high):
    return (
        lambda g: torch.randint(low, high, shape, dtype=kind, generator=g),
        lambda m: m.randint(shape, low, high, DTYPES[kind]),
    )


def random_from(shape, kind, low):
    return (
        lambda g: torch.empty(shape, dtype=kind).random_(low, None, generator=g),
        lambda m: m.randint(shape, low, None, DTYPES[kind]),
    )


def random_full(shape, kind):
    return (
        lambda g: torch.empty(shape, dtype=kind).random_(generator=g),
        lambda m: m.random_(shape, DTYPES[kind]),
    )


def randperm(n, kind):
    return (
        lambda g: torch.randperm(n, dtype=kind, generator=g),
        lambda m: m.randperm(n, DTYPES[kind]),
    )


def multinomial(sizes, kind, samples, replacement):
    weights = torch.linspace(0.1, 3, int(np.prod(sizes)), dtype=torch.float64)
    weights = torch.cos(weights).abs().reshape(sizes).to(kind)
    return (
        lambda g: torch.multinomial(weights, samples, replacement, generator=g),
        lambda m: m.multinomial(as_array(weights), samples, replacement),
    )


def as_array(tensor):
    if tensor.dtype == torch.bfloat16:
        return tensor.view(torch.uint16).numpy().view(ml_dtypes.bfloat16)
    return tensor.numpy()


def integer_ranges(kind):
    info = torch.iinfo(kind)
    ends = st.integers(info.min, info.max)
    return st.tuples(ends, ends).filter(lambda ends: ends[0] != ends[1]).map(sorted)


@st.composite
def integer_draws(draw):
    kind = draw(st.sampled_from(INTEGERS))
    low, high = draw(integer_ranges(kind))
    return randint(draw(shapes), kind, low, high)


@st.composite
def multinomial_draws(draw):
    categories = draw(st.integers(1, 40))
    sizes = draw(st.sampled_from([(categories,), (3, categories)]))
    replacement = draw(st.booleans())
    samples = draw(st.integers(1, 50 if replacement else categories))
    kind = draw(st.sampled_from([torch.float32, torch.float64]))
    return multinomial(sizes, kind, samples, replacement)


plain = st.sampled_from([*FLOATS, *INTEGERS])
chances = st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0])
draws = st.one_of(
    st.builds(uniform, shapes, floats, locations, scales),
    st.builds(normal, shapes, floats, locations, scales),
    st.builds(normal, shapes, floats, st.just(0.0), st.just(1.0)),
    st.builds(strided_normal, shapes, floats, locations, scales),
    st.builds(log_normal, shapes, floats, locations, scales),
    st.builds(cauchy, shapes, floats, locations, scales),
    st.builds(exponential, shapes, floats, scales),
    st.builds(geometric, shapes, plain, st.sampled_from([0.1, 0.5, 0.9])),
    st.builds(bernoulli, shapes, plain | st.just(torch.bool), chances),
    st.builds(bernoulli_of, shapes, plain | st.just(torch.bool), floats),
    integer_draws(),
    st.builds(random_full, shapes, plain | st.just(torch.bool)),
    st.builds(randperm, st.sampled_from([0, 1, 2, 3, 17, 100]), plain),
    multinomial_draws(),
)


@settings(max_examples=300, deadline=None)
@given(seeds, st.lists(draws, min_size=1, max_size=12))
def test_any_sequence_of_draws_agrees_bit_for_bit(seed, sequence):
    generator, ours = pair(seed)
    for theirs, mine in sequence:
        same(theirs(generator), mine(ours))
        same_state(generator, ours)


@settings(max_examples=100, deadline=None)
@given(seeds, st.lists(draws, max_size=4), st.lists(draws, min_size=1, max_size=4), st.booleans())
def test_states_travel_both_ways(seed, before, after, to_torch):
    generator, ours = pair(seed)
    if to_torch:
        for _, mine in before:
            mine(ours)
        generator = torch.Generator()
        generator.set_state(torch.from_numpy(ours.get_state()))
    else:
        for theirs, _ in before:
            theirs(generator)
        ours = MT19937(3)
        ours.set_state(generator.get_state().numpy())
    assert generator.initial_seed() == ours.seed
    for theirs, mine in after:
        same(theirs(generator), mine(ours))
    same_state(generator, ours)


# --- the large, the wide and the named --------------------------------------------------------


@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("n", [623, 625, 4096, 40_001])
def test_long_draws_agree(kind, n):
    generator, ours = pair(17)
    for theirs, mine in [uniform((n,), kind, -0.7, 1.1), bernoulli((n,), kind, 0.3)]:
        same(theirs(generator), mine(ours))
    same_state(generator, ours)


@pytest.mark.parametrize("seed", range(4))
def test_float32_normals_are_bit_identical(seed):
    """D5: asked are 2 ulp; the same polynomials in the same order give every bit."""
    generator, ours = pair(seed)
    theirs, mine = normal((1_000_003,), torch.float32, 0.0, 1.0)
    same(theirs(generator), mine(ours))
    theirs, mine = normal((300_000,), torch.float32, 0.3, 1.7)
    same(theirs(generator), mine(ours))


@pytest.mark.parametrize("draw", [normal, log_normal, cauchy])
def test_long_float64_draws_differ_in_the_last_bits_at_most(draw):
    generator, ours = pair(8)
    theirs, mine = draw((50_000,), torch.float64, 0.3, 1.7)
    expected, actual = theirs(generator).numpy(), mine(ours)
    np.testing.assert_allclose(actual, expected, rtol=4e-15, atol=4e-16)
    np.testing.assert_array_equal(expected.astype(np.float32), actual.astype(np.float32))


def test_the_generator_of_the_notes():
    """G1, G3: seed 100, then a linear layer of one input draws its weight and its bias."""
    ours = MT19937(100)
    torch.manual_seed(100)
    layer = torch.nn.Linear(1, 1)
    weight, bias = ours.uniform((1, 1), np.float32, -1, 1), ours.uniform(1, np.float32, -1, 1)
    same(layer.weight.detach(), weight)
    same(layer.bias.detach(), bias)
    assert f"{weight.item():.4f} {bias.item():.4f}" == "-0.7767 0.6317"


@pytest.mark.parametrize("kind", INTEGERS + FLOATS)
@pytest.mark.parametrize("low", [0, 1, 100, -7])
def test_a_range_without_an_end(kind, low):
    if kind == torch.uint8 and low < 0:
        pytest.skip("below the dtype")
    generator, ours = pair(4)
    theirs, mine = random_from((40,), kind, low)
    same(theirs(generator), mine(ours))
    same_state(generator, ours)


@pytest.mark.parametrize("kind", [torch.int64, torch.float64, torch.float32, torch.bfloat16])
def test_all_64_bit_integers(kind):
    generator, ours = pair(4)
    theirs, mine = random_from((40,), kind, -(2**63))
    same(theirs(generator), mine(ours))


@pytest.mark.filterwarnings("ignore:.*out of bounds")
@pytest.mark.parametrize(
    ("kind", "low", "high"),
    [
        (torch.int64, 0, 2**28 - 1),
        (torch.int64, 0, 2**28),
        (torch.int64, -(2**63), 2**63 - 1),
        (torch.uint16, 3, 60_000),
        (torch.uint32, 3, 2**32 - 1),
        (torch.uint64, 3, 2**63 - 1),
        (torch.bool, 0, 2),
        (torch.float16, -5, 5000),
        (torch.float16, 0, 65504),
        (torch.float16, -65503, 9),
        (torch.bfloat16, -1000, 1001),
        (torch.float32, 2**24 + 1, 2**24 + 4),
        (torch.float32, -(2**40) - 1, 2**40 + 1),
        (torch.float64, -(2**62) - 1, 2**60 + 1),
    ],
)
def test_wide_and_unusual_ranges(kind, low, high):
    generator, ours = pair(12)
    theirs, mine = randint((500,), kind, low, high)
    same(theirs(generator), mine(ours))
    same_state(generator, ours)


def test_permutations_of_every_length():
    generator, ours = pair(6)
    for n in [*range(20), 1000, 60_000]:
        same(torch.randperm(n, generator=generator), ours.randperm(n))
    same_state(generator, ours)


def test_very_long_permutations_shuffle_inside_out(monkeypatch):
    """PyTorch changes its algorithm at 214,748,364 elements; here it is checked at 1000."""
    monkeypatch.setattr(stream, "_LONG_PERMUTATION", 1000)
    generator, ours = pair(6)
    order = []
    words = torch.empty(1000, dtype=torch.int64).random_(-(2**63), None, generator=generator)
    for i, word in enumerate(words.tolist()):
        place = word % 2**64 % (i + 1)
        order.append(i)
        order[i], order[place] = order[place], i
    assert ours.randperm(1000).tolist() == order
    same_state(generator, ours)


def test_bfloat16_multinomial_picks_what_has_weight():
    generator, ours = pair(6)
    for theirs, mine in [
        multinomial((9,), torch.bfloat16, 30, True),
        multinomial((4, 9), torch.float16, 30, True),
        multinomial((4, 9), torch.float16, 1, False),
    ]:
        same(theirs(generator), mine(ours))
    same_state(generator, ours)


# --- the rarest words -------------------------------------------------------------------------


def untempered(word):
    """The state word that comes out of the twister as `word`."""
    word ^= word >> 18
    word ^= (word << 15) & 0xEFC60000
    out = word
    for _ in range(4):
        out = word ^ ((out << 7) & 0x9D2C5680)
    word = out
    for _ in range(2):
        out = word ^ (out >> 11)
    return out


def pair_drawing(word):
    """Generators whose next 623 words are all `word`."""
    state = MT19937(0).get_state()
    state[8:12] = np.array([624], "<i4").view(np.uint8)  # left
    state[16:24] = np.array([1], "<u8").view(np.uint8)  # next
    state[24 : 24 + 624 * 8] = np.full(624, untempered(word), "<u8").view(np.uint8)
    generator, ours = torch.Generator(), MT19937(0)
    generator.set_state(torch.from_numpy(state))
    ours.set_state(state)
    assert ours.clone().random32(3).tolist() == [word] * 3
    return generator, ours


@pytest.mark.parametrize("word", [0, 1, 2**24, 2**31, 2**32 - 1, 2**32 - 2**24])
@pytest.mark.parametrize("kind", FLOATS)
@pytest.mark.parametrize("n", [5, 40])
def test_the_ends_of_the_unit_interval(word, kind, n):
    for draw in [
        uniform((n,), kind, 0.0, 1.0),
        uniform((n,), kind, -0.3, 0.7),
        uniform((n,), kind, 1000.0, 1.0),
        normal((n,), kind, 0.0, 1.0),
        normal((n,), kind, 2.0, 0.1),
        exponential((n,), kind, 1.0),
        cauchy((n,), kind, 0.0, 1.0),
        geometric((n,), kind, 0.5),
        log_normal((n,), kind, 0.0, 1.0),
    ]:
        generator, ours = pair_drawing(word)
        same(draw[0](generator), draw[1](ours))


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16])
def test_float64_becomes_16_bits_in_two_roundings(kind):
    """C++ converts by way of float32, so that just above a tie is rounded as the tie."""
    eps = torch.finfo(kind).eps
    values = torch.tensor([1 + eps / 2, 1 - eps / 4, 1 + eps]).double()
    values += torch.tensor([2.0**-40, -(2.0**-40), 0.0])
    same(values.to(kind), stream._cast(values.numpy(), np.dtype(DTYPES[kind])))


# --- seeds and states -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [*SEEDS, 5.7, True, np.int64(-3)])
def test_seeds_of_every_kind(seed):
    torch.manual_seed(seed)
    ours = MT19937(seed)
    assert ours.seed == torch.initial_seed()
    assert np.array_equal(torch.get_rng_state().numpy(), ours.get_state())
    same(torch.rand(5), ours.uniform(5))


def test_the_default_seed():
    assert MT19937().seed == torch.Generator().initial_seed() == 67280421310721


def test_reseeding_forgets_the_waiting_normal():
    generator, ours = pair(2)
    same(torch.randn(3, generator=generator), ours.normal(3))
    assert ours.next_normal is not None
    generator.manual_seed(9)
    ours.reseed(9)
    same_state(generator, ours)


@pytest.mark.parametrize("twin", [MT19937.clone, copy.copy, copy.deepcopy])
def test_copies_continue_alone(twin):
    ours = MT19937(5)
    ours.normal(3)
    other = twin(ours)
    expected = other.normal(7)
    assert np.array_equal(ours.get_state(), MT19937.clone(ours).get_state())
    np.testing.assert_array_equal(ours.normal(7), expected)


def test_pickled_generators_continue():
    ours = MT19937(5)
    ours.normal(3)
    other = pickle.loads(pickle.dumps(ours))
    np.testing.assert_array_equal(ours.normal(7), other.normal(7))
