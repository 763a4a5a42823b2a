"""Models of pictures without an oracle: published numbers, a checkpoint, the notes' facts."""

from __future__ import annotations

import os
import pathlib

import numpy as np
import pytest

import narae
import narae.nn as nn
import narae.vision.models as models
from narae.base.errors import ConfigError, ShapeError
from narae.nn.init import undrawn
from narae.vision.models.alexnet import HalvesNorm

CHECKPOINT = "resnet20-12fca82f.th"


def parameters(model):
    return sum(x.numel() for x in model.parameters())


def random(*shape, seed=0):
    return narae.from_numpy(np.random.default_rng(seed).standard_normal(shape).astype(np.float32))


# Table 6 of He et al. (2015), and github.com/akamaster/pytorch_resnet_cifar10.
@pytest.mark.parametrize(
    ("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)]
)
def test_cifar_nets_and_their_plain_twins(depth, millions):
    """I7: a net and its twin without skips have the same parameters under the same names."""
    with undrawn():
        net, plain = (models.get_model(f"{kind}{depth}") for kind in ("resnet", "plain"))
    assert parameters(net) / 1e6 == pytest.approx(millions, abs=0.03)
    shapes = {key: tuple(x.shape) for key, x in net.state_dict().items()}
    assert shapes == {key: tuple(x.shape) for key, x in plain.state_dict().items()}
    layers = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    assert len(layers) == depth


def test_a_skip_is_all_that_a_plain_net_lacks():
    """I7: a residual block whose branch gives zero passes its input on; a plain one does not."""
    x = random(2, 3, 16, 16)
    for shortcut in ("A", None):
        net = models.CifarResNet(8, shortcut=shortcut)
        block = net.layer1[0]
        nn.init.zeros_(block.bn2.weight)
        inside = narae.relu(net.bn1(net.conv1(x)))
        expected = inside if shortcut else narae.zeros_like(inside)
        assert np.array_equal(block(inside).detach().numpy(), expected.detach().numpy())


def test_option_a_takes_every_second_pixel_and_pads_channels():
    """I7: the skip of He et al. (2015), section 3.3, option A, in NumPy."""
    block = models.CifarResNet(8).layer2[0]
    x = random(2, 16, 6, 6)
    expected = np.zeros((2, 32, 3, 3), np.float32)
    expected[:, 8:24] = x.numpy()[:, :, ::2, ::2]
    assert np.array_equal(block.shortcut(x).numpy(), expected)


@pytest.mark.slow
def test_the_published_checkpoint_gives_its_accuracy():
    """I7: resnet20 of pytorch_resnet_cifar10: 91.5 % of the first 1,000 test pictures."""
    place = pathlib.Path(os.environ.get("NARAE_DATA", "nowhere"))
    path = place / "weights" / CHECKPOINT
    test_file = place / "cifar10" / "cifar-10-batches-bin" / "test_batch_first1000.bin"
    if not path.is_file() or not test_file.is_file():
        pytest.skip(f"{CHECKPOINT} and CIFAR-10's test pictures are not in NARAE_DATA")
    model = models.resnet20(weights=path).eval()
    records = np.fromfile(test_file, np.uint8).reshape(1000, 3073)
    x = records[:, 1:].reshape(-1, 3, 32, 32).astype(np.float32) / 255
    mean, std = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])
    x = (x - mean[:, None, None]) / std[:, None, None]
    with narae.no_grad():
        found = np.concatenate(
            [model(narae.from_numpy(part)).argmax(1).numpy() for part in np.split(x, 4)]
        )
    assert (found == records[:, 0]).mean() == pytest.approx(0.915, abs=0.003)


def test_lenet():
    """LeNet-5 has 61,706 parameters, and 28 x 28 with padding is 32 x 32 without."""
    model, padded = models.lenet5(), models.lenet5(padding=2)
    assert parameters(model) == 61_706
    padded.load_state_dict(model.state_dict())
    x = random(2, 1, 28, 28)
    around = nn.functional.pad(x, (2, 2, 2, 2))
    np.testing.assert_allclose(
        padded(x).detach().numpy(), model(around).detach().numpy(), atol=1e-6
    )


# --- AlexNet ----------------------------------------------------------------------------------


def test_overlapping_pooling():
    """I2: MaxPool(3, 2): neighbouring windows share a row; 55, 27, 13, 6 as in the paper."""
    x = np.arange(25, dtype=np.float32).reshape(1, 1, 5, 5)
    with undrawn():
        pools = [m for m in models.alexnet().features if isinstance(m, nn.MaxPool2d)]
    assert [(pool.kernel_size, pool.stride) for pool in pools] == [(3, 2)] * 3
    found = pools[0](narae.from_numpy(x)).numpy()
    expected = [[x[0, 0, i : i + 3, j : j + 3].max() for j in (0, 2)] for i in (0, 2)]
    assert np.array_equal(found[0, 0], expected)
    sizes = [55]
    for pool in pools:
        sizes.append(pool(narae.zeros(1, 1, sizes[-1], sizes[-1])).shape[-1])
    assert sizes == [55, 27, 13, 6]


