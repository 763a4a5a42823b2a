"""Receptive fields, feature maps and Grad-CAM where the answer is known beforehand."""

from __future__ import annotations

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.vision.models as models
from narae.base.errors import BoundsError, ConfigError, NotSupportedError, ShapeError
from narae.explain import chain_fields, feature_maps, grad_cam, receptive_field
from narae.nn.init import undrawn


def last_field(chain):
    return chain_fields(chain)[-1].field


def test_two_small_kernels_see_as_much_as_a_large_one():
    """A23: 2 x (3 x 3, 128) = 294,912 weights < 5 x 5 = 409,600, and the same field, 5 x 5."""
    small = nn.Sequential(*(nn.Conv2d(128, 128, 3, bias=False) for _ in range(2)))
    large = nn.Conv2d(128, 128, 5, bias=False)
    counts = [sum(x.numel() for x in model.parameters()) for model in (small, large)]
    assert counts == [294_912, 409_600]
    assert last_field(small) == last_field(large) == (5, 5)
    assert last_field(nn.Sequential(*(nn.Conv2d(1, 1, 3) for _ in range(3)))) == (7, 7)


def test_published_fields():
    """A23: AlexNet sees 195, VGG-16 212 pixels: Araujo, Norris and Sim (2019), table 1."""
    with undrawn():
        alexnet, vgg = models.alexnet().features, models.vgg16().features
    assert last_field(alexnet) == (195, 195)
    assert last_field(vgg) == (212, 212)
    assert chain_fields(alexnet)[-1].jump == (32, 32)


CHAINS = {
    "strides": [nn.Conv2d(2, 3, 5, stride=2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(3, 2, 3)],
    "dilation": [nn.Conv2d(2, 4, 3, dilation=3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, (1, 5))],
    "groups": [nn.Conv2d(2, 4, 3, groups=2), nn.AvgPool2d(2), nn.ReLU6(), nn.Conv2d(4, 4, (3, 2))],
}


@pytest.mark.parametrize("name", CHAINS)
def test_arithmetic_agrees_with_gradients(name):
    """A23: fields by the formula are those that gradients reach."""
    chain = nn.Sequential(*CHAINS[name])
    assert receptive_field(chain, (2, 60, 60)) == last_field(chain)


def test_fields_of_branching_models():
    """Blocks with skips see what their longest way sees; a copy is looked at, not the model."""
    model = models.resnet20()
    before = {key: x.numpy().copy() for key, x in model.state_dict().items()}
    longest = nn.Sequential(
        *(nn.Conv2d(1, 1, 3) for _ in range(7)), nn.Conv2d(1, 1, 3, stride=2),
        *(nn.Conv2d(1, 1, 3) for _ in range(5)),
    )  # fmt: skip
    assert receptive_field(model, (3, 80, 80), "layer2") == last_field(longest)
    assert all(np.array_equal(x.numpy(), before[key]) for key, x in model.state_dict().items())
    mobile = models.mobilenet_v2(num_classes=2)
    assert receptive_field(mobile, (3, 64, 64), "features.3") == (19, 19)


def test_feature_maps_are_what_the_layer_gives():
    model = models.resnet20()
    model.train()
    x = narae.rand(3, 32, 32)
    found = feature_maps(model, x, "layer2")
    model.eval()
    with narae.no_grad():
        inside = narae.relu(model.bn1(model.conv1(x[None])))
        expected = model.layer2(model.layer1(inside)).numpy()[0]
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    model.train()
    first = feature_maps(model, x)
    assert (first.layer, first.values.shape) == ("conv1", (16, 32, 32))
    assert all(module.training for module in model.modules())
    assert not any(module._hooks and module._hooks.after for module in model.modules())


def test_a_heat_map_finds_what_decides():
    """A classifier that counts red in one class and blue in the other looks where these are."""
    model = nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    kernels = narae.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    model[0].load_state_dict({"weight": kernels.reshape(2, 3, 1, 1)})
    image = narae.zeros(3, 8, 8)
    image[0, :4, :4] = 1.0
    image[2, 5:, 5:] = 1.0
    for target, (rows, columns) in enumerate([(slice(0, 4),) * 2, (slice(5, 8),) * 2]):
        heat = grad_cam(model, image, target, layer="0")
        expected = np.zeros((8, 8))
        expected[rows, columns] = 1.0
        np.testing.assert_allclose(heat.values, expected, atol=1e-6)
        assert heat.target == target
    assert grad_cam(model, image).target == 0
    assert model[0].weight.grad is None


def test_pictures(tmp_path):
    pytest.importorskip("PIL.Image")
    pytest.importorskip("matplotlib")
    model, x = models.resnet20(), narae.rand(3, 32, 32)
    heat = grad_cam(model, x, 1)
    assert heat.picture().size == (32, 32)
    heat.save(tmp_path / "heat.png")
    assert (tmp_path / "heat.png").stat().st_size > 500
    maps = feature_maps(model, x, "layer3")
    assert maps.picture(most=10).size == (4 * 66 + 2, 3 * 66 + 2)
    maps.save(tmp_path / "maps.png")
    on = np.zeros((32, 32, 3))
    assert np.asarray(heat.picture(strength=0.0, on=on)).max() == 0


def test_refusals():
    model, x = models.resnet20(), narae.rand(3, 32, 32)
    with pytest.raises(ConfigError, match="did you mean layer"):
        grad_cam(model, x, layer="layer33")
    with pytest.raises(ConfigError, match="not part of the model"):
        feature_maps(model, x, nn.ReLU())
    with pytest.raises(BoundsError, match="classes are 0 to 9"):
        grad_cam(model, x, target=10)
    with pytest.raises(ShapeError, match="one picture"):
        grad_cam(model, narae.rand(2, 3, 32, 32))
    with pytest.raises(ShapeError, match="one picture"):
        feature_maps(model, "cat.png")
    with pytest.raises(ShapeError, match="gives no feature maps"):
        grad_cam(model, x, layer="linear")
    with pytest.raises(ShapeError, match="no layer gives feature maps"):
        feature_maps(nn.Sequential(nn.Flatten(), nn.Linear(12, 2)), narae.rand(3, 2, 2))
    with pytest.raises(ShapeError, match=r"a classifier gives \(1, classes\)"):
        grad_cam(model.layer1, narae.rand(16, 8, 8))
    with pytest.raises(NotSupportedError, match=r"1\.0 is CifarBlock"):
        chain_fields(nn.Sequential(nn.Conv2d(3, 16, 3), nn.Sequential(model.layer1[0])))
    with pytest.raises(ShapeError, match=r"\(channels, height, width\)"):
        receptive_field(model, (32, 32))
