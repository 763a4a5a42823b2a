"""Segmentation models agree with torchvision and with PyTorch's own layers."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
import narae.nn.functional as F  # noqa: E402
from narae.vision.models import alexnet, segmentation, vgg11  # noqa: E402
from narae.vision.models.segmentation import (  # noqa: E402
    FullyConvolutional,
    NarrowBackbone,
    SmallFCN,
    UNet,
    fcn_resnet50,
    fcn_resnet101,
)
from narae.vision.models.segmentation.bilinear import bilinear_upsampling  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402

# From torchvision's own tables (meta["num_params"] of the published weights), both heads counted.
PUBLISHED = {"fcn_resnet50": 35_322_218, "fcn_resnet101": 54_314_346}
NARROW = (8, 12, 16, 20, 24)


def picture(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def shaken(model) -> dict[str, np.ndarray]:
    """Weights as they are, statistics as after some training, so that no term is 0 or 1."""
    rng = np.random.default_rng(3)
    made = {}
    for name, value in model.state_dict().items():
        array = value.numpy().copy()
        if name.endswith(("running_mean", "bias")):
            array = rng.normal(0, 0.1, array.shape).astype(array.dtype)
        if name.endswith("running_var"):
            array = rng.uniform(0.5, 1.5, array.shape).astype(array.dtype)
        if name.endswith("bn3.weight"):  # so that sums of many blocks stay small
            array *= 0.2
        made[name] = array
    return made


def load_both(ours, theirs) -> None:
    arrays = shaken(ours)
    ours.load_state_dict({name: narae.from_numpy(x) for name, x in arrays.items()})
    theirs.load_state_dict({name: torch.from_numpy(x.copy()) for name, x in arrays.items()})
    ours.eval()
    theirs.eval()


def close(ours, theirs, size: float = 1e-4) -> None:
    assert tuple(ours.shape) == tuple(theirs.shape)
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), atol=size, rtol=size)


# --- FCN on ResNets
@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_fcn_resnet(name):
    """I12: FCN-ResNet50 weights: keys, parameter counts and logits are torchvision's."""
    theirs = torchvision_oracle.load("models.segmentation")
    builder = {"fcn_resnet50": fcn_resnet50, "fcn_resnet101": fcn_resnet101}[name]
    ours = builder(aux_loss=True)
    other = getattr(theirs, name)(weights_backbone=None, aux_loss=True)
    assert sum(each.numel() for each in ours.parameters()) == PUBLISHED[name]
    shapes = {key: tuple(x.shape) for key, x in other.state_dict().items()}
    assert {key: tuple(x.shape) for key, x in ours.state_dict().items()} == shapes
    load_both(ours, other)
    x = picture(1, 3, 41, 50)
    with torch.no_grad(), narae.no_grad():
        got, want = ours(narae.from_numpy(x)), other(torch.from_numpy(x))
    assert list(got) == list(want) == ["out", "aux"]
    for key in want:
        close(got[key], want[key])


def test_fcn_resnet_without_second_head():
    """I12: as torchvision: no second head without weights, `num_classes` scores."""
    resnet = narae.vision.models.ResNet(narae.vision.models.resnet.BasicBlock, [1, 1, 1, 1])
    model = segmentation.fcn._fcn_resnet(resnet, 5, aux_loss=False)
    assert not any(name.startswith("aux") for name in model.state_dict())
    assert {k: tuple(v.shape) for k, v in model(narae.zeros(1, 3, 33, 40)).items()} == {
        "out": (1, 5, 33, 40)
    }


# --- the paper's three FCNs
def torch_block(x, state, name: str, stride: int):
    """A residual block by PyTorch's functions, in eval mode."""

    def norm(x, which: str):
        keys = ("running_mean", "running_var", "weight", "bias")
        return torch.nn.functional.batch_norm(x, *(state[f"{name}.{which}.{key}"] for key in keys))

    conv = torch.nn.functional.conv2d
    out = norm(conv(x, state[f"{name}.conv1.weight"], None, stride, 1), "bn1").relu()
    out = norm(conv(out, state[f"{name}.conv2.weight"], None, 1, 1), "bn2")
    if stride == 2:
        x = norm(conv(x, state[f"{name}.downsample.0.weight"], None, 2), "downsample.1")
    return (out + x).relu()


