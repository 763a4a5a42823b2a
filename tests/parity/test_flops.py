"""FLOPs and parameters that `summarize` counts are those that PyTorch counts."""

import pytest

torch = pytest.importorskip("torch")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

import narae  # noqa: E402
from narae.train.summary import summarize  # noqa: E402


def conv_net(nn):
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(8, 16, 3, stride=2, groups=4, dilation=2),
        nn.BatchNorm2d(16),
        nn.ConvTranspose2d(16, 6, 3, stride=2, groups=2),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(6, 10),
    )


MODELS = {
    "convolutions": (conv_net, (2, 3, 17, 13)),
    "conv1d": (lambda nn: nn.Conv1d(4, 6, 5, padding=2), (3, 4, 20)),
    "conv3d": (lambda nn: nn.Conv3d(2, 4, 3), (1, 2, 6, 7, 8)),
    "linear": (lambda nn: nn.Sequential(nn.Linear(7, 5), nn.Tanh(), nn.Linear(5, 2)), (4, 3, 7)),
    "bilinear-free": (lambda nn: nn.Sequential(nn.Flatten(), nn.Linear(12, 1)), (5, 3, 4)),
}


@pytest.mark.parametrize("name", MODELS)
def test_flops_and_parameters_are_pytorchs(name):
    make, shape = MODELS[name]
    theirs = make(torch.nn)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        out = theirs(torch.zeros(shape))
    found = summarize(make(narae.nn), narae.zeros(shape))
    assert found.flops == counter.get_total_flops()
    assert found.parameters == sum(x.numel() for x in theirs.parameters())
    assert found.rows[0].shape == tuple(out.shape)


def test_flops_of_each_layer_add_up():
    found = summarize(conv_net(narae.nn), narae.zeros(2, 3, 17, 13))
    assert sum(row.flops for row in found.rows if row.leaf) == found.flops
    assert [row.path for row in found.rows] == ["", *map(str, range(8))]
