"""nn.utils beside PyTorch's: older norms, pruning, fusion, calls with other weights, names."""

import copy
import math
import pickle

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("torch.nn.utils.prune")  # PyTorch does not load it by itself

import narae  # noqa: E402
from tests.parity.layer_checks import assert_same, to_narae  # noqa: E402

SIDES = [torch, narae]


def randn(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def built(library, build):
    library.manual_seed(4)
    return build(library)


def both(build):
    """The same thing on both sides, with the very same numbers."""
    theirs, ours = built(torch, build), built(narae, build)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert list(found) == list(wanted)
    assert_same(list(found.values()), list(wanted.values()), 1e-5)
    ours.load_state_dict({key: to_narae(value) for key, value in wanted.items()})
    assert repr(ours) == repr(theirs)
    return ours, theirs


def agree(ours, theirs, x, tolerance=2e-5):
    """Equal results and gradients; equal states afterwards."""
    wanted, found = theirs(x), ours(to_narae(x))
    assert_same(found, wanted, tolerance)
    ours.zero_grad()
    theirs.zero_grad()
    found.sin().sum().backward()
    wanted.sin().sum().backward()
    names = [name for name, _ in ours.named_parameters()]
    assert names == [name for name, _ in theirs.named_parameters()]
    for one, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert_same(one.grad, other.grad, tolerance)
    found, wanted = ours.state_dict(), theirs.state_dict()
    assert_same(list(found.values()), list(wanted.values()), tolerance)


def stepped(ours, theirs):
    for layer in (ours, theirs):
        with (narae if layer is ours else torch).no_grad():
            for parameter in layer.parameters():
                parameter -= 0.1 * parameter.grad


# --- weight_norm and spectral_norm, the older form ------------------------------------------


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("dim", [0, 1, None])
def test_older_weight_norm(dim):
    def build(library):
        return library.nn.utils.weight_norm(library.nn.Conv1d(3, 4, 2), dim=dim)

    ours, theirs = both(build)
    for seed in range(3):
        agree(ours, theirs, randn(2, 3, 5, seed=seed))
        stepped(ours, theirs)
    agree(copy.deepcopy(ours), theirs, randn(2, 3, 5))
    agree(pickle.loads(pickle.dumps(ours)), theirs, randn(2, 3, 5))
    for library, layer in zip(SIDES, (theirs, ours), strict=True):
        with pytest.raises(RuntimeError, match="Cannot register two weight_norm hooks"):
            library.nn.utils.weight_norm(layer)
        library.nn.utils.remove_weight_norm(layer)
        with pytest.raises(ValueError, match="not found in"):
            library.nn.utils.remove_weight_norm(layer)
    assert isinstance(ours.weight, narae.nn.Parameter)
    agree(ours, theirs, randn(2, 3, 5))


def test_older_weight_norm_warns_and_is_never_stale():
    with pytest.warns(FutureWarning, match="deprecated"):
        layer = narae.nn.utils.weight_norm(narae.nn.Linear(2, 2))
    with narae.no_grad():
        layer.weight_g.fill_(5.0)
    assert_same(layer.weight.detach().norm(2, 1), torch.full((2,), 5.0), 1e-6)


@pytest.mark.parametrize("kind", ["Linear", "ConvTranspose1d"])
def test_older_spectral_norm(kind):
    def build(library):
        size = () if kind == "Linear" else (2,)
        layer = getattr(library.nn, kind)(4, 3, *size)
        return library.nn.utils.spectral_norm(layer, n_power_iterations=2)

    ours, theirs = both(build)
    x = randn(2, 4) if kind == "Linear" else randn(2, 4, 5)
    for training in (True, True, False):
        ours.train(training)
        theirs.train(training)
        agree(ours, theirs, x)
        stepped(ours, theirs)
    agree(copy.deepcopy(ours), theirs, x)
    for library, layer in zip(SIDES, (theirs, ours), strict=True):
        with pytest.raises(RuntimeError, match="Cannot register two spectral_norm hooks"):
            library.nn.utils.spectral_norm(layer)
        library.nn.utils.remove_spectral_norm(layer)
        with pytest.raises(ValueError, match="not found in"):
            library.nn.utils.remove_spectral_norm(layer)
        with pytest.raises(ValueError, match="to be positive"):
            library.nn.utils.spectral_norm(layer, n_power_iterations=0)
    agree(ours, theirs, x)


# --- pruning --------------------------------------------------------------------------------

PRUNINGS = {
    "l1": lambda P, layer: P.l1_unstructured(layer, "weight", 0.3),
    "l1 by count": lambda P, layer: P.l1_unstructured(layer, "weight", 5),
    "nothing": lambda P, layer: P.l1_unstructured(layer, "weight", 0),
    "identity": lambda P, layer: P.identity(layer, "bias"),
    "random": lambda P, layer: P.random_unstructured(layer, "weight", 0.4),
    "random channels": lambda P, layer: P.random_structured(layer, "weight", 2, dim=1),
    "norm": lambda P, layer: P.ln_structured(layer, "weight", 0.5, n=2, dim=0),
    "norm of 1": lambda P, layer: P.ln_structured(layer, "weight", 1, n=1, dim=-1),
    "largest": lambda P, layer: P.ln_structured(layer, "weight", 1, n=math.inf, dim=1),
    "twice": lambda P, layer: P.l1_unstructured(
        P.l1_unstructured(layer, "weight", 0.2), "weight", 0.3
    ),
    "thrice": lambda P, layer: P.random_unstructured(
        P.ln_structured(P.l1_unstructured(layer, "weight", 2), "weight", 1, 2, 0), "weight", 0.5
    ),
    "weight and bias": lambda P, layer: P.l1_unstructured(
        P.random_unstructured(layer, "bias", 1), "weight", 0.5
    ),
}


@pytest.mark.parametrize("name", PRUNINGS)
def test_pruning(name):
    def build(library):
        return PRUNINGS[name](library.nn.utils.prune, library.nn.Linear(4, 3))

    ours, theirs = both(build)
    for seed in range(2):
        agree(ours, theirs, randn(2, 4, seed=seed))
        stepped(ours, theirs)
    agree(copy.deepcopy(ours), theirs, randn(2, 4))
    for library, layer in zip(SIDES, (theirs, ours), strict=True):
        P = library.nn.utils.prune
        assert P.is_pruned(library.nn.Sequential(layer))
        for parameter in ("weight", "bias"):
            if hasattr(layer, parameter + "_mask"):
                P.remove(layer, parameter)
            else:
                with pytest.raises(ValueError, match="has to be pruned before"):
                    P.remove(layer, parameter)
        assert not P.is_pruned(layer)
    agree(ours, theirs, randn(2, 4))


def test_pruning_by_given_scores_and_masks():
    scores, mask = randn(3, 4, seed=5), (randn(3, 4, seed=6) > 0).float()
    pairs = []
    for library in SIDES:
        P, layer = library.nn.utils.prune, built(library, lambda lib: lib.nn.Linear(4, 3))
        mine = to_narae if library is narae else lambda x: x
        P.l1_unstructured(layer, "weight", 4, importance_scores=mine(scores))
        P.custom_from_mask(layer, "weight", mine(mask))
        pruned = P.L1Unstructured(0.5).prune(mine(scores))
        pairs.append((layer.weight_mask, layer.weight, pruned))
    assert_same(pairs[1], pairs[0], 1e-6)


def test_pruning_of_several_together():
    def build(library):
        model = library.nn.Sequential(library.nn.Linear(4, 6), library.nn.Linear(6, 2))
        P = library.nn.utils.prune
        P.l1_unstructured(model[0], "weight", 3)
        places = [(model[0], "weight"), (model[1], "weight"), (model[1], "bias")]
        P.global_unstructured(places, P.L1Unstructured, amount=0.4)
        P.global_unstructured(places, P.RandomUnstructured, amount=5)
        return model

    ours, theirs = both(build)
    agree(ours, theirs, randn(2, 4))


@pytest.mark.parametrize("library", SIDES)
def test_refusals_of_pruning(library):
    P, layer = library.nn.utils.prune, library.nn.Linear(4, 3)
    for amount, error in ((1.5, ValueError), (-1, ValueError), ("half", TypeError)):
        with pytest.raises(error):
            P.l1_unstructured(layer, "weight", amount)
    with pytest.raises(ValueError, match="smaller than the number of parameters"):
        P.l1_unstructured(layer, "weight", 13)
    with pytest.raises(ValueError, match="multidimensional"):
        P.random_structured(layer, "bias", 1, 0)
    with pytest.raises(IndexError, match="Invalid index"):
        P.ln_structured(layer, "weight", 1, 2, 2)
    with pytest.raises((ValueError, AssertionError), match="same shape"):
        P.l1_unstructured(layer, "weight", 1, importance_scores=library.ones(2))
    with pytest.raises(TypeError, match="not an Iterable"):
        P.global_unstructured(3, P.L1Unstructured, amount=1)
    with pytest.raises(TypeError, match='Only "unstructured"'):
        P.global_unstructured([(layer, "weight")], P.LnStructured, amount=1, n=2)
    assert not P.is_pruned(layer)
    assert sorted(layer.state_dict()) == ["bias", "weight"]  # nothing was half done


@pytest.mark.parametrize("library", SIDES)
def test_a_method_of_ones_own(library):
    P = library.nn.utils.prune

    class EverySecond(P.BasePruningMethod):
        PRUNING_TYPE = "unstructured"

        def compute_mask(self, t, default_mask):
            mask = default_mask.clone()
            mask.view(-1)[::2] = 0
            return mask

    layer = library.nn.Linear(4, 3)
    EverySecond.apply(layer, "weight")
    assert layer.weight_mask.reshape(-1).tolist() == [0.0, 1.0] * 6
    EverySecond.apply(layer, "weight")
    assert layer.weight_mask.sum().item() == 3


# --- fusion ---------------------------------------------------------------------------------


def measured(library, norm):
    """A batch normalization that has seen data."""
    generator = torch.Generator().manual_seed(3)
    for x in (norm.running_mean, norm.running_var, norm.weight, norm.bias):
        if x is not None:
            drawn = torch.rand(tuple(x.shape), generator=generator) + 0.5
            with library.no_grad():
                x.copy_(drawn if library is torch else to_narae(drawn))
    return norm.eval()


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("options", [{}, {"affine": False}])
def test_fusion_with_a_convolution(transposed, options):
    kind, bias = ("ConvTranspose2d" if transposed else "Conv2d"), not options
    fused = []
    for library in SIDES:
        conv = built(library, lambda lib: getattr(lib.nn, kind)(3, 4, 2, bias=bias)).eval()
        norm = measured(library, library.nn.BatchNorm2d(4, **options))
        fused.append((library.nn.utils.fuse_conv_bn_eval(conv, norm, transposed), conv, norm))
    (theirs, *_), (ours, conv, norm) = fused
    assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()), 1e-5)
    x = to_narae(randn(2, 3, 5, 5))
    assert narae.allclose(ours(x), norm(conv(x)), atol=1e-5)
    for library, (_, conv, norm) in zip(SIDES, fused, strict=True):
        with pytest.raises((AssertionError, ValueError), match="only for eval"):
            library.nn.utils.fuse_conv_bn_eval(conv.train(), norm)


