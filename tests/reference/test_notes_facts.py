"""Facts of the course's programs that need no training: devices, names of nodes, texts."""

import pathlib

import pytest

import narae
from narae import nn
from narae.nn import functional as F


def test_g18_the_device_is_asked_for_and_modules_go_there():
    """G18: `device = 'cuda' if torch.cuda.is_available() else 'cpu'`, `.to(device)` on the CPU."""
    device = "cuda" if narae.cuda.is_available() else "cpu"
    assert device == "cpu"
    model = nn.Linear(2, 1).to(device)
    x = narae.ones(3, 2).to(device)
    assert model(x).device == narae.device("cpu")
    assert nn.CrossEntropyLoss().to(device) is not None
    with pytest.raises(RuntimeError, match="cuda"):
        model.to("cuda")


def test_g25_the_node_of_a_result_is_named_and_leads_to_its_rule():
    """G25: `t.grad_fn` readable, links to source."""
    model = nn.Linear(3, 1)
    out = model(narae.ones(2, 3))
    assert repr(out.grad_fn) == "<AddmmBackward0>"
    assert "grad_fn=<AddmmBackward0>" in repr(out)
    assert out.grad_fn.formula == "out[.., o] = sum over i of x[.., i] * w[o, i], plus b[o]"
    for result in (out, out * 2, out.exp(), F.softmax(out, 0), out[0], F.gelu(out), out.sum()):
        file, _, line = result.grad_fn.source.rpartition(":")
        assert pathlib.Path(file).parent.name == "primitives"
        text = pathlib.Path(file).read_text(encoding="utf8").splitlines()[int(line) - 1]
        assert "def " in text or "lambda" in text
        assert result.grad_fn.formula


def test_the_node_of_a_custom_function_leads_to_it():
    class Double(narae.autograd.Function):
        """Two times x."""

        @staticmethod
        def forward(ctx, x):
            return 2 * x

        @staticmethod
        def backward(ctx, grad_out):
            return 2 * grad_out

    out = Double.apply(narae.ones(2, requires_grad=True))
    assert out.grad_fn.source.startswith(__file__)
    assert out.grad_fn.formula == "Two times x."


def test_g2_g16_old_constructors_and_the_networks_size():
    """G2: `torch.FloatTensor([[1],[2],[3]])`, `torch.Tensor(1,1,28,28)`. G16: 50,186 parameters."""
    assert narae.FloatTensor([[1], [2], [3]]).dtype == narae.float32
    x = narae.Tensor(1, 1, 28, 28)
    assert x.shape == (1, 1, 28, 28)

    def block(channels_in, channels_out):
        conv = nn.Conv2d(channels_in, channels_out, kernel_size=3, stride=1, padding=1)
        return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(kernel_size=2, stride=2))

    class CNN(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer1, self.layer2 = block(1, 32), block(32, 64)
            self.fc = nn.Linear(7 * 7 * 64, 10, bias=True)

        def forward(self, x):
            out = self.layer2(self.layer1(x))
            return self.fc(out.view(out.size(0), -1))

    model = CNN()
    assert sum(parameter.numel() for parameter in model.parameters()) == 50_186
    assert model(x).shape == (1, 10)
