"""Classifiers are torchvision's: parameters, names, logits, gradients, and first weights.

Counts of parameters and of products are those that torchvision publishes with its weights
(`num_params` and `_ops` of each `..._Weights` in torchvision/models). Those counts are of weights
that exist, so GoogLeNet's is without auxiliary classifiers.
"""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
import narae.vision.models as ours  # noqa: E402
from narae.nn.init import undrawn  # noqa: E402
from narae.train.summary import summarize  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402

# name: parameters, GMACs of one picture of 224 x 224, as torchvision publishes them
PUBLISHED = {
    "alexnet": (61_100_840, 0.714),
    "vgg11": (132_863_336, 7.609),
    "vgg11_bn": (132_868_840, 7.609),
    "vgg13": (133_047_848, 11.308),
    "vgg13_bn": (133_053_736, 11.308),
    "vgg16": (138_357_544, 15.47),
    "vgg16_bn": (138_365_992, 15.47),
    "vgg19": (143_667_240, 19.632),
    "vgg19_bn": (143_678_248, 19.632),
    "googlenet": (6_624_904, 1.498),
    "resnet18": (11_689_512, 1.814),
    "resnet34": (21_797_672, 3.664),
    "resnet50": (25_557_032, 4.089),
    "resnet101": (44_549_160, 7.801),
    "resnet152": (60_192_808, 11.514),
    "resnext50_32x4d": (25_028_904, 4.23),
    "resnext101_32x8d": (88_791_336, 16.414),
    "resnext101_64x4d": (83_455_272, 15.46),
    "wide_resnet50_2": (68_883_240, 11.398),
    "wide_resnet101_2": (126_886_696, 22.753),
    "densenet121": (7_978_856, 2.834),
    "densenet161": (28_681_000, 7.728),
    "densenet169": (14_149_480, 3.36),
    "densenet201": (20_013_928, 4.291),
    "mobilenet_v2": (3_504_872, 0.301),
    "vit_b_16": (86_567_656, 17.564),
    "vit_b_32": (88_224_232, 4.409),
    "vit_l_16": (304_326_632, 61.555),
    "vit_l_32": (306_535_400, 15.378),
}
# Nets whose logits are computed in a moment; the others wait for `-m slow`.
QUICK = ("googlenet", "resnet18", "resnext50_32x4d", "densenet121", "mobilenet_v2")
# Of the others, one of each kind.
SLOW = ("alexnet", "vgg11", "resnet50", "resnet152", "wide_resnet50_2", "densenet201", "vit_b_16")
QUICK_COUNTS = (*QUICK, "alexnet", "vgg16", "resnet50", "vit_b_16")


@pytest.fixture(scope="module")
def theirs():
    return torchvision_oracle.load("models")


def options_of(name):
    return {"aux_logits": False} if name == "googlenet" else {}


def their_model(theirs, name, **options):
    """A model of torchvision that has shapes only: nothing is drawn or kept."""
    if name == "googlenet":
        options = {"init_weights": False, **options}
    with torch.device("meta"):
        return getattr(theirs, name)(**options)