def test_fusion_with_a_linear_layer():
    fused = []
    for library in SIDES:
        linear = built(library, lambda lib: lib.nn.Linear(3, 4)).eval()
        norm = measured(library, library.nn.BatchNorm1d(4))
        fused.append((library.nn.utils.fuse_linear_bn_eval(linear, norm), linear, norm))
        with pytest.raises((AssertionError, ValueError), match="To fuse"):
            other = library.nn.BatchNorm1d(3).eval()
            library.nn.utils.fuse_linear_bn_eval(linear, other)
    (theirs, *_), (ours, linear, norm) = fused
    assert_same(list(ours.state_dict().values()), list(theirs.state_dict().values()), 1e-5)
    x = to_narae(randn(2, 3))
    assert narae.allclose(ours(x), norm(linear(x)), atol=1e-5)


# --- calls with other weights ---------------------------------------------------------------


def tied(library):
    model = library.nn.Sequential(library.nn.Linear(3, 3), library.nn.Linear(3, 3))
    model[1].weight = model[0].weight
    return model


def given(library, **shapes):
    found = {name.replace("_", "."): randn(*s, seed=len(name)) for name, s in shapes.items()}
    return {key: to_narae(x) if library is narae else x for key, x in found.items()}


def test_functional_call():
    results = []
    for library in SIDES:
        model = built(library, tied)
        own = {name: x.detach().clone() for name, x in model.state_dict().items()}
        others = given(library, **{"0_weight": (3, 3), "1_bias": (3,)})
        others["0.weight"].requires_grad_()
        x = randn(2, 3) if library is torch else to_narae(randn(2, 3))
        out = library.func.functional_call(model, others, (x,))
        out.sum().backward()
        alone = library.func.functional_call(model, others, x, tie_weights=False)
        results.append([out, others["0.weight"].grad, alone])
        assert all(library.equal(x, own[name]) for name, x in model.state_dict().items())
        assert all(p.grad is None or p is model[0].bias for p in model.parameters())
        parts = [{"0.weight": others["0.weight"]}, {"1.bias": others["1.bias"]}]
        assert library.equal(library.func.functional_call(model, parts, x), out)
        with pytest.warns(FutureWarning):
            library.nn.utils.stateless.functional_call(model, others, x)
    assert_same(results[1], results[0], 1e-5)


