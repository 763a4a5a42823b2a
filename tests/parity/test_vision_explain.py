"""Grad-CAM is what PyTorch's hooks give by hand."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

import narae  # noqa: E402
from narae.explain import grad_cam  # noqa: E402
from tests.parity.test_vision_models import pair, pictures, theirs  # noqa: E402, F401


def by_hand(model, layer, x, target):
    """Equations 1 and 2 of Selvaraju et al. (2016), with PyTorch's hooks."""
    kept = {}

    def keep(module, inputs, out):
        kept["maps"] = out
        out.retain_grad()

    handle = layer.register_forward_hook(keep)
    logits = model(torch.from_numpy(x))
    target = logits.argmax(1).item() if target is None else target
    logits[0, target].backward()
    handle.remove()
    maps = kept["maps"]
    heat = torch.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    large = torch.nn.functional.interpolate(
        heat, size=x.shape[2:], mode="bilinear", align_corners=False
    )
    large = large.detach().numpy()[0, 0]
    return large / large.max(), heat.detach().numpy()[0, 0], target, logits[0, target].item()


@pytest.mark.parametrize(
    ("name", "path", "target"),
    [
        ("resnet18", "layer4", None),
        ("resnet18", "layer2.0", 3),
        ("mobilenet_v2", "features", 700),
        ("densenet121", "features.denseblock3", None),
    ],
)
def test_grad_cam(name, path, target, theirs):  # noqa: F811
    mine, other = pair(theirs, name)
    asked = target
    x = pictures(1, 96)
    values, raw, target, score = by_hand(other, other.get_submodule(path), x, target)
    for parameter in mine.parameters():
        parameter.requires_grad_(False)  # a frozen model can be asked, too
    layer = None if path in ("layer4", "features") else path
    found = grad_cam(mine, narae.from_numpy(x[0]), asked, layer)
    assert found.layer == path
    assert found.target == target and found.score == pytest.approx(score, rel=1e-3)
    assert raw.max() > 0
    np.testing.assert_allclose(found.raw, raw, atol=1e-4 * raw.max())
    np.testing.assert_allclose(found.values, values, atol=1e-4)
