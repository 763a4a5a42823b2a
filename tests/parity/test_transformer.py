"""Transformers beside PyTorch's: the same weights from one seed, results, gradients, training."""

import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae import nn  # noqa: E402
from tests.parity.layer_checks import assert_same, to_narae  # noqa: E402

SIZES = {"d_model": 8, "nhead": 2, "dim_feedforward": 12}


def randn(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed + sum(shape))
    return torch.randn(shape, generator=generator, dtype=dtype)


def encoder(library, layers=3, norm=True, **options):
    layer = library.nn.TransformerEncoderLayer(**SIZES, **options)
    last = library.nn.LayerNorm(8) if norm else None
    return library.nn.TransformerEncoder(layer, layers, last, enable_nested_tensor=False)


def decoder(library, **options):
    layer = library.nn.TransformerDecoderLayer(**SIZES, **options)
    return library.nn.TransformerDecoder(layer, 2, library.nn.LayerNorm(8))


def transformer(library, **options):
    layers = {"num_encoder_layers": 2, "num_decoder_layers": 2}
    return library.nn.Transformer(**SIZES, **layers, **options)


def both(build, **options):
    """The same model from one seed; afterwards both in float64 with the very same weights."""
    torch.manual_seed(9)
    theirs = build(torch, **options)
    narae.manual_seed(9)
    ours = build(narae, **options)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(wanted)
    assert_same(list(found.values()), list(wanted.values()), 1e-6)
    theirs, ours = theirs.double(), ours.double()
    ours.load_state_dict({key: to_narae(value) for key, value in wanted.items()})
    return ours, theirs


def narae_masks(masks):
    return {
        key: to_narae(mask) if isinstance(mask, torch.Tensor) else mask
        for key, mask in masks.items()
    }


def agree(ours, theirs, args, masks):
    """Equal results, and equal gradients of every input and parameter."""
    args = [x.clone().requires_grad_() for x in args]
    mine = to_narae(args)
    wanted, found = theirs(*args, **masks), ours(*mine, **narae_masks(masks))
    assert_same(found, wanted)
    grads = narae.autograd.grad(found.sin().sum(), [*mine, *ours.parameters()])
    their_grads = torch.autograd.grad(wanted.sin().sum(), [*args, *theirs.parameters()])
    assert_same(list(grads), list(their_grads), 1e-9)


STYLES = [
    {},
    {"norm_first": True, "activation": "gelu"},
    {"batch_first": True, "bias": False, "layer_norm_eps": 1e-3},
]


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize("training", [True, False])
def test_encoder(style, training):
    """J3: "`nn.TransformerEncoder` equality", layers not shared after a step of training."""
    ours, theirs = both(encoder, dropout=0.0 if training else 0.4, **style)
    ours.train(training)
    theirs.train(training)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    x = randn(3, 5, 8) if style.get("batch_first") else randn(5, 3, 8)
    causal = nn.Transformer.generate_square_subsequent_mask(5, dtype=narae.float64)
    causal = torch.from_numpy(causal.numpy())
    for masks in (
        {},
        {"mask": causal},
        {"mask": causal, "is_causal": True},
        {"mask": causal.isinf()},
        {"src_key_padding_mask": padding},
        {"mask": causal, "src_key_padding_mask": padding.double() * -1e9},
    ):
        agree(ours, theirs, [x], masks)


@pytest.mark.parametrize("style", STYLES)
def test_decoder(style):
    ours, theirs = both(decoder, dropout=0.0, **style)
    first = bool(style.get("batch_first"))
    target = randn(3, 4, 8) if first else randn(4, 3, 8)
    memory = randn(3, 5, 8, seed=1) if first else randn(5, 3, 8, seed=1)
    hidden = torch.ones(4, 4, dtype=torch.bool).triu(1)
    padding = torch.zeros(3, 5, dtype=torch.bool)
    padding[2, 2:] = True
    for masks in (
        {},
        {"tgt_mask": hidden, "tgt_is_causal": True},
        {"tgt_mask": hidden, "memory_key_padding_mask": padding},
        {"memory_mask": randn(4, 5, seed=2), "tgt_key_padding_mask": padding[:, 1:]},
    ):
        agree(ours, theirs, [target, memory], masks)