def random_state(model, seed):
    """Numbers for every parameter and buffer, in sizes that keep signals alive."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, old in model.state_dict().items():
        if old.dim() > 1:
            fan_in = math.prod(old.shape[1:])
            new = torch.randn(old.shape, generator=generator) * math.sqrt(1.5 / fan_in)
        elif name.endswith("num_batches_tracked"):
            new = torch.tensor(3)
        elif name.endswith(("running_var", "weight")):
            new = torch.rand(old.shape, generator=generator) + 0.5
        else:
            new = torch.randn(old.shape, generator=generator) * 0.1
        state[name] = new
    return state


def pair(theirs, name, seed=0, **options):
    """The same model of both sides, with the same weights, in evaluation mode."""
    other = their_model(theirs, name, **options)
    state = random_state(other, seed)
    other.load_state_dict(state, assign=True)
    with undrawn():
        mine = getattr(ours, name)(**options)
    mine.load_state_dict({key: narae.from_numpy(x.numpy()) for key, x in state.items()})
    return mine.eval(), other.eval()


def pictures(batch, side, seed=1):
    x = np.random.default_rng(seed).standard_normal((batch, 3, side, side))
    return x.astype(np.float32)


def assert_close(mine, other, tolerance=1e-4):
    other = other.detach().numpy()
    scale = max(1.0, np.abs(other).max())
    assert np.isfinite(other).all() and np.abs(other).max() > 1e-3
    np.testing.assert_allclose(mine.detach().numpy() / scale, other / scale, atol=tolerance, rtol=0)


def assert_same_logits(theirs, name, batch=2):
    mine, other = pair(theirs, name)
    x = pictures(batch, 224 if name.startswith("vit") else 64)
    with torch.no_grad(), narae.no_grad():
        assert_close(mine(narae.from_numpy(x)), other(torch.from_numpy(x)))


@pytest.mark.parametrize("name", PUBLISHED)
def test_parameters_and_keys(name, theirs):
    """I1, I5, I6, I7, I9, J12: the published parameter counts, torchvision's keys and shapes."""
    with undrawn():
        mine = getattr(ours, name)()
    other = their_model(theirs, name)
    counted = [x.numel() for key, x in mine.named_parameters() if not key.startswith("aux")]
    assert sum(counted) == PUBLISHED[name][0]
    shapes = {key: tuple(x.shape) for key, x in mine.state_dict().items()}
    assert shapes == {key: tuple(x.shape) for key, x in other.state_dict().items()}
    assert list(shapes) == list(other.state_dict())


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK_COUNTS else pytest.param(n, marks=pytest.mark.slow) for n in PUBLISHED],
)
def test_products(name):
    """I10: the products and sums of one picture are as many as torchvision publishes."""
    with undrawn():
        mine = getattr(ours, name)(**options_of(name))
    found = summarize(mine, narae.zeros(1, 3, 224, 224))
    assert found.flops / 2e9 == pytest.approx(PUBLISHED[name][1], abs=6e-4)


@pytest.mark.parametrize("name", QUICK)
def test_logits(name, theirs):
    """I6, I7, I9: the same weights give the same logits."""
    assert_same_logits(theirs, name)


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in SLOW else pytest.mark.long)
        for name in PUBLISHED
        if name not in QUICK
    ],
)
def test_logits_of_the_larger(name, theirs):
    """I1, I5, I7, I9, J12: the same weights give the same logits."""
    assert_same_logits(theirs, name, batch=1)


def waiting(names, long):
    """Parameters of a test: one is quick, one takes long, the others are slow."""
    marks = {"mobilenet_v2": (), long: pytest.mark.long}
    return [pytest.param(name, marks=marks.get(name, pytest.mark.slow)) for name in names]


TRAINED = {
    "resnet18": {"num_classes": 7},
    "googlenet": {"num_classes": 7, "dropout": 0.0, "dropout_aux": 0.0, "transform_input": True},
    "densenet121": {"num_classes": 7},
    "mobilenet_v2": {"num_classes": 7, "dropout": 0.0},
    "alexnet": {"num_classes": 7, "dropout": 0.0},
}


