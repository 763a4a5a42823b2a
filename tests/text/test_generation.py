"""Greedy, sampling and beam search, against what can be counted out on tiny models."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import narae
import narae.nn.functional as F
from narae.base.errors import BoundsError, ConfigError, DataError, ShapeError
from narae.text import Characters
from narae.text.generation.beam_search import beam_search
from narae.text.generation.generate import continued, generate, stream
from narae.text.generation.sampling import Sampling
from narae.text.generation.stepping import Stepper, log_softmax
from narae.text.generation.translate import translate
from narae.text.models.gpt import GPT
from narae.text.models.seq2seq import Seq2Seq
from narae.text.models.transformer import TranslationTransformer


def small_gpt(positions="learned", length=24, seed=0):
    narae.manual_seed(seed)
    model = GPT(9, width=16, layers=2, heads=2, length=length, positions=positions)
    for parameter in model.parameters():  # far from uniform, so that choices are clear
        with narae.no_grad():
            parameter.mul_(4.0)
    return model.eval()


class Chain:
    """A Markov chain: the next token depends on the last one and on how many came before."""

    training = False

    def __init__(self, logits):
        self.logits = narae.tensor(logits)  # (time, vocabulary, vocabulary)

    def start(self, prompt):
        return (narae.zeros(prompt.shape[0], dtype=narae.int64),)

    def step(self, tokens, state):
        return self.logits[state[0], tokens], (state[0] + 1,)


def chain(vocabulary=4, seed=0, spread=1.5):
    return Chain(np.random.default_rng(seed).normal(0, spread, (12, vocabulary, vocabulary)))


# --- greedy and sampling --------------------------------------------------------------------


@pytest.mark.parametrize("positions", ["learned", "sinusoidal", "rotary"])
def test_greedy_is_what_the_whole_model_finds_likeliest(positions):
    """J9: "greedy/beam decode; KV cache equality"."""
    model = small_gpt(positions)
    text = [1, 5, 2]
    for _ in range(12):
        with narae.no_grad():
            text.append(int(model(narae.tensor([text]))[0, -1].argmax().item()))
    assert generate(model, [[1, 5, 2]], 12) == [text[3:]]


def test_prompts_of_unequal_length_are_each_gone_on_with_as_alone():
    model = small_gpt()
    prompts = [[1, 5, 2], [7], [3, 3, 8, 1, 2]]
    together = generate(model, prompts, 10)
    assert together == [generate(model, [prompt], 10)[0] for prompt in prompts]


def test_a_seed_gives_one_text_and_another_seed_another():
    model, hot = small_gpt(), Sampling(temperature=2.0)
    texts = [generate(model, [[1]], 16, hot, seed=seed)[0] for seed in (3, 3, 4)]
    assert texts[0] == texts[1] != texts[2]
    narae.manual_seed(5)
    first = generate(model, [[1]], 16, hot)
    narae.manual_seed(5)
    assert generate(model, [[1]], 16, hot) == first


def test_generation_leaves_the_model_in_training():
    model = small_gpt().train()
    assert generate(model, [[1]], 3) == generate(small_gpt(), [[1]], 3)
    assert model.training


def test_a_text_ends_at_its_end_token():
    model = small_gpt()
    whole = generate(model, [[1], [2]], 12)
    end = whole[0][4]
    ended = generate(model, [[1], [2]], 12, eos_id=end)
    assert ended == [row[: row.index(end)] if end in row else row for row in whole]


def test_draws_follow_the_probabilities():
    random, sampling = np.random.default_rng(0), Sampling(0.7, top_k=3)
    logits = np.tile(np.array([2.0, 1.0, 0.5, 0.4, -1.0]), (40_000, 1))
    counts = np.bincount(sampling.draw(logits, random), minlength=5) / 40_000
    kept = np.exp(np.array([2.0, 1.0, 0.5]) / 0.7)
    np.testing.assert_allclose(counts[:3], kept / kept.sum(), atol=0.01)
    assert counts[3:].sum() == 0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-8, 8), min_size=1, max_size=12),
    st.floats(0.05, 1.0),
    st.floats(0.2, 3.0),
)
def test_top_p_keeps_the_fewest_that_suffice(logits, top_p, temperature):
    row = np.array([logits])
    whole = Sampling(temperature).probabilities(row)[0]
    kept = Sampling(temperature, top_p=top_p).probabilities(row)[0] > 0
    assert whole[kept].sum() >= top_p - 1e-9
    assert whole[kept].min() >= whole[~kept].max(initial=0.0) - 1e-12
    assert whole[kept].sum() - whole[kept].min() < top_p + 1e-9


def test_temperatures_near_0_take_the_likeliest():
    logits, random = np.array([[1.0, 2.0, 3.0, 2.9]]), np.random.default_rng(0)
    for temperature in (0.0, 5e-324, 1e-300, 1e-3):
        sampling = Sampling(temperature)
        np.testing.assert_allclose(sampling.probabilities(logits), [[0, 0, 1, 0]], atol=1e-9)
        assert sampling.draw(logits, random) == [2]


def test_the_window_forgets_the_first_half():
    model = small_gpt(length=8)
    long = generate(model, [[1, 2, 3]], 30, window=True)[0]
    assert len(long) == 30
    text = [1, 2, 3]  # the same by hand: 4 tokens are kept where 8 positions are full
    while len(text) < 33:
        kept = text if len(text) == 3 else text[-4:]
        text += generate(model, [kept], min(8 - len(kept) + 1, 33 - len(text)))[0]
    assert text[3:] == long


@pytest.mark.parametrize(
    ("options", "named"),
    [({"temperature": -1}, "temperature"), ({"top_k": -1}, "top_k"), ({"top_p": 0}, "top_p")],
)
def test_sampling_outside_its_range(options, named):
    with pytest.raises(ConfigError, match=named):
        Sampling(**options)


def test_more_than_there_are_positions_for():
    model = small_gpt(length=8)
    assert len(generate(model, [[1, 2, 3]], 6)[0]) == 6  # the last token needs no position
    with pytest.raises(BoundsError, match="8 positions"):
        generate(model, [[1, 2, 3]], 7)
    with pytest.raises(BoundsError, match="8"):
        generate(model, [[1] * 9], 1)
    with pytest.raises(BoundsError, match="positions for 8"):
        model(narae.zeros(1, 9, dtype=narae.int64))


@pytest.mark.parametrize("prompts", [[], [[]], [[1], []]])
def test_an_empty_prompt(prompts):
    with pytest.raises(DataError, match="prompt"):
        generate(small_gpt(), prompts, 3)


@pytest.mark.parametrize("prompts", [[1, 2], "abc", ["abc"], [[0.5]], narae.tensor([1, 2])])
def test_prompts_that_are_no_rows_of_ids(prompts):
    with pytest.raises(ShapeError, match="a row of ids"):
        generate(small_gpt(), prompts, 3)


def test_prompts_as_arrays_and_tensors():
    model = small_gpt()
    wanted = generate(model, [[1, 2], [3, 4]], 5)
    assert generate(model, narae.tensor([[1, 2], [3, 4]]), 5) == wanted
    assert generate(model, np.array([[1, 2], [3, 4]]), 5) == wanted
    assert generate(model, [(1, 2), np.array([3, 4])], 5) == wanted


@pytest.mark.parametrize("prompt", [[9], [-1], [9, 1]])
def test_an_id_that_is_not_in_the_vocabulary(prompt):
    with pytest.raises(BoundsError, match="ids are 0 to 8"):
        generate(small_gpt(), [prompt], 3)


def test_no_tokens_and_fewer():
    model = small_gpt()
    assert generate(model, [[1]], 0) == [[]]
    for window in (False, True):
        with pytest.raises(ConfigError, match="max_tokens is -1"):
            generate(model, [[1]], -1, window=window)


class Copier(Seq2Seq):
    """It writes the source: the state is the place in it."""

    def start(self, source, *_):
        return narae.zeros(len(source), dtype=narae.int64), source

    def step(self, tokens, state):
        place, source = state
        here = place.clamp(max=source.shape[1] - 1).unsqueeze(1)
        token = source.gather(1, here).squeeze(1)
        return F.one_hot(token, len(self.tokenizer)).float() * 9, (place + 1, source)


def test_a_translator_without_positions():
    model = Copier(7, width=8)
    model.tokenizer = Characters.fit("abc")
    texts = ["ab", "cabcabcabcabcabc", "b"]
    assert translate(model, texts, beams=2) == texts
    assert translate(model, texts, beams=1, max_tokens=3, batch_size=1) == ["ab", "cab", "b"]
    assert translate(model, []) == []


def test_a_model_of_the_other_kind():
    gpt, translator = small_gpt(), TranslationTransformer(7, 8, 1, 2, 16)
    gpt.tokenizer = translator.tokenizer = Characters.fit("abc")
    with pytest.raises(ConfigError, match=r"GPT goes on with a prompt.*generate\("):
        translate(gpt, ["ab"])
    with pytest.raises(ConfigError, match=r"Transformer translates a source.*translate\("):
        generate(translator, [[1]], 3)


def test_a_model_that_says_nothing():
    model = small_gpt()
    with narae.no_grad():
        model.norm.weight.mul_(math.nan)
    for sampling in (Sampling(0.0), Sampling(1.0)):
        with pytest.raises(DataError, match="NaN"):
            generate(model, [[1]], 3, sampling)
    state = model.start(narae.zeros(1, 0, dtype=narae.int64))
    with pytest.raises(DataError, match="NaN"):
        beam_search(model, state, 1, 8, 3)


def test_a_state_that_has_read_a_prompt_has_less_room():
    model = small_gpt(length=8)
    state = model.start(narae.tensor([[1, 2, 3, 4, 5]]))
    assert len(list(continued(model, state, 1, 3))) == 3
    assert len(beam_search(model, state, 1, 8, 3, beams=2)[0]) == 2
    with pytest.raises(BoundsError, match="after 6"):
        next(continued(model, state, 1, 4))
    with pytest.raises(BoundsError, match="room for 3"):
        beam_search(model, state, 1, 8, 4)


def test_a_first_token_for_each_row():
    stepper = Stepper(chain())
    state = stepper.start(narae.zeros(2, 1))
    with pytest.raises(ShapeError, match="2 rows"):
        next(continued(stepper, state, [1, 2, 3], 1))


def test_a_step_is_one_program_whatever_the_position():
    model = small_gpt()
    stepper = Stepper(model)
    for _ in stream(stepper, [[1, 2]], 20):
        pass
    assert len(stepper._step.explain().plans) == 1


# --- beam search ----------------------------------------------------------------------------


def all_texts(logits, first, eos, longest, penalty):
    """Every text up to a length with its score: those that end, and those that are cut."""
    logs = log_softmax(np.asarray(logits, dtype=np.float64))
    tokens = [token for token in range(logs.shape[-1]) if token != eos]
    found = []
    for length in range(longest + 1):
        for text in itertools.product(tokens, repeat=length):
            path = [first, *text] if length == longest else [first, *text, eos]
            pairs = enumerate(itertools.pairwise(path))
            total = sum(logs[time, a, b] for time, (a, b) in pairs)
            found.append((list(text), total / (len(path) - 1) ** penalty))
    return sorted(found, key=lambda each: -each[1])


@pytest.mark.parametrize("penalty", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_wide_beam_finds_the_best_of_all_texts(penalty, seed):
    """J9: "greedy/beam decode"; against all sequences of a tiny model."""
    model = chain(4, seed)
    best = all_texts(model.logits.numpy(), first=1, eos=0, longest=5, penalty=penalty)
    state = model.start(narae.zeros(1, 1))
    found = beam_search(model, state, 1, 0, 5, beams=250, length_penalty=penalty)[0]
    for (tokens, score), (wanted, wanted_score) in zip(found[:20], best[:20], strict=True):
        assert tokens == wanted
        assert math.isclose(score, wanted_score, rel_tol=1e-5)


def test_a_search_goes_on_while_a_longer_text_can_be_better():
    """J9: an end of 0.6 at once, against ten tokens of which only the first is unsure (0.25)."""
    logits = np.full((10, 3, 3), -50.0)
    logits[0, :] = np.log([0.6, 0.25, 0.15])
    logits[1:, :, 1] = 0.0  # from then on token 1 is certain
    model = Chain(logits)
    state = model.start(narae.zeros(1, 1))
    (found,) = beam_search(model, state, 1, 0, 10, beams=1)[0]
    assert found.tokens == [1] * 10
    assert math.isclose(found.score, math.log(0.25) / 10, rel_tol=1e-5)
    (first,) = beam_search(model, state, 1, 0, 10, beams=1, early_stopping=True)[0]
    assert first.tokens == []
    assert math.isclose(first.score, math.log(0.6), rel_tol=1e-5)


def test_one_beam_is_greedy():
    model = small_gpt()
    state = Stepper(model).start(narae.zeros(2, 0, dtype=narae.int64))
    found = beam_search(model, state, [1, 2], eos_id=8, max_tokens=10, beams=1, length_penalty=0.0)
    greedy = generate(model, [[1], [2]], 10, eos_id=8)
    for row, ((best,), tokens) in enumerate(zip(found, greedy, strict=True)):
        assert best.tokens == tokens, row


def test_rows_of_a_batch_do_not_meet():
    narae.manual_seed(1)
    model = TranslationTransformer(12, 16, 1, 2, 32, length=16).eval()
    sources = [[4, 5, 6, 7], [8, 9, 0, 0], [10, 0, 0, 0]]
    stepper = Stepper(model)
    together = beam_search(stepper, stepper.start(narae.tensor(sources)), 1, 2, 8, beams=3)
    for row, source in enumerate(sources):
        alone = [token for token in source if token]
        found = beam_search(stepper, stepper.start(narae.tensor([alone])), 1, 2, 8, beams=3)[0]
        assert [each.tokens for each in found] == [each.tokens for each in together[row]]
        scores = [each.score for each in together[row]]
        np.testing.assert_allclose([each.score for each in found], scores, rtol=1e-4)


def test_a_larger_penalty_gives_longer_texts():
    model = chain(5, seed=3)
    state = model.start(narae.zeros(1, 1))
    lengths = [
        len(beam_search(model, state, 1, 0, 12, beams=6, length_penalty=penalty)[0][0].tokens)
        for penalty in (0.0, 1.0, 3.0)
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_beam_search_without_a_beam():
    model = chain()
    with pytest.raises(ConfigError, match="length_penalty is nan"):
        beam_search(model, model.start(narae.zeros(1, 1)), 1, 0, 5, length_penalty=math.nan)
    with pytest.raises(ConfigError, match="beams is 0"):
        beam_search(model, model.start(narae.zeros(1, 1)), 1, 0, 5, beams=0)
    narrow = small_gpt(length=8)
    state = narrow.start(narae.zeros(1, 0, dtype=narae.int64))
    with pytest.raises(BoundsError, match="8 positions"):
        beam_search(narrow, state, 1, 0, 9)