def test_functional_call_gives_new_buffers_back():
    results = []
    for library in SIDES:
        norm = library.nn.BatchNorm1d(3)
        buffers = {name: x.clone() for name, x in norm.named_buffers()}
        x = randn(4, 3) if library is torch else to_narae(randn(4, 3))
        library.func.functional_call(norm, buffers, x)
        assert int(norm.num_batches_tracked) == 0
        assert int(buffers["num_batches_tracked"]) == 1
        results.append(buffers["running_mean"])
    assert_same(results[1], results[0], 1e-6)


@pytest.mark.parametrize("library", SIDES)
def test_refusals_of_functional_call(library):
    model, x = tied(library), library.ones(2, 3)
    call = library.func.functional_call
    with pytest.raises(RuntimeError, match=r"Missing key\(s\)"):
        call(model, {"0.weight": library.ones(3, 3)}, x, strict=True)
    with pytest.raises(RuntimeError, match=r"Unexpected key\(s\): '2.weight'"):
        call(model, {**dict(model.named_parameters()), "2.weight": x}, x, strict=True)
    with pytest.raises(ValueError, match="multiple values for keys"):
        call(model, {"0.weight": library.ones(3, 3), "1.weight": library.ones(3, 3)}, x)
    with pytest.raises(ValueError, match="multiple dictionaries"):
        call(model, [{"0.bias": x[0]}, {"0.bias": x[0]}], x)
    with pytest.raises(AttributeError):
        call(model, {"nothing.weight": x}, x)


