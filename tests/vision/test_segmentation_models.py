"""Segmentation models at all sizes, convolutionalized classifiers, drawings of their answers."""

from __future__ import annotations

import numpy as np
import pytest

import narae
from narae import nn
from narae.errors import ConfigError, FileFormatError, MissingDataError, ShapeError
from narae.vision.models.segmentation import (
    FullyConvolutional,
    NarrowBackbone,
    SmallFCN,
    UNet,
    fcn8s,
    fcn16s,
    fcn32s,
    linear_to_conv,
)
from narae.vision.models.segmentation.bilinear import bilinear_upsampling
from narae.vision.overlays import answer_pixels, class_colours, compare_classes, overlay

NARROW = (4, 6, 8, 10, 12)


def small_fcn(stride: int = 8) -> SmallFCN:
    return SmallFCN(3, stride, NarrowBackbone(NARROW))


# --- fully convolutional
class Classifier(nn.Module):
    """A small network without padding, so that a part of a picture is all that an answer sees."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(3, 4, 3), nn.ReLU()
        )  # (batch, 1, 16, 16) to (batch, 4, 5, 5)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(100, 6), nn.Tanh(), nn.Dropout(), nn.Linear(6, 2, bias=False)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


def test_each_place_of_the_map_is_the_classifier_there():
    """I12: FC→1×1 conv equality: the map holds the classifier's answers for all windows."""
    narae.manual_seed(0)
    model = Classifier().eval()
    whole = FullyConvolutional(model.features, model.classifier, size=(5, 5)).eval()
    x = narae.randn(2, 1, 22, 20)
    found = whole(x)
    assert tuple(found.shape) == (2, 2, 4, 3)  # the windows begin at every second pixel
    for row in range(4):
        for column in range(3):
            window = x[:, :, 2 * row : 2 * row + 16, 2 * column : 2 * column + 16]
            answer = model(window).detach().numpy()
            np.testing.assert_allclose(found[:, :, row, column].detach().numpy(), answer, atol=1e-6)


def test_the_convolution_has_the_dtype_of_the_layer():
    linear = narae.nn.Linear(8, 3).double()
    x = narae.randn(2, 2, 2, 2, dtype=narae.float64)
    answers = linear_to_conv(linear, (2, 2))(x).flatten(1)
    np.testing.assert_allclose(answers.detach(), linear(x.flatten(1)).detach(), rtol=1e-12)


def test_wrong_classifiers_are_refused():
    with pytest.raises(ShapeError, match="the layer has 7 inputs, the map is 2 x 2"):
        linear_to_conv(nn.Linear(7, 3), (2, 2))
    with pytest.raises(ConfigError, match="no linear layer"):
        FullyConvolutional(nn.Identity(), [nn.ReLU()], (1, 1))
    with pytest.raises(ConfigError, match="number by number"):
        FullyConvolutional(nn.Identity(), [nn.Linear(4, 4), nn.LayerNorm(4)], (1, 1))


# --- any size
@pytest.mark.parametrize("size", [(32, 32), (45, 60), (1, 1), (31, 97)])
@pytest.mark.parametrize("stride", [32, 16, 8])
def test_scores_have_the_size_of_the_picture(size, stride):
    x = narae.zeros(1, 3, *size)
    assert tuple(small_fcn(stride).eval()(x).shape) == (1, 3, *size)


@pytest.mark.parametrize("builder", [fcn32s, fcn16s, fcn8s])
def test_the_three_of_the_paper(builder):
    """I12: as many scores as strides; the last upsampling stays as it is."""
    model = builder(num_classes=2, backbone=NarrowBackbone(NARROW))
    assert len(model.scores) == {"fcn32s": 1, "fcn16s": 2, "fcn8s": 3}[builder.__name__]
    still = [name for name, each in model.named_parameters() if not each.requires_grad]
    assert still == ["full.weight"]


@pytest.mark.slow
@pytest.mark.parametrize("make", [small_fcn, lambda: UNet(3, widths=(4, 6, 8))])
def test_a_compiled_step_learns_as_an_eager_one(make):
    """The whole step is one program, and does what the step does by hand."""
    rng = np.random.default_rng(0)
    x = narae.from_numpy(rng.normal(size=(2, 3, 24, 31)).astype(np.float32))
    y = narae.from_numpy(rng.integers(0, 4, (2, 24, 31)))  # 3 is no class
    after = []
    for prepare in (lambda step: step, narae.compile):
        narae.manual_seed(4)
        model = make()
        model.train()
        for each in model.modules():
            if isinstance(each, nn.Dropout2d):
                each.p = 0.0
        optimizer = narae.optim.SGD(model.parameters(), lr=0.1)

        def step(x, y, model=model, optimizer=optimizer):
            loss = nn.functional.cross_entropy(model(x), y, ignore_index=3)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        run = prepare(step)
        losses = [float(run(x, y).item()) for _ in range(4)]
        assert losses[-1] < losses[0]
        after.append((losses, {k: v.numpy().copy() for k, v in model.state_dict().items()}))
    np.testing.assert_allclose(after[0][0], after[1][0], rtol=1e-4)
    for name, value in after[0][1].items():
        np.testing.assert_allclose(after[1][1][name], value, rtol=2e-3, atol=2e-4, err_msg=name)