@pytest.mark.parametrize("style", STYLES)
def test_transformer(style):
    """J2, J3: sequence to sequence of another length, through both stacks."""
    ours, theirs = both(transformer, dropout=0.0, **style)
    first = bool(style.get("batch_first"))
    source = randn(3, 6, 8) if first else randn(6, 3, 8)
    target = randn(3, 4, 8, seed=1) if first else randn(4, 3, 8, seed=1)
    hidden = torch.nn.Transformer.generate_square_subsequent_mask(4, dtype=torch.float64)
    agree(ours, theirs, [source, target], {"tgt_mask": hidden})
    agree(ours, theirs, [source, target], {"tgt_mask": hidden, "tgt_is_causal": True})
    agree(ours, theirs, [source[0], target[0]], {})


def test_visible_positions_agree_with_the_fast_path_of_evaluation():
    """Without gradients PyTorch puts zeros at hidden positions; the others are the same."""

    def build(library):
        layer = library.nn.TransformerEncoderLayer(**SIZES, batch_first=True)
        return library.nn.TransformerEncoder(layer, 2)

    ours, theirs = both(build)
    x, padding = randn(3, 5, 8), torch.zeros(3, 5, dtype=torch.bool)
    padding[1, 3:] = True
    with torch.no_grad():
        wanted = theirs.eval()(x, src_key_padding_mask=padding)
    found = ours.eval()(to_narae(x), src_key_padding_mask=to_narae(padding)).detach()
    visible = ~padding
    assert_same(found[to_narae(visible)], wanted[visible], 1e-9)
    assert bool((wanted[padding] == 0).all())


def test_the_mask_of_later_positions():
    ours = nn.Transformer.generate_square_subsequent_mask(4)
    assert_same(ours, torch.nn.Transformer.generate_square_subsequent_mask(4))
    wide = nn.Transformer.generate_square_subsequent_mask(2, dtype=narae.float64)
    assert wide.dtype is narae.float64


def test_activations_of_other_kinds_and_refusals():
    for activation in ("relu", "gelu", torch.nn.functional.silu, torch.nn.Tanh()):
        name = getattr(activation, "__name__", activation)
        mine = {"silu": narae.nn.functional.silu}.get(name, activation)
        mine = narae.nn.Tanh() if isinstance(activation, torch.nn.Tanh) else mine
        torch.manual_seed(1)
        theirs = torch.nn.TransformerEncoderLayer(**SIZES, dropout=0.0, activation=activation)
        narae.manual_seed(1)
        ours = nn.TransformerEncoderLayer(**SIZES, dropout=0.0, activation=mine)
        x = randn(4, 2, 8, dtype=torch.float32)
        assert_same(ours(to_narae(x)), theirs(x), 1e-5)
    with pytest.raises(ValueError, match="relu/gelu, not tanh"):
        nn.TransformerEncoderLayer(**SIZES, activation="tanh")
    model = transformer(narae)
    with pytest.raises(RuntimeError, match="batch number of src and tgt must be equal"):
        model(narae.ones(4, 3, 8), narae.ones(4, 2, 8))
    with pytest.raises(RuntimeError, match="equal to d_model"):
        model(narae.ones(4, 3, 7), narae.ones(4, 3, 7))


def test_training_runs_along_with_pytorch():
    """Twenty steps of Adam from one seed: the losses agree to the end."""
    ours, theirs = both(transformer, dropout=0.0, batch_first=True)
    their_optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    optimizer = narae.optim.Adam(ours.parameters(), lr=1e-3)
    source, target, wanted = randn(4, 6, 8), randn(4, 5, 8, seed=1), randn(4, 5, 8, seed=2)
    for _ in range(20):
        loss = (theirs(source, target) - wanted).square().mean()
        their_optimizer.zero_grad()
        loss.backward()
        their_optimizer.step()
        mine = (ours(to_narae(source), to_narae(target)) - to_narae(wanted)).square().mean()
        optimizer.zero_grad()
        mine.backward()
        optimizer.step()
        assert mine.item() == pytest.approx(loss.item(), rel=1e-9)