@pytest.mark.parametrize(
    "name",
    waiting(TRAINED, long="alexnet"),
)
def test_training_step(name, theirs):
    """I1, I6, I7, I9: logits, auxiliary logits, gradients and statistics of a step in training."""
    mine, other = pair(theirs, name, **TRAINED[name])
    mine.double().train(), other.double().train()  # float32 would flip a ReLU here and there
    x = pictures(4, 64).astype(np.float64)
    out, wanted = mine(narae.from_numpy(x)), other(torch.from_numpy(x))
    outs, wanteds = (out, wanted) if isinstance(wanted, tuple) else ((out,), (wanted,))
    factor = pictures(4, 2).reshape(4, -1)[:, :7].astype(np.float64)
    sum((a * narae.from_numpy(factor)).sum() for a in outs).backward()
    sum((b * torch.from_numpy(factor)).sum() for b in wanteds).backward()
    for a, b in zip(outs, wanteds, strict=True):
        assert_close(a, b, 1e-9)
    gradients = dict(other.named_parameters())
    for key, parameter in mine.named_parameters():
        wanted = gradients[key].grad.numpy()
        scale = max(np.abs(wanted).max(), 1e-3)
        np.testing.assert_allclose(parameter.grad.numpy() / scale, wanted / scale, atol=1e-8)
    state = other.state_dict()
    for key, buffer in mine.named_buffers():
        np.testing.assert_allclose(buffer.numpy(), state[key].numpy(), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(
    ("dilate", "layer4"), [((False, False, True), 4), ((False, True, True), 8), (None, 2)]
)
def test_dilation_in_place_of_strides(dilate, layer4, theirs):
    """The last stages of a ResNet keep the size, as segmentation needs it."""
    options = {"replace_stride_with_dilation": dilate, "num_classes": 5}
    mine, other = pair(theirs, "resnet50", **options)
    x = pictures(1, 64)
    layers = {"layer2": "middle", "layer4": "out"}
    getter = ours.IntermediateLayerGetter(mine, layers)
    reference = torchvision_oracle.load("models._utils").IntermediateLayerGetter(other, layers)
    assert list(getter.state_dict()) == list(reference.state_dict())
    with torch.no_grad(), narae.no_grad():
        found, wanted = getter(narae.from_numpy(x)), reference(torch.from_numpy(x))
    assert list(found) == ["middle", "out"]
    assert tuple(found["out"].shape) == (1, 2048, layer4, layer4)
    for key, value in found.items():
        assert_close(value, wanted[key])


SEEDED = {
    "resnet18": {},
    "resnext50_32x4d": {"zero_init_residual": True},
    "googlenet": {"init_weights": True},
    "densenet121": {},
    "mobilenet_v2": {"width_mult": 0.5},
    "vgg11_bn": {},
    "alexnet": {},
    "vit_b_32": {},
}


@pytest.mark.parametrize(
    "name",
    waiting(SEEDED, long="vgg11_bn"),
)
def test_first_weights(name, theirs):
    """The same seed gives the weights that torchvision begins with."""
    torch.manual_seed(5)
    other = getattr(theirs, name)(**SEEDED[name])
    narae.manual_seed(5)
    mine = getattr(ours, name)(**SEEDED[name])
    state = other.state_dict()
    for key, x in mine.state_dict().items():
        assert np.array_equal(x.numpy(), state[key].numpy()), key
    assert np.array_equal(narae.rand(3).numpy(), torch.rand(3).numpy())


def test_first_weights_of_a_small_vit(theirs):
    """J12: as torchvision's, with a layer before the head."""
    shape = (32, 8, 2, 4, 24, 48)
    torch.manual_seed(5)
    other = theirs.VisionTransformer(*shape, representation_size=12, num_classes=5)
    narae.manual_seed(5)
    mine = ours.VisionTransformer(*shape, representation_size=12, num_classes=5)
    state = other.state_dict()
    assert list(mine.state_dict()) == list(state)
    for key, x in mine.state_dict().items():
        assert np.array_equal(x.numpy(), state[key].numpy()), key


def test_a_small_vit_in_training(theirs):
    """J12: patches and an encoder alone: logits and gradients are torchvision's."""
    shape = (32, 8, 2, 4, 24, 48)
    other = theirs.VisionTransformer(*shape, num_classes=5)
    state = random_state(other, 3)
    other.load_state_dict(state)
    mine = ours.VisionTransformer(*shape, num_classes=5)
    mine.load_state_dict({key: narae.from_numpy(x.numpy()) for key, x in state.items()})
    x, target = pictures(3, 32), np.array([0, 4, 2])
    out = mine(narae.from_numpy(x))
    wanted = other(torch.from_numpy(x))
    assert_close(out, wanted)
    narae.nn.functional.cross_entropy(out, narae.from_numpy(target)).backward()
    torch.nn.functional.cross_entropy(wanted, torch.from_numpy(target)).backward()
    gradients = dict(other.named_parameters())
    for key, parameter in mine.named_parameters():
        wanted = gradients[key].grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), wanted, rtol=1e-3, atol=1e-5)


