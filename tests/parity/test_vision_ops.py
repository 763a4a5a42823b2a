"""Operations on boxes and regions agree with torchvision's, and with plain loops.

torchvision's compiled operations may be missing, so suppression and RoI pooling are compared with
loops written here after their definitions, RoI align also with torchvision's form in Python.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

import narae  # noqa: E402
import narae.vision.ops as ops  # noqa: E402
from narae.errors import BoundsError, ConfigError, DataError, ShapeError, TraceError  # noqa: E402
from narae.testing import to_narae  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402
from tests.parity.agreement import agree  # noqa: E402

SIZE = 60.0


@pytest.fixture(scope="module")
def theirs():
    return torchvision_oracle.load("ops")


def make_boxes(count: int, seed: int = 0, dtype=torch.float32, most: float = 30.0):
    """Boxes with area, many of which overlap: (count, 4)."""
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, SIZE - most, (count, 2))
    sides = rng.uniform(1, most, (count, 2))
    return torch.tensor(np.concatenate([corner, corner + sides], 1), dtype=dtype)


def scores_of(count: int, seed: int = 1):
    return torch.tensor(np.random.default_rng(seed).permutation(count) / count).float()


# --- boxes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("out_fmt", ["xyxy", "xywh", "cxcywh"])
@pytest.mark.parametrize("in_fmt", ["xyxy", "xywh", "cxcywh"])
def test_box_convert(theirs, in_fmt, out_fmt):
    """I13: box ops."""
    boxes = make_boxes(5, dtype=torch.float64).requires_grad_()
    agree(
        lambda x: ops.box_convert(x, in_fmt, out_fmt),
        lambda x: theirs.box_convert(x, in_fmt, out_fmt),
        boxes,
        second=False,
    )


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.int64, torch.float16])
def test_box_area_and_overlaps(theirs, dtype):
    """I13: IoU."""
    first, second = (make_boxes(6, 1).to(dtype), make_boxes(9, 2).to(dtype))
    for name in ("box_iou", "generalized_box_iou"):
        agree(getattr(ops, name), getattr(theirs, name), first, second)
    agree(ops.box_area, theirs.box_area, first)
    agree(ops.box_iou, theirs.box_iou, first[None], second[None])


@pytest.mark.parametrize("form", ["xywh", "cxcywh"])
def test_overlaps_of_other_forms(theirs, form):
    first, second = make_boxes(6, 1), make_boxes(9, 2)
    for name in ("box_area", "box_iou"):
        both = (first,) if name == "box_area" else (first, second)
        agree(
            lambda *x, name=name: getattr(ops, name)(*x, fmt=form),
            lambda *x, name=name: getattr(theirs, name)(*x, fmt=form),
            *both,
        )


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
def test_losses(theirs, reduction):
    first = make_boxes(8, 1, torch.float64).requires_grad_()
    agree(
        lambda x, y: ops.generalized_box_iou_loss(x, y, reduction),
        lambda x, y: theirs.generalized_box_iou_loss(x, y, reduction),
        first,
        make_boxes(8, 2, torch.float64),
        second=False,
    )
    logits = torch.linspace(-3, 3, 8, dtype=torch.float64).requires_grad_()
    agree(
        lambda x, y: ops.sigmoid_focal_loss(x, y, reduction=reduction),
        lambda x, y: theirs.sigmoid_focal_loss(x, y, reduction=reduction),
        logits,
        (torch.arange(8) % 2).double(),
        second=False,
    )


def test_clip_and_remove(theirs):
    boxes = torch.cat([make_boxes(6), torch.tensor([[-5.0, -9, 99, 7], [3, 3, 3, 9]])])
    agree(
        lambda x: ops.clip_boxes_to_image(x, (30, 40)),
        lambda x: theirs.clip_boxes_to_image(x, (30, 40)),
        boxes,
    )
    agree(lambda x: ops.remove_small_boxes(x, 8), lambda x: theirs.remove_small_boxes(x, 8), boxes)


@given(st.lists(st.integers(0, 12), min_size=8, max_size=8))
def test_iou_is_the_share_of_pixels(corners):
    """I13: IoU of whole boxes equals a count of the pixels they cover."""
    x1, x2, u1, u2, y1, y2, v1, v2 = corners
    first, second = np.zeros((2, 14, 14), bool)
    first[y1 : y1 + y2 + 1, x1 : x1 + x2 + 1] = True
    second[v1 : v1 + v2 + 1, u1 : u1 + u2 + 1] = True
    sides = lambda x, y, w, h: [x, y, min(x + w + 1, 14), min(y + h + 1, 14)]  # noqa: E731
    ours = ops.box_iou(
        narae.tensor([sides(x1, y1, x2, y2)]).float(), narae.tensor([sides(u1, v1, u2, v2)]).float()
    )
    share = (first & second).sum() / (first | second).sum()
    assert abs(ours.item() - share) < 1e-6


# --- suppression ---------------------------------------------------------------------------------


def plain_nms(boxes, scores, threshold: float) -> list[int]:
    """Each box in turn against all that were kept, in single precision as torchvision computes."""
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(_iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def _iou(a, b) -> float:
    one = np.float32
    width = max(one(0), min(one(a[2]), one(b[2])) - max(one(a[0]), one(b[0])))
    height = max(one(0), min(one(a[3]), one(b[3])) - max(one(a[1]), one(b[1])))
    both = width * height
    areas = [(one(x[2]) - one(x[0])) * (one(x[3]) - one(x[1])) for x in (a, b)]
    return float(both / (areas[0] + areas[1] - both))


@pytest.mark.parametrize("count", [0, 1, 40, 200])
@pytest.mark.parametrize("threshold", [-0.1, 0.0, 0.3, 0.5, 0.9])
@pytest.mark.parametrize("most", [30.0, 4.0])
def test_nms(count, threshold, most):
    """I13: NMS (no compiled op), of crowded boxes, and of small ones far from each other."""
    boxes, scores = make_boxes(count, most=most), scores_of(count)
    ours = ops.nms(to_narae(boxes), to_narae(scores), threshold)
    assert ours.tolist() == plain_nms(boxes.tolist(), scores.tolist(), threshold)


def test_nms_at_the_threshold():
    """An overlap equal to the threshold does not suppress; one above it by rounding does."""
    boxes = narae.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 5]])  # IoU is 0.5 exactly
    assert ops.nms(boxes, narae.tensor([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert ops.nms(boxes, narae.tensor([0.9, 0.8]), 0.4999).tolist() == [0]
    third = narae.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 3]])  # 0.3 is rounded up in float32
    assert float(np.float32(0.3)) > 0.3
    assert ops.nms(third, narae.tensor([0.9, 0.8]), 0.3).tolist() == [0]


def test_a_box_that_is_hidden_hides_nothing():
    """Neighbours in a long row overlap by more than the threshold: every other box stays."""
    left = np.arange(100.0) * 4
    boxes = np.stack([left, 0 * left, left + 10, 0 * left + 10], axis=1)  # IoU 6 / 14, then 2 / 18
    scores = narae.from_numpy(-left)
    kept = ops.nms(narae.from_numpy(boxes), scores, 0.3).tolist()
    assert kept == list(range(0, 100, 2)) == plain_nms(boxes.tolist(), (-left).tolist(), 0.3)


def test_equal_scores_keep_their_order():
    boxes = narae.tensor([[0.0, 0, 10, 10], [0.0, 0, 10, 9], [20.0, 0, 30, 10]])
    assert ops.nms(boxes, narae.tensor([0.5, 0.5, 0.5]), 0.5).tolist() == [0, 2]


def test_batched_nms():
    boxes, scores = make_boxes(120), scores_of(120)
    classes = torch.arange(120) % 3
    ours = ops.batched_nms(to_narae(boxes), to_narae(scores), to_narae(classes), 0.4).tolist()
    kept = []
    for one in range(3):
        places = torch.where(classes == one)[0]
        own = plain_nms(boxes[places].tolist(), scores[places].tolist(), 0.4)
        kept += [int(places[i]) for i in own]
    assert ours == sorted(kept, key=lambda i: -float(scores[i]))


def test_boxes_without_area_suppress_nothing():
    boxes = narae.tensor([[1.0, 1, 1, 1], [1.0, 1, 1, 1], [5.0, 5, 4, 4]])
    assert len(ops.nms(boxes, narae.tensor([0.9, 0.8, 0.7]), 0.5)) == 3


# --- regions of interest -------------------------------------------------------------------------


def make_features(dtype=torch.float64, seed: int = 0):
    """(2, 3, 9, 11)"""
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(2, 3, 9, 11)), dtype=dtype)


def make_rois(count: int = 7, seed: int = 0, dtype=torch.float64, outside: bool = False):
    """Regions of maps of 9 x 11 at scale 0.25: (count, 5)."""
    rng = np.random.default_rng(seed)
    low, high = (-20, 60) if outside else (0, 20)
    corner = rng.uniform(low, high, (count, 2))
    sides = rng.uniform(0.5, 16, (count, 2))
    image = rng.integers(0, 2, (count, 1))
    return torch.tensor(np.concatenate([image, corner, corner + sides], 1), dtype=dtype)


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, 3, -1])
def test_roi_align(theirs, aligned, ratio):
    """I16: RoI align, values and gradients."""
    python_form = torchvision_oracle.load("ops.roi_align")._roi_align.__wrapped__

    agree(
        lambda x, r: ops.roi_align(x, r, (3, 2), 0.25, ratio, aligned),
        lambda x, r: python_form(x, r, 0.25, 3, 2, ratio, aligned),
        make_features().requires_grad_(),
        make_rois(),
        second=False,
    )


def plain_roi_align(x, rois, bins, scale, ratio, aligned):
    """A loop over boxes, bins and samples; a sample further than a pixel outside counts 0."""
    out = np.zeros((len(rois), x.shape[1], *bins))
    for k, (image, *corners) in enumerate(rois):
        x1, y1, x2, y2 = (c * scale - 0.5 * aligned for c in corners)
        wide, high = x2 - x1, y2 - y1
        if not aligned:
            wide, high = max(wide, 1.0), max(high, 1.0)
        step = high / bins[0], wide / bins[1]
        grid = [ratio if ratio > 0 else math.ceil(s) for s in step]
        for i in range(bins[0]):
            for j in range(bins[1]):
                total = 0.0
                for a in range(grid[0]):
                    for b in range(grid[1]):
                        y = y1 + i * step[0] + (a + 0.5) * step[0] / grid[0]
                        z = x1 + j * step[1] + (b + 0.5) * step[1] / grid[1]
                        total = total + bilinear(x[int(image)], y, z)
                out[k, :, i, j] = total / max(grid[0] * grid[1], 1)
    return out


def bilinear(x, y: float, z: float):
    height, width = x.shape[1:]
    if y < -1 or y > height or z < -1 or z > width:
        return np.zeros(x.shape[0])
    y, z = min(max(y, 0), height - 1), min(max(z, 0), width - 1)
    top, left = int(y), int(z)
    down, right = min(top + 1, height - 1), min(left + 1, width - 1)
    v, u = y - top, z - left
    upper = x[:, top, left] * (1 - u) + x[:, top, right] * u
    lower = x[:, down, left] * (1 - u) + x[:, down, right] * u
    return upper * (1 - v) + lower * v


@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize("ratio", [2, -1])
def test_roi_align_outside_the_map(aligned, ratio):
    x, rois = make_features().numpy(), make_rois(12, outside=True).numpy()
    ours = ops.roi_align(narae.tensor(x), narae.tensor(rois), (3, 2), 0.25, ratio, aligned)
    wanted = plain_roi_align(x, rois, (3, 2), 0.25, ratio, aligned)
    assert np.abs(wanted).max() > 0.1
    np.testing.assert_allclose(ours.numpy(), wanted, atol=1e-12)


def plain_roi_pool(x, rois, bins, scale):
    """A loop in torch, so that it has gradients; the first of equal values gets them."""
    results = []
    for image, *corners in rois.tolist():
        x1, y1, x2, y2 = (int(math.copysign(math.floor(abs(c * scale) + 0.5), c)) for c in corners)
        step = max(y2 - y1 + 1, 1) / bins[0], max(x2 - x1 + 1, 1) / bins[1]
        for i in range(bins[0]):
            for j in range(bins[1]):
                rows = [math.floor(i * step[0]) + y1, math.ceil((i + 1) * step[0]) + y1]
                columns = [math.floor(j * step[1]) + x1, math.ceil((j + 1) * step[1]) + x1]
                top, bottom = (min(max(e, 0), x.shape[2]) for e in rows)
                left, right = (min(max(e, 0), x.shape[3]) for e in columns)
                part = x[int(image), :, top:bottom, left:right].flatten(1)
                results.append(part.max(dim=1)[0] if part.shape[1] else x.new_zeros(x.shape[1]))
    return torch.stack(results).view(len(rois), *bins, x.shape[1]).permute(0, 3, 1, 2)


@pytest.mark.parametrize("outside", [False, True])
@pytest.mark.parametrize("bins", [(2, 2), (3, 2), (7, 7)])
def test_roi_pool(outside, bins):
    """I16: RoIPool equality with torchvision.ops, whose definition the loop follows."""
    x = make_features().requires_grad_()
    agree(
        lambda x, r: ops.roi_pool(x, r, bins, 0.25),
        lambda x, r: plain_roi_pool(x, r, bins, 0.25),
        x,
        make_rois(9, outside=outside),
        second=False,
    )


def test_the_first_of_equal_values_gets_the_gradient():
    x = torch.zeros(1, 1, 6, 6, dtype=torch.float64)
    x[0, 0, 1:4, 2:5] = 1.0
    rois = torch.tensor([[0.0, 0, 0, 5, 5], [0.0, 1, 1, 4, 4]], dtype=torch.float64)
    agree(
        lambda x, r: ops.roi_pool(x, r, 2),
        lambda x, r: plain_roi_pool(x, r, (2, 2), 1.0),
        x.requires_grad_(),
        rois,
        second=False,
    )


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("name", ["roi_align", "roi_pool"])
def test_compiled_equals_eager(name, as_list):
    """I16: with fixed counts, values and gradients in a compiled step."""
    x = to_narae(make_features(torch.float32)).relu()  # many equal values
    rois = to_narae(make_rois(8, dtype=torch.float32, outside=True))
    boxes = [rois[:5, 1:], rois[5:, 1:]] if as_list else rois
    options = {"sampling_ratio": 2} if name == "roi_align" else {}

    def step(x, *boxes):
        x = x.detach().requires_grad_()
        given = list(boxes) if as_list else boxes[0]
        out = getattr(ops, name)(x, given, (3, 2), 0.25, **options)
        weights = narae.arange(out.numel()).view(out.shape).float()
        return out.detach(), narae.autograd.grad((out * weights).sum(), x)[0]

    given = boxes if as_list else [boxes]
    for ours, eager in zip(narae.compile(step)(x, *given), step(x, *given), strict=True):
        np.testing.assert_allclose(ours.numpy(), eager.numpy(), rtol=1e-4, atol=1e-4)


def test_regions_as_lists():
    x, rois = to_narae(make_features()), to_narae(make_rois())
    order = np.argsort(rois[:, 0].numpy(), kind="stable")
    lists = [rois[rois[:, 0] == image][:, 1:] for image in (0, 1)]
    for layer in (ops.RoIAlign(2, 0.25, 2), ops.RoIPool(2, 0.25)):
        np.testing.assert_array_equal(
            layer(x, lists).numpy(), layer(x, rois[narae.tensor(order)]).numpy()
        )


def test_many_regions():
    """More boxes than are prepared together."""
    x, rois = to_narae(make_features()), to_narae(make_rois(300))
    whole = ops.roi_align(x, rois, 2, 0.25)
    parts = [ops.roi_align(x, rois[i : i + 60], 2, 0.25) for i in range(0, 300, 60)]
    np.testing.assert_allclose(whole.numpy(), narae.cat(parts).numpy(), atol=1e-12)


def test_no_regions():
    x = to_narae(make_features()).requires_grad_()
    for function in (ops.roi_align, ops.roi_pool):
        out = function(x, [narae.zeros(0, 4), narae.zeros(0, 4)], 2)
        assert tuple(out.shape) == (0, 3, 2, 2)
        out.sum().backward()
        assert not bool(x.grad.any())


def test_half_precision_regions():
    x, rois = to_narae(make_features(torch.float16)), to_narae(make_rois(dtype=torch.float16))
    for function in (ops.roi_align, ops.roi_pool):
        out = function(x, rois, 2, 0.25)
        assert out.dtype is narae.float16
        wide = function(x.double(), rois.double(), 2, 0.25)
        np.testing.assert_allclose(out.double().numpy(), wide.numpy(), atol=5e-3)


# --- pyramids ------------------------------------------------------------------------------------


def test_multi_scale_roi_align(theirs):
    """I16: each box from the level of its size, as torchvision assigns them."""
    poolers = torchvision_oracle.load("ops.poolers")
    align = torchvision_oracle.load("ops.roi_align")._roi_align.__wrapped__

    def python_align(x, rois, output_size, spatial_scale, sampling_ratio):
        return align(x, rois, spatial_scale, *output_size, sampling_ratio, False)

    poolers.roi_align, kept = python_align, poolers.roi_align
    try:
        names = ["0", "1", "2"]
        settings = {"canonical_scale": 40, "canonical_level": 3}
        rng = np.random.default_rng(0)
        maps = [torch.tensor(rng.normal(size=(2, 3, 32 // 2**i, 32 // 2**i))) for i in range(3)]
        maps = [x.float().requires_grad_() for x in maps]
        boxes = [make_boxes(9, 1, most=50) * 2, make_boxes(4, 2, most=12)]
        theirs_layer = poolers.MultiScaleRoIAlign(names, 3, 2, **settings)
        wanted = theirs_layer(dict(zip(names, maps, strict=True)), boxes, [(128, 120), (100, 128)])
        wanted.cos().sum().backward()
    finally:
        poolers.roi_align = kept
    own = [to_narae(x.detach()).requires_grad_() for x in maps]
    layer = ops.MultiScaleRoIAlign(names, 3, 2, **settings)
    given = [to_narae(b) for b in boxes]
    out = layer(dict(zip(names, own, strict=True)), given, [(128, 120), (100, 128)])
    levels = layer._levels(ops.regions.as_rois(given, 2, "test"), [0.25, 0.125, 0.0625])
    assert set(levels.tolist()) == {0, 1, 2}, "the boxes do not test all levels"
    out.cos().sum().backward()
    np.testing.assert_allclose(out.detach().numpy(), wanted.detach().numpy(), atol=1e-5)
    for x, y in zip(own, maps, strict=True):
        np.testing.assert_allclose(x.grad.numpy(), y.grad.numpy(), atol=1e-5)
    compiled = narae.compile(
        lambda a, b, c, d, e: layer({"0": a, "1": b, "2": c}, [d, e], [(128, 120), (100, 128)])
    )
    again = compiled(*[x.detach() for x in own], *given)
    np.testing.assert_allclose(again.numpy(), wanted.detach().numpy(), atol=1e-5)


def test_feature_pyramid(theirs):
    """I17: the pyramid, its first weights and its keys."""
    torch.manual_seed(3)
    narae.manual_seed(3)
    extra = theirs.feature_pyramid_network.LastLevelMaxPool()
    wanted = theirs.FeaturePyramidNetwork([4, 8, 6], 5, extra)
    layer = ops.FeaturePyramidNetwork([4, 8, 6], 5, ops.LastLevelMaxPool())
    assert list(layer.state_dict()) == list(wanted.state_dict())
    for name, tensor in wanted.state_dict().items():
        np.testing.assert_allclose(layer.state_dict()[name].numpy(), tensor.numpy(), atol=1e-6)
    maps = {str(i): torch.rand(2, c, 13 // 2**i, 8 // 2**i) for i, c in enumerate((4, 8, 6))}
    theirs_maps = wanted(maps)
    our_maps = layer({name: to_narae(x) for name, x in maps.items()})
    assert list(our_maps) == list(theirs_maps) == ["0", "1", "2", "pool"]
    for name, x in theirs_maps.items():
        np.testing.assert_allclose(our_maps[name].detach().numpy(), x.detach().numpy(), atol=1e-5)


def test_pyramids_of_older_files_load():
    layer = ops.FeaturePyramidNetwork([4, 8], 5)
    old = {
        name.replace(".0.", ".", 1)
        if name.count(".0.") == 1 and ".1.0." in name
        else name.replace(".0.0.", ".0."): x
        for name, x in layer.state_dict().items()
    }
    assert "inner_blocks.1.weight" in old and "inner_blocks.0.bias" in old
    layer.load_state_dict(old)


def test_frozen_batch_norm(theirs):
    wanted, layer = theirs.FrozenBatchNorm2d(3), ops.FrozenBatchNorm2d(3)
    state = {name: torch.rand(3) + 0.5 for name in ("weight", "bias", "running_mean")}
    state["running_var"] = torch.rand(3) + 0.5
    state["num_batches_tracked"] = torch.tensor(7)  # of a BatchNorm2d
    ours = {name: to_narae(x) for name, x in state.items()}
    wanted.load_state_dict(dict(state))
    layer.load_state_dict(ours)
    assert "num_batches_tracked" in ours, "the caller's state must stay whole"
    x = torch.rand(2, 3, 4, 4)
    np.testing.assert_allclose(layer(to_narae(x)).numpy(), wanted(x).numpy(), atol=1e-6)


def test_spatial_pyramid_pooling():
    """I15: spatial pyramid pooling of maps and boxes of any size equals adaptive max pooling."""
    pool = ops.SpatialPyramidPool((1, 2, 4))
    x = make_features(torch.float32)
    wanted = [torch.nn.functional.adaptive_max_pool2d(x, n).flatten(1) for n in (1, 2, 4)]
    out = pool(to_narae(x))
    np.testing.assert_array_equal(out.numpy(), torch.cat(wanted, 1).numpy())
    assert out.shape[1] == pool.features(3) == 3 * 21
    boxes = [narae.tensor([[0.0, 0.0, 40.0, 32.0]])] * 2  # whole maps at scale 0.25
    np.testing.assert_array_equal(pool.of_boxes(to_narae(x), boxes, 0.25).numpy(), out.numpy())


# --- anchors, codes, matches ---------------------------------------------------------------------


def test_anchors():
    """I18: anchor grid equality."""
    theirs = torchvision_oracle.load("models.detection.anchor_utils")
    images = torchvision_oracle.load("models.detection.image_list")
    settings = (((16, 24), (32,)), ((0.5, 1.0, 2.0), (1.0, 3.0)))
    wanted, generator = theirs.AnchorGenerator(*settings), ops.AnchorGenerator(*settings)
    maps = [torch.zeros(2, 1, 5, 7), torch.zeros(2, 1, 2, 3)]
    batch = images.ImageList(torch.zeros(2, 3, 40, 60), [(40, 60), (33, 50)])
    assert generator.num_anchors_per_location() == wanted.num_anchors_per_location() == [6, 2]
    ours = generator(batch, [to_narae(x) for x in maps])
    for one, other in zip(ours, wanted(batch, maps), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())
    flat = ops.AnchorGenerator((16, 32), (0.5, 1.0))
    also = theirs.AnchorGenerator((16, 32), (0.5, 1.0))
    assert flat.num_anchors_per_location() == also.num_anchors_per_location()


def test_box_coder():
    """I17: codes and boxes, there and back."""
    theirs = torchvision_oracle.load("models.detection._utils")
    weights = (10.0, 10.0, 5.0, 5.0)
    ours, wanted = ops.BoxCoder(weights), theirs.BoxCoder(weights)
    first, second = make_boxes(6, 1, torch.float64), make_boxes(6, 2, torch.float64)
    agree(ours.encode_single, wanted.encode_single, first, second)
    codes = torch.randn(6, 12, generator=torch.Generator().manual_seed(0)).double() * 20
    agree(ours.decode_single, wanted.decode_single, codes.requires_grad_(), second, second=False)
    agree(ours.decode, wanted.decode, codes.detach(), [second[:2], second[2:]])
    back = ours.decode_single(
        ours.encode_single(to_narae(first), to_narae(second)), to_narae(second)
    )
    np.testing.assert_allclose(back.numpy(), first.numpy(), atol=1e-9)
    assert tuple(ours.decode(narae.zeros(0, 12), [narae.zeros(0, 4)]).shape) == (0, 12)


@pytest.mark.parametrize("low_quality", [False, True])
def test_matcher(low_quality):
    theirs = torchvision_oracle.load("models.detection._utils")
    quality = torch.rand(5, 40, generator=torch.Generator().manual_seed(0))
    quality[2] *= 0.2
    quality[3, 7] = quality[3, 9] = quality[3].max()  # a tie
    agree(ops.Matcher(0.7, 0.4, low_quality), theirs.Matcher(0.7, 0.4, low_quality), quality)


def test_sampler():
    """The same seed draws what torchvision draws."""
    theirs = torchvision_oracle.load("models.detection._utils")
    labels = [
        torch.randint(-1, 3, (60,), generator=torch.Generator().manual_seed(i)) for i in (0, 1)
    ]
    labels.append(torch.zeros(9, dtype=torch.int64))
    torch.manual_seed(5)
    narae.manual_seed(5)
    wanted = theirs.BalancedPositiveNegativeSampler(16, 0.25)(labels)
    ours = ops.BalancedPositiveNegativeSampler(16, 0.25)([to_narae(x) for x in labels])
    for our_masks, their_masks in zip(ours, wanted, strict=True):
        for one, other in zip(our_masks, their_masks, strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize(
    ("labels", "positive"),
    [([1, 0, 0, -1, 2, 0], 2), ([0, 0, -1], 0), ([1, 2], 2), ([0] * 40 + [1] * 40, 4)],
)
def test_a_padded_draw(labels, positive):
    """Always 16 places: positive ones once and first, negative ones repeated as needed."""
    (places,) = ops.BalancedPositiveNegativeSampler(16, 0.25).padded([narae.tensor(labels)])
    kinds = np.array(labels)[places.numpy()]
    assert len(places) == 16
    assert (kinds >= 0).all()
    if 0 in labels:
        assert (kinds[:positive] > 0).all()
        assert (kinds[positive:] == 0).all()
        assert len(set(places.tolist()[:positive])) == positive
    else:
        assert set(places.tolist()) == {0, 1}
    if len(labels) > 16:
        assert len(set(places.tolist())) == 16


# --- bad input -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "error", "text"),
    [
        (lambda: ops.box_area(narae.zeros(3)), ShapeError, r"boxes are \(3,\)"),
        (lambda: ops.box_convert(narae.zeros(1, 4), "xyxy", "yx"), ConfigError, "'yx'"),
        (lambda: ops.box_iou(narae.zeros(1, 4), narae.zeros(1, 5)), ShapeError, "box_iou"),
        (lambda: ops.nms(narae.zeros(2, 4), narae.zeros(3), 0.5), ShapeError, r"\(3,\)"),
        (
            lambda: ops.batched_nms(narae.zeros(2, 4), narae.zeros(2), narae.zeros(1), 0.5),
            ShapeError,
            "one class for each box",
        ),
        (
            lambda: ops.roi_pool(narae.zeros(1, 1, 4, 4), narae.zeros(2, 4), 2),
            ShapeError,
            r"\(k, 5\)",
        ),
        (
            lambda: ops.roi_align(narae.zeros(1, 1, 4, 4), [narae.zeros(1, 4)] * 2, 2),
            ShapeError,
            "2 tensors of boxes and 1 images",
        ),
        (
            lambda: ops.roi_pool(narae.zeros(1, 1, 4, 4), narae.tensor([[1.0, 0, 0, 1, 1]]), 2),
            BoundsError,
            "the batch has 1 images",
        ),
        (lambda: ops.roi_pool(narae.zeros(1, 1, 4, 4), narae.zeros(1, 5), 0), ConfigError, "bin"),
        (lambda: ops.Matcher(0.3, 0.7), ConfigError, "not above"),
        (lambda: ops.Matcher(0.7, 0.3)(narae.zeros(0, 4)), DataError, "background"),
        (
            lambda: ops.BalancedPositiveNegativeSampler(4, 0.5).padded([narae.tensor([-1, -1])]),
            DataError,
            "image 0 has no positive",
        ),
        (lambda: ops.sigmoid_focal_loss(narae.zeros(1), narae.zeros(1), 2.0), ConfigError, "2.0"),
        (
            lambda: ops.generalized_box_iou_loss(narae.zeros(1, 4), narae.zeros(1, 4), "all"),
            ConfigError,
            "'all'",
        ),
        (
            lambda: ops.AnchorGenerator(((8,),), ((1.0,),)).grid_anchors(
                [(1, 1)] * 2, [(8, 8)] * 2
            ),
            ConfigError,
            "2 feature maps",
        ),
        (lambda: ops.AnchorGenerator(((8,), (9,)), ((1.0,),)), ConfigError, "sizes for 2"),
        (
            lambda: ops.FeaturePyramidNetwork([4], 2)({}),
            ShapeError,
            "0 maps for a pyramid of 1",
        ),
        (
            lambda: ops.BoxCoder((1.0,) * 4).decode_single(narae.zeros(2, 3), narae.zeros(2, 4)),
            ShapeError,
            "4 \\* classes",
        ),
        (lambda: ops.SpatialPyramidPool(()), ConfigError, "at least one grid"),
    ],
)
def test_bad_input(call, error, text):
    with pytest.raises(error, match=text):
        call()


def test_counts_that_depend_on_data_are_refused_in_a_compiled_step():
    step = narae.compile(lambda x, r: ops.roi_align(x, r, 2))
    with pytest.raises(TraceError, match="sampling_ratio=2"):
        step(narae.zeros(1, 1, 4, 4), narae.zeros(1, 5))