def test_two_groups_are_two_gpus():
    """I1, I4: AlexNet of the paper equals two halves that meet where its GPUs met."""
    narae.manual_seed(0)
    with undrawn():
        model = models.alexnet_2012().eval()
    assert parameters(model) == 60_965_224  # bvlc_alexnet of Caffe
    for parameter in model.features.parameters():
        nn.init.normal_(parameter, std=0.03)
    layers = list(model.features)
    x = random(1, 3, 227, 227)
    with narae.no_grad():
        wanted = model.features(x)
        first = [half_of(layers[0], side)(x) for side in (0, 1)]  # each GPU sees the picture
        first = [run(layers[1:4], half) for half in first]
        second = [run([half_of(layers[4], i), *layers[5:8]], first[i]) for i in (0, 1)]
        both = narae.cat(second, 1)  # the third convolution sees both halves
        third = [run([half_of(layers[8], i), layers[9]], both) for i in (0, 1)]
        rest = [
            run([half_of(layers[10], i), layers[11], half_of(layers[12], i), *layers[13:]], part)
            for i, part in enumerate(third)
        ]
    found = narae.cat(rest, 1)
    assert tuple(found.shape) == (1, 256, 6, 6)
    np.testing.assert_allclose(found.numpy(), wanted.numpy(), atol=1e-5)
    assert np.abs(wanted.numpy()).max() > 0.01


def half_of(conv, side):
    """The kernels of one GPU, as a convolution of their own."""
    kernels = conv.out_channels // 2
    before = conv.in_channels // conv.groups
    half = nn.Conv2d(before, kernels, conv.kernel_size, conv.stride, conv.padding)
    mine = slice(side * kernels, (side + 1) * kernels)
    half.load_state_dict({"weight": conv.weight[mine].detach(), "bias": conv.bias[mine].detach()})
    return half


def run(layers, x):
    # A half of the channels is normalized by itself.
    for layer in layers:
        x = layer.norm(x) if isinstance(layer, HalvesNorm) else layer(x)
    return x


# --- facts of the notes -------------------------------------------------------------------------


def test_one_by_one_saves_parameters():
    """A22: 3 x 3 from 128 to 128 has 147,456 weights; 1 x 1 to 32, then 3 x 3 to 128: 40,960."""
    direct = nn.Conv2d(128, 128, 3, padding=1, bias=False)
    few = nn.Sequential(nn.Conv2d(128, 32, 1, bias=False), nn.Conv2d(32, 128, 3, bias=False))
    assert (parameters(direct), parameters(few)) == (147_456, 40_960)


def test_bottleneck():
    """I8: 1 x 1, 3 x 3, 1 x 1: four times the channels for the weights of a basic block."""
    with undrawn():
        block, basic = models.resnet50().layer1[1], models.resnet18().layer1[1]
    sizes = [tuple(conv.weight.shape) for conv in (block.conv1, block.conv2, block.conv3)]
    assert sizes == [(64, 256, 1, 1), (64, 64, 3, 3), (256, 64, 1, 1)]
    assert parameters(block) == 70_400 < parameters(basic) == 73_984
    wide = 2 * 3 * 3 * 256 * 256  # a basic block of 256 channels
    assert wide / parameters(block) > 16


# --- bad input ----------------------------------------------------------------------------------


def test_refusals():
    with pytest.raises(ConfigError, match="resnet18"):
        models.get_model("resnet81")
    with pytest.raises(ConfigError, match=r"6 n \+ 2. Fix: take 20") as caught:
        models.CifarResNet(21)
    assert "depth=21" in str(caught.value)
    with pytest.raises(ConfigError, match='"A", "B" or None'):
        models.CifarResNet(20, shortcut="C")
    with pytest.raises(ConfigError, match="three elements"):
        models.resnet50(replace_stride_with_dilation=[True])
    with pytest.raises(ConfigError, match="one group, width 64"):
        models.resnet18(groups=2)
    with pytest.raises(ConfigError, match="patches must fill"):
        models.VisionTransformer(30, 16, 1, 1, 8, 8)
    vit = models.VisionTransformer(32, 16, 1, 1, 8, 8)
    with pytest.raises(ShapeError, match="32 x 32 pixels"):
        vit(narae.zeros(1, 3, 64, 64))
    with pytest.raises(ConfigError, match="no layer layer9 in CifarResNet"):
        models.IntermediateLayerGetter(models.resnet20(), {"layer9": "x"})
    with pytest.raises(ConfigError, match="a second model called 'resnet20'"):
        models.register_model("resnet20")(lambda: None)
    with pytest.raises(ConfigError, match="rows of four numbers"):
        models.mobilenet_v2(inverted_residual_setting=[[1, 2, 3]])
