"""Every kind of layer in one compiled training step: the same numbers as eagerly, bit for bit."""

import numpy as np
import pytest

import narae
from narae import nn
from narae.nn import functional as F
from tests.executors import close, on_every_executor

pytestmark = on_every_executor


class Net(nn.Module):
    """One layer of every kind."""

    def __init__(self, momentum):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.batch_norm = nn.BatchNorm2d(4, momentum=momentum)
        self.drop, self.alpha = nn.Dropout2d(0.3), nn.AlphaDropout(0.1)
        self.pool = nn.MaxPool2d(2)
        self.layer_norm, self.group_norm = nn.LayerNorm([4, 4, 4]), nn.GroupNorm(2, 4)
        self.instance_norm = nn.InstanceNorm2d(4, affine=True, track_running_stats=True)
        self.transposed = nn.ConvTranspose2d(4, 4, 2, stride=2)
        self.pad, self.average = nn.ReflectionPad2d(1), nn.AvgPool2d(3, 2, 1, False, False)
        self.largest, self.mean = nn.AdaptiveMaxPool2d((5, 4)), nn.AdaptiveAvgPool2d(3)
        self.table = nn.Embedding(5, 9, padding_idx=0, max_norm=1.0)
        self.fc, self.rms = nn.Linear(36, 3), nn.RMSNorm(3)

    def forward(self, x, classes):
        x = self.pool(self.drop(F.relu(self.batch_norm(self.conv(x)))))  # (batch, 4, 4, 4)
        x = self.transposed(self.instance_norm(self.group_norm(self.layer_norm(x))))
        x = self.average(self.pad(x))[..., :4, :4]
        x = self.mean(self.largest(x)).flatten(1) + self.table(classes).repeat(1, 4)
        return self.alpha(self.rms(self.fc(x)))


def trained(momentum, compiled, steps=5):
    narae.manual_seed(0)
    net = Net(momentum)

    def step(x, classes):
        net.zero_grad()
        loss = net(x, classes).square().mean()
        loss.backward()
        norm = nn.utils.clip_grad_norm_(net.parameters(), 0.1)
        with narae.no_grad():
            for parameter in net.parameters():
                parameter.sub_(parameter.grad * 0.1)
        return loss, norm

    run = narae.compile(step) if compiled else step
    results = []
    for number in range(steps):
        if number == steps - 1:
            net.eval()
        x = narae.randn(6, 1, 8, 8)
        results += [value.item() for value in run(x, narae.tensor([0, 1, 2, 3, 4, 1]))]
    return results, net.state_dict()


@pytest.mark.parametrize("momentum", [0.1, None])
def test_compiled_layers_equal_eager_ones(momentum):
    eager, eager_state = trained(momentum, compiled=False)
    compiled, compiled_state = trained(momentum, compiled=True)
    close(np.array(compiled, np.float32), np.array(eager, np.float32))
    assert int(eager_state["batch_norm.num_batches_tracked"]) == 4
    for key, value in eager_state.items():
        close(compiled_state[key], value, key)