def test_keys_of_old_weights(theirs):
    """I9, J12: the published files of DenseNet and ViT have names of older versions."""
    mine, other = pair(theirs, "densenet121")
    renamed = {}
    for key, x in mine.state_dict().items():
        for part in ("norm", "conv"):
            for number in "12":
                if "denselayer" in key:
                    key = key.replace(f".{part}{number}.", f".{part}.{number}.")
        renamed[key] = x
    assert "features.denseblock1.denselayer1.norm.1.weight" in renamed
    with undrawn():
        new = ours.densenet121()
    new.load_state_dict(renamed)
    x = pictures(1, 64)
    with torch.no_grad(), narae.no_grad():
        assert_close(new.eval()(narae.from_numpy(x)), other(torch.from_numpy(x)))
    vit = ours.VisionTransformer(16, 8, 1, 2, 8, 16, num_classes=3)
    state = {
        key.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): x + 1
        for key, x in vit.state_dict().items()
    }
    assert "encoder.layers.encoder_layer_0.mlp.linear_2.bias" in state
    vit.load_state_dict(state)
    first = "encoder.layers.encoder_layer_0.mlp.linear_1.weight"
    found = vit.encoder.layers[0].mlp[0].weight.detach()
    assert np.array_equal(found.numpy(), state[first].numpy())


def test_googlenet_with_weights(theirs):
    """I6: weights hold auxiliary classifiers; the model keeps them if it is asked to."""
    full, other = pair(theirs, "googlenet")
    state = dict(full.state_dict())
    plain = ours.googlenet(weights=state)
    assert plain.aux1 is None and plain.transform_input
    kept = ours.googlenet(weights=state, aux_logits=True, transform_input=False)
    assert set(kept.state_dict()) == set(state)
    other.transform_input, other.aux_logits = True, False
    x = pictures(1, 64)
    with torch.no_grad(), narae.no_grad():
        assert_close(plain.eval()(narae.from_numpy(x)), other(torch.from_numpy(x)))


def test_memory_efficient_densenet(theirs):
    """I9: as torchvision's, whose normalization measures a batch twice then, too."""
    options = {"block_config": (2, 2), "growth_rate": 8, "num_init_features": 8, "num_classes": 3}
    other = theirs.DenseNet(**options, memory_efficient=True)
    state = random_state(other, 4)
    other.load_state_dict(state)
    mine = ours.DenseNet(**options, memory_efficient=True)
    mine.load_state_dict({key: narae.from_numpy(x.numpy()) for key, x in state.items()})
    mine.double(), other.double()
    x = pictures(2, 32).astype(np.float64)
    mine(narae.from_numpy(x)).square().sum().backward()
    other(torch.from_numpy(x)).square().sum().backward()
    for a, b in zip(mine.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(a.grad.numpy(), b.grad.numpy(), rtol=1e-7, atol=1e-9)
    for a, b in zip(mine.buffers(), other.buffers(), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-9)


def test_names(theirs):
    """`list_models` has torchvision's names, and `get_model` builds them."""
    mine = set(ours.list_models())
    assert set(PUBLISHED) <= mine & set(theirs.list_models())
    assert ours.list_models(include="vgg*", exclude="*_bn") == ["vgg11", "vgg13", "vgg16", "vgg19"]
    wanted = theirs.list_models(include=["vit*", "densenet*"])
    assert ours.list_models(include=["vit*", "densenet*"]) == wanted
    assert isinstance(ours.get_model("LeNet5"), ours.LeNet5)