def test_stack_module_state():
    results = []
    for library in SIDES:
        library.manual_seed(0)
        models = [library.nn.BatchNorm1d(3) for _ in range(2)]
        params, buffers = library.func.stack_module_state(models)
        assert all(x.requires_grad for x in params.values())
        results.append({**params, **buffers})
        with pytest.raises(RuntimeError, match="at least one model"):
            library.func.stack_module_state([])
        with pytest.raises(RuntimeError, match="same training/eval mode"):
            library.func.stack_module_state([models[0], library.nn.BatchNorm1d(3).eval()])
        with pytest.raises(RuntimeError, match="same class"):
            library.func.stack_module_state([models[0], library.nn.Linear(3, 3)])
    theirs, ours = results
    assert list(ours) == list(theirs)
    assert_same(list(ours.values()), list(theirs.values()))


# --- the rest -------------------------------------------------------------------------------


def test_skip_init_leaves_the_stream_alone():
    for library in SIDES:
        library.manual_seed(1)
        layer = library.nn.utils.skip_init(library.nn.Linear, 3, 2, bias=False)
        assert tuple(layer.weight.shape) == (2, 3)
        drawn = library.rand(3)
        library.manual_seed(1)
        assert library.equal(drawn, library.rand(3))
        with pytest.raises(RuntimeError, match="Expected a Module"):
            library.nn.utils.skip_init(int)
        with pytest.raises(RuntimeError, match="must support a 'device' arg"):
            library.nn.utils.skip_init(library.nn.ReLU)


def test_total_norms_and_clipping():
    grads = [randn(3, 4), randn(5, seed=1), randn(2, 2, 2, seed=2)]
    for norm_type in (1.0, 2.0, 3, math.inf):
        wanted = torch.nn.utils.get_total_norm(grads, norm_type)
        found = narae.nn.utils.get_total_norm([to_narae(x) for x in grads], norm_type)
        assert_same(found, wanted, 1e-5)
    pairs = []
    for library in SIDES:
        parameters = [library.nn.Parameter(library.zeros(x.shape)) for x in grads]
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.grad = grad.clone() if library is torch else to_narae(grad)
        total = library.nn.utils.get_total_norm([p.grad for p in parameters])
        library.nn.utils.clip_grads_with_norm_(parameters, 1.5, total)
        with pytest.warns(FutureWarning):
            library.nn.utils.clip_grad_norm(parameters, 1.0)
        pairs.append([p.grad for p in parameters])
        vector = library.nn.utils.parameters_to_vector(parameters)
        assert vector.numel() == 25
        library.nn.utils.vector_to_parameters(vector + 1, parameters)
        assert bool((parameters[2] == 1).all())
    assert_same(pairs[1], pairs[0], 1e-5)


def test_an_order_of_memory_is_accepted():
    model = narae.nn.Sequential(narae.nn.Conv2d(2, 3, 2), narae.nn.Conv3d(2, 3, 2))
    for name in ("2", "3"):
        convert = getattr(narae.nn.utils, f"convert_conv{name}d_weight_memory_format")
        assert convert(model, "channels_last") is model


def public(module):
    return {name for name in dir(module) if not name.startswith("_")}


def test_every_name_of_pytorch_is_here():
    assert public(torch.nn.utils) - public(narae.nn.utils) == set()
    for name in ("parametrize", "parametrizations", "prune", "fusion", "stateless", "rnn"):
        theirs, ours = getattr(torch.nn.utils, name), getattr(narae.nn.utils, name)
        wanted = set(getattr(theirs, "__all__", ())) or {
            key for key, value in vars(theirs).items()
            if getattr(value, "__module__", "") == theirs.__name__ and not key.startswith("_")
        }  # fmt: skip
        assert wanted - public(ours) == set(), name


def test_packed_sequences_have_pytorchs_methods():
    theirs = public(torch.nn.utils.rnn.PackedSequence)
    ours = public(narae.nn.utils.rnn.PackedSequence)
    assert theirs - ours == set()