def test_wrong_plans_are_refused():
    with pytest.raises(ConfigError, match="stride is 3; it is even"):
        bilinear_upsampling(1, 3)
    with pytest.raises(ShapeError, match="the map is 0 x 0"):
        linear_to_conv(nn.Linear(8, 3), (0, 0))
    with pytest.raises(ConfigError, match="FCN-32s, FCN-16s or FCN-8s"):
        SmallFCN(3, 4)
    with pytest.raises(ConfigError, match="five stages"):
        NarrowBackbone((4, 4, 4))
    with pytest.raises(ConfigError, match="at least two sizes"):
        UNet(3, widths=(4,))
    with pytest.raises(ShapeError, match=r"the image is \(3, 40\).*at least 4 rows"):
        UNet(3, widths=(4, 6, 8))(narae.zeros(1, 3, 3, 40))


# --- drawings
def test_colours_are_all_different():
    assert len(set(class_colours(40))) == 40


def test_overlay_leaves_pixels_of_no_class():
    image = narae.full((3, 2, 2), 0.5)
    labels = np.array([[0, 1], [11, -1]])
    shown = overlay(image, labels, [(255, 0, 0), (0, 0, 255)], alpha=1.0).numpy()
    assert shown[:, 0, 0].tolist() == [1, 0, 0]
    assert shown[:, 0, 1].tolist() == [0, 0, 1]
    assert (shown[:, 1] == 0.5).all()
    assert overlay(image, np.full((2, 2), 9), [(1, 2, 3)]) is image
    with pytest.raises(ShapeError, match="labels are"):
        overlay(image, labels[:1], [(1, 2, 3)])


def test_compared_classes_stand_below_each_other():
    images, truth = narae.full((2, 3, 2, 4), 2.0), narae.zeros(2, 2, 4, dtype=narae.int64)
    shown = compare_classes(images, truth, truth + 1, [(255, 0, 0), (0, 255, 0)])
    assert [tuple(each.shape) for each in shown] == [(3, 6, 4)] * 2
    red = shown[0].numpy()[0, :, 0]
    np.testing.assert_allclose(red, [1, 1, 1, 1, 0.4, 0.4], atol=1e-6)


def left_and_right(x):
    """Scores: class 0 in the left half, class 1 in the right."""
    half = x.shape[3] // 2
    scores = narae.zeros(1, 3, *x.shape[2:])
    scores[:, 0, :, :half] = 1
    scores[:, 1, :, half:] = 1
    return scores


def test_answers_about_a_file(tmp_path):
    """The drawing has the size of the picture, and a legend with the classes that occur."""
    from PIL import Image

    path = tmp_path / "street.png"
    Image.new("RGBA", (80, 60), (0, 0, 0, 0)).save(path)  # transparent: white paper
    answer = answer_pixels(left_and_right, path, (30, 40), ["sky", "road", "car"], tmp_path)
    assert answer.drawn == tmp_path / "street-classes.png"
    assert answer.as_dict()["shares"] == {"sky": 0.5, "road": 0.5}
    assert str(answer).startswith("sky 50%, road 50%\n")
    drawn = np.asarray(Image.open(answer.drawn).convert("RGB")).astype(int)
    assert drawn.shape[0] == 60
    assert drawn.shape[1] > 80  # the legend
    for column, colour in zip((10, 70), class_colours(2), strict=True):
        wanted = np.array(colour) * 0.6 + 255 * 0.4
        np.testing.assert_allclose(drawn[30, column], wanted, atol=1.01)
    legend = drawn[:, 80:].reshape(-1, 3)
    shown = {colour for colour in class_colours(3) if (legend == colour).all(axis=1).any()}
    assert shown == set(class_colours(2))  # no car


def test_answers_of_many_classes_given_as_a_dict(tmp_path):
    """More classes than a byte has, from a model that gives several maps."""
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    names = [str(number) for number in range(300)]
    last = narae.arange(300.0).view(1, 300, 1, 1).expand(1, 300, 4, 4)
    answer = answer_pixels(lambda x: {"out": last}, tmp_path / "a.png", (4, 4), names, tmp_path)
    assert answer.shares == {"299": 1.0}


def test_wrong_files_write_nothing(tmp_path):
    names = ["sky", "road", "car"]
    (tmp_path / "bad.png").write_bytes(b"no picture")
    with pytest.raises(FileFormatError, match=r"bad\.png"):
        answer_pixels(left_and_right, tmp_path / "bad.png", (4, 4), names, tmp_path)
    with pytest.raises(MissingDataError, match=r"none\.png"):
        answer_pixels(left_and_right, tmp_path / "none.png", (4, 4), names, tmp_path)
    from PIL import Image

    Image.new("RGB", (4, 4)).save(tmp_path / "good.png")
    with pytest.raises(ConfigError, match="the model has 3 classes, there are 2 names"):
        answer_pixels(left_and_right, tmp_path / "good.png", (4, 4), names[:2], tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.png", "good.png"]
