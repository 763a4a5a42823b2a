"""Recurrent language models: a state that goes on, gradients that are cut, one program a step."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.base.errors import ConfigError, ShapeError
from narae.text.generation.generate import generate
from narae.text.models.recurrent import RecurrentLM
from narae.text.streams import Streams

KINDS = ["rnn", "lstm", "gru"]


def model_of(kind="lstm", seed=0, **options):
    narae.manual_seed(seed)
    sizes = {"width": 8, "layers": 2, "dropout": 0.0, "rows": 2, **options}
    return RecurrentLM(11, kind=kind, **sizes)


def tokens_of(batch, time, low=0, high=11, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).integers(low, high, (batch, time)))


def starts(*values):
    return narae.tensor([float(value) for value in values])


# --- the carried state ----------------------------------------------------------------------


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_state_goes_on_from_batch_to_batch(kind, compiled):
    """B13: a text in three parts gives what it gives as a whole; a row that begins forgets."""
    model, tokens = model_of(kind), tokens_of(2, 12)
    with narae.no_grad():
        whole = model(tokens).numpy()
    run = narae.compile(model.forward) if compiled else model.forward
    found = [run(tokens[:, t : t + 4], starts(t == 0, t == 0)) for t in (0, 4, 8)]
    found = np.concatenate([out.detach().numpy() for out in found], 1)
    np.testing.assert_allclose(found, whole, atol=1e-6)
    again = run(tokens[:, :4], starts(0, 1)).detach().numpy()
    np.testing.assert_allclose(again[1], whole[1, :4], atol=1e-6)
    assert np.abs(again[0] - whole[0, :4]).max() > 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_no_gradient_passes_the_cut(kind):
    """B13: "gradient past the cut is exactly 0": of tokens that only the batch before had."""
    model = model_of(kind, tied=False)
    early, late = tokens_of(2, 5, 0, 5), tokens_of(2, 5, 5, 11)
    model(early, starts(1, 1))
    model(late, starts(0, 0))[:, -1].square().sum().backward()
    grad = model.embedding.weight.grad.numpy()
    assert (grad[:5] == 0).all()
    assert np.abs(grad[5:]).max() > 0
    model.zero_grad()
    model(narae.cat([early, late], 1))[:, -1].square().sum().backward()
    assert np.abs(model.embedding.weight.grad.numpy()[:5]).max() > 0  # uncut


def test_evaluation_has_a_state_of_its_own():
    """B13: judging between two batches of training changes nothing for the second."""
    model, tokens = model_of(), tokens_of(2, 8)
    model(tokens[:, :4], starts(1, 1))
    saved = {name: x.numpy().copy() for name, x in model.named_buffers() if "training" in name}
    model.eval()
    model(tokens[:, 4:], starts(1, 1))
    model.train()
    for name, x in model.named_buffers():
        if "training" in name:
            np.testing.assert_array_equal(x.numpy(), saved[name])
    assert len(saved) == 4


def test_a_loaded_model_goes_on_where_the_saved_one_was():
    """B13: the state of training is part of the saved state, and that of evaluation is not."""
    model, other, tokens = model_of(), model_of(seed=1), tokens_of(2, 8)
    model(tokens[:, :4], starts(1, 1))
    state = model.state_dict()
    assert [name for name in state if "state_" in name] == [f"training_state_{i}" for i in range(4)]
    other.load_state_dict(state)
    wanted = model(tokens[:, 4:], starts(0, 0)).detach().numpy()
    np.testing.assert_array_equal(other(tokens[:, 4:], starts(0, 0)).detach().numpy(), wanted)


def test_training_is_one_program_whatever_the_batch():
    """B13: rows that begin and rows that go on are one trace; gradients end within a batch."""
    model = model_of()

    def step(inputs, targets, start):
        model.zero_grad()
        out = model(inputs, start)
        loss = nn.functional.cross_entropy(out.flatten(0, 1), targets.flatten())
        loss.backward()
        return loss

    compiled = narae.compile(step)
    streams = Streams(np.arange(200) % 11, batch_size=2, time=5)
    losses = [compiled(*streams[index]).item() for index in range(len(streams))]
    assert compiled.traces == 1
    assert np.isfinite(losses).all()


def test_a_language_model_learns_a_text():
    """B22: "char-LM": a text of 7 characters in turn is learnt, and generated."""
    from narae.optim import Adam

    narae.manual_seed(0)
    model = RecurrentLM(7, width=16, layers=1, dropout=0.0, rows=4)
    optimizer = Adam(model.parameters(), lr=0.03)

    def step(inputs, targets, start):
        out = model(inputs, start)
        loss = nn.functional.cross_entropy(out.flatten(0, 1), targets.flatten())
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss

    compiled = narae.compile(step)
    streams = Streams(np.arange(141) * 3 % 7, batch_size=4, time=5)
    for _ in range(20):
        losses = [compiled(*streams[index]).item() for index in range(len(streams))]
    assert losses[-1] < 0.1
    assert generate(model, [[0, 3]], 6) == [[6, 2, 5, 1, 4, 0]]


# --- step by step ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_steps_give_what_the_whole_gives(kind):
    """B22: the step of generation, compiled once."""
    model, tokens = model_of(kind).eval(), tokens_of(3, 9)
    step = narae.compile(model.step)
    with narae.no_grad():
        whole, state = model(tokens).numpy(), model.start(tokens[:, :4])
        for time in range(4, 9):
            logits, state = step(tokens[:, time], state)
            np.testing.assert_allclose(logits.numpy(), whole[:, time], atol=1e-6)
    assert step.traces == 1


@pytest.mark.parametrize("kind", KINDS)
def test_prompts_of_different_lengths(kind):
    model, tokens = model_of(kind).eval(), tokens_of(2, 6)
    with narae.no_grad():
        state = model.start(tokens, narae.tensor([6, 2]))
        for row, length in ((0, 6), (1, 2)):
            alone = model.start(tokens[row : row + 1, :length])
            for found, wanted in zip(state, alone, strict=True):
                np.testing.assert_allclose(found.numpy()[row], wanted.numpy()[0], atol=1e-6)


# --- dropout and weights --------------------------------------------------------------------


def test_one_mask_holds_for_all_steps_of_a_sequence():
    """Variational dropout: what is dropped is the same at each step, and differs between rows."""
    model = model_of(dropout=0.5, width=64)
    out = model._dropped(narae.ones(3, 7, 64)).numpy()
    assert set(np.unique(out)) == {0.0, 2.0}
    np.testing.assert_array_equal(out, np.broadcast_to(out[:, :1], out.shape))
    assert (out[0, 0] != out[1, 0]).any()
    np.testing.assert_array_equal(model.eval()._dropped(narae.ones(3, 7, 64)).numpy(), 1)


def test_tied_weights_are_one_parameter():
    tied, own = model_of(), model_of(tied=False)
    count = [sum(x.numel() for x in model.parameters()) for model in (tied, own)]
    assert count[1] - count[0] == 11 * 8
    assert tied.head.weight is tied.embedding.weight


def test_a_row_that_begins_forgets_even_nan():
    """A training that ran into NaN leaves nothing behind in the state of evaluation."""
    model, tokens = model_of().eval(), tokens_of(2, 4)
    wanted = model(tokens).detach().numpy()
    for name, x in model.named_buffers():
        if "evaluation" in name:
            x.fill_(float("nan"))
    np.testing.assert_array_equal(model(tokens, starts(1, 1)).detach().numpy(), wanted)
    begins = narae.tensor([True, True])
    np.testing.assert_array_equal(model(tokens, begins).detach().numpy(), wanted)


# --- bad input ------------------------------------------------------------------------------


def test_rows_that_the_model_does_not_carry():
    with pytest.raises(ShapeError, match="3 rows, the model carries the state of 2"):
        model_of()(tokens_of(3, 4), starts(1, 1, 1))


def test_shapes_that_are_no_batch():
    with pytest.raises(ShapeError, match=r"tokens are \(3,\); they are \(batch, time\)"):
        model_of()(narae.tensor([1, 2, 3]))
    with pytest.raises(ShapeError, match=r"start is \(1,\) for 2 rows"):  # no broadcasting
        model_of()(tokens_of(2, 4), starts(1))


@pytest.mark.parametrize("wrong", [{"layers": 0}, {"dropout": 1.5}, {"rows": -1}])
def test_options_out_of_range(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ConfigError, match=f"{name} is {value}"):
        model_of(**wrong)


def test_a_kind_that_there_is_not():
    with pytest.raises(ConfigError, match="rnn, lstm, gru"):
        model_of("mlp")