def torch_fcn(x, state, stride: int):
    """Figure 3 of the paper, by PyTorch's functions."""
    conv, up = torch.nn.functional.conv2d, torch.nn.functional.conv_transpose2d
    size, maps = x.shape[2:], {}
    for stage in range(5):
        name = f"backbone.stages.{stage}"
        if stage < 2:
            x = conv(x, state[f"{name}.0.weight"], None, 2, 1)
            keys = ("running_mean", "running_var", "weight", "bias")
            x = torch.nn.functional.batch_norm(x, *(state[f"{name}.1.{key}"] for key in keys))
            x = x.relu()
        else:
            x, block = torch_block(x, state, f"{name}.0", 2), 1
            while f"{name}.{block}.conv1.weight" in state:
                x, block = torch_block(x, state, f"{name}.{block}", 1), block + 1
        maps[2 ** (stage + 1)] = x
    out = None
    for place, here in enumerate(each for each in (32, 16, 8) if each >= stride):
        weight, bias = state[f"scores.{place}.weight"], state[f"scores.{place}.bias"]
        score = conv(maps[here], weight, bias)
        if out is not None:
            out = up(out, state[f"ups.{place - 1}.weight"], None, 2, 1, groups=score.shape[1])
            score = score + out[:, :, : score.shape[2], : score.shape[3]]
        out = score
    out = up(out, state["full.weight"], None, stride, stride // 2, groups=out.shape[1])
    return out[:, :, : size[0], : size[1]]


@pytest.mark.parametrize("stride", [32, 16, 8])
@pytest.mark.parametrize("size", [(64, 64), (45, 77)])
def test_small_fcn(stride, size):
    """I12: FCN-8s skip: scores of three strides, upsampled twice each and added up."""
    narae.manual_seed(1)
    model = SmallFCN(4, stride, NarrowBackbone(NARROW))
    arrays = shaken(model)
    model.load_state_dict({name: narae.from_numpy(x) for name, x in arrays.items()})
    x = picture(2, 3, *size)
    want = torch_fcn(
        torch.from_numpy(x), {k: torch.from_numpy(v) for k, v in arrays.items()}, stride
    )
    close(model.eval()(narae.from_numpy(x)), want)


@pytest.mark.parametrize("stride", [2, 4, 8, 16])
def test_upsampling_begins_as_bilinear_interpolation(stride):
    """A21: upsampling for segmentation: equal to PyTorch's interpolation, but at the borders."""
    x = picture(2, 3, 6, 7)
    want = torch.nn.functional.interpolate(
        torch.from_numpy(x), scale_factor=stride, mode="bilinear", align_corners=False
    )
    got = bilinear_upsampling(3, stride)(narae.from_numpy(x))
    inside = slice(stride // 2, -stride // 2)
    close(got[:, :, inside, inside], want[:, :, inside, inside], 1e-5)


def test_transposed_convolution_is_the_gradient_of_convolution():
    """A21: is the gradient of Conv2d: of PyTorch's with the same kernel."""
    kernel, grad_out = picture(5, 3, 4, 4), picture(2, 5, 6, 7, seed=1)
    x = torch.zeros(2, 3, 12, 14, requires_grad=True)
    out = torch.nn.functional.conv2d(x, torch.from_numpy(kernel), stride=2, padding=1)
    out.backward(torch.from_numpy(grad_out))
    given = narae.from_numpy(grad_out), narae.from_numpy(kernel)
    close(F.conv_transpose2d(*given, stride=2, padding=1), x.grad)


# --- U-Net
class TorchUNet(torch.nn.Module):
    """U-Net of three sizes by PyTorch's layers, with the same names of weights."""

    def __init__(self) -> None:
        super().__init__()
        layers = torch.nn

        def double(before: int, after: int):
            return layers.Sequential(
                layers.Conv2d(before, after, 3, padding=1, bias=False),
                layers.BatchNorm2d(after),
                layers.ReLU(),
                layers.Conv2d(after, after, 3, padding=1, bias=False),
                layers.BatchNorm2d(after),
                layers.ReLU(),
            )

        self.down = layers.ModuleList([double(3, 4), double(4, 8), double(8, 16)])
        self.grow = layers.ModuleList(
            [layers.ConvTranspose2d(16, 8, 2, 2), layers.ConvTranspose2d(8, 4, 2, 2)]
        )
        self.up = layers.ModuleList([double(16, 8), double(8, 4)])
        self.score = layers.Conv2d(4, 5, 1)

    def forward(self, x):
        pool = torch.nn.functional.max_pool2d
        first = self.down[0](x)
        second = self.down[1](pool(first, 2))
        third = self.down[2](pool(second, 2))
        x = self.up[0](torch.cat([second, self._fit(self.grow[0](third), second)], 1))
        return self.score(self.up[1](torch.cat([first, self._fit(self.grow[1](x), first)], 1)))

    @staticmethod
    def _fit(x, like):
        down, right = like.shape[2] - x.shape[2], like.shape[3] - x.shape[3]
        return torch.nn.functional.pad(x, (0, right, 0, down), mode="replicate")


@pytest.mark.parametrize("size", [(16, 24), (17, 23)])
def test_unet(size):
    """I11: U-Net is the one of the paper, with padding, at odd sizes too; gradients as well."""
    ours, theirs = UNet(5, widths=(4, 8, 16)), TorchUNet()
    load_both(ours, theirs)
    x = picture(2, 3, *size)
    got, want = ours(narae.from_numpy(x)), theirs(torch.from_numpy(x))
    close(got, want)
    (got * got).mean().backward()
    (want * want).mean().backward()
    wanted = dict(theirs.named_parameters())
    for name, each in ours.named_parameters():
        close(each.grad, wanted[name].grad)


# --- convolutionalizing
@pytest.mark.slow
def test_convolutionalised_alexnet():
    """I12: FC→1×1 conv equality: torchvision's AlexNet at its size, a map for a larger picture."""
    theirs = torchvision_oracle.load("models").alexnet(num_classes=7)
    ours = alexnet(num_classes=7)
    load_both(ours, theirs)
    whole = FullyConvolutional(ours.features, ours.classifier, size=(6, 6)).eval()
    x = picture(1, 3, 224, 224)
    with narae.no_grad(), torch.no_grad():
        close(whole(narae.from_numpy(x))[:, :, 0, 0], theirs(torch.from_numpy(x)))
        wide = narae.from_numpy(picture(1, 3, 224, 320))
        assert tuple(whole(wide).shape) == (1, 7, 1, 4)


@pytest.mark.slow
def test_convolutionalised_vgg():
    """I12: the same of VGG-11, whose first linear layer looks at 7 × 7 places."""
    theirs = torchvision_oracle.load("models").vgg11(num_classes=3, init_weights=False)
    ours = vgg11(num_classes=3, init_weights=False)
    load_both(ours, theirs)
    whole = FullyConvolutional(ours.features, ours.classifier, size=(7, 7)).eval()
    x = picture(1, 3, 224, 224)
    with narae.no_grad(), torch.no_grad():
        close(whole(narae.from_numpy(x))[:, :, 0, 0], theirs(torch.from_numpy(x)))
