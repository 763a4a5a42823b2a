"""Transforms against NumPy, SciPy, Pillow and the standard library; random ones against statistics.

`tests/parity/test_transforms.py` compares them with torchvision.
"""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
import narae.nn as nn
import narae.vision.transforms as T
import narae.vision.transforms.functional as F

Image = pytest.importorskip("PIL.Image")
ImageOps = pytest.importorskip("PIL.ImageOps")


def noise(height: int = 13, width: int = 17, channels: int = 3, seed: int = 0) -> np.ndarray:
    shape = (channels, height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def image_of(values: np.ndarray):
    return Image.fromarray(np.moveaxis(values, 0, -1))


def values_of(picture) -> np.ndarray:
    """The values of a tensor or an image, channels first."""
    if isinstance(picture, narae.Tensor):
        return np.asarray(picture)
    array = np.asarray(picture)
    return array[None] if array.ndim == 2 else np.moveaxis(array, -1, 0)


def both(values: np.ndarray) -> list:
    return [narae.tensor(values), image_of(values)]


sides = st.integers(-3, 6)


@given(top=st.integers(-20, 20), left=st.integers(-20, 20), height=st.integers(1, 25))
def test_a_crop_is_a_slice_of_the_picture_in_a_sea_of_zeros(top, left, height):
    values = noise()
    sea = np.zeros((3, 100, 100), np.uint8)
    sea[:, 40:53, 40:57] = values
    want = sea[:, 40 + top : 40 + top + height, 40 + left : 40 + left + 9]
    for picture in both(values):
        assert np.array_equal(values_of(F.crop(picture, top, left, height, 9)), want)


@given(sides, sides, sides, sides, st.sampled_from(["constant", "edge", "reflect", "symmetric"]))
def test_padding_is_numpys(left, top, right, bottom, mode):
    values = noise()
    cut = values[:, max(-top, 0) : 13 - max(-bottom, 0), max(-left, 0) : 17 - max(-right, 0)]
    around = [(0, 0), (max(top, 0), max(bottom, 0)), (max(left, 0), max(right, 0))]
    want = np.pad(cut, around, mode)
    if mode == "constant" and min(left, top, right, bottom) < 0:
        pictures = both(values)[:1]  # Pillow's own border is not cut
    else:
        pictures = both(values)
    for picture in pictures:
        got = values_of(F.pad(picture, (left, top, right, bottom), padding_mode=mode))
        assert np.array_equal(got, want)


def test_fills():
    values = noise()
    want = np.pad(values, [(0, 0), (2, 2), (1, 1)], constant_values=9)
    for picture in both(values):
        assert np.array_equal(values_of(F.pad(picture, (1, 2), fill=9)), want)
    colours = values_of(F.pad(image_of(values), 1, fill=(1, 2, 3)))
    assert colours[:, 0, 0].tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="fill has 2 numbers, the image 3 channels"):
        F.pad(image_of(values), 1, fill=(1, 2))
    with pytest.raises(TypeError, match="before ToTensor"):
        F.pad(narae.tensor(values), 1, fill=(1, 2, 3))


@pytest.mark.parametrize("picture", both(noise()))
def test_mirror_images(picture):
    values = values_of(picture)
    assert np.array_equal(values_of(F.hflip(picture)), values[:, :, ::-1])
    assert np.array_equal(values_of(F.vflip(picture)), values[:, ::-1])


@pytest.mark.parametrize("picture", both(noise()))
def test_corners_and_middle(picture):
    values = values_of(picture)
    parts = [values_of(part) for part in F.ten_crop(picture, (5, 7))]
    corners = [values[:, :5, :7], values[:, :5, -7:], values[:, -5:, :7], values[:, -5:, -7:]]
    for got, want in zip(parts, [*corners, values[:, 4:9, 5:12]], strict=False):
        assert np.array_equal(got, want)
    assert np.array_equal(parts[5], values[:, :5, ::-1][:, :, :7])
    with pytest.raises(ValueError, match="bigger than input size"):
        F.five_crop(picture, 14)


@pytest.mark.parametrize(
    ("size", "options", "want"),
    [
        (10, {}, (10, 20)),
        ([10], {}, (10, 20)),
        ((7, 9), {}, (7, 9)),
        (10, {"max_size": 15}, (7, 15)),
        (60, {}, (60, 120)),
    ],
)
def test_sizes_of_resized_pictures(size, options, want):
    for picture in both(noise(25, 50)):
        assert values_of(T.Resize(size, **options)(picture)).shape == (3, *want)
    upright = want if size == (7, 9) else want[::-1]
    for picture in both(noise(50, 25)):
        assert values_of(T.Resize(size, **options)(picture)).shape == (3, *upright)


def test_a_tensor_that_shrinks_is_averaged_as_pillow_does():
    values = noise(40, 60)
    want = values_of(image_of(values).resize((21, 17), Image.Resampling.BILINEAR))
    got = values_of(F.resize(narae.tensor(values), (17, 21)))
    assert np.abs(got.astype(int) - want).max() <= 1
    plain = values_of(F.resize(narae.tensor(values), (17, 21), antialias=False))
    assert np.abs(plain.astype(int) - want).max() > 30


@pytest.mark.parametrize("mode", [T.InterpolationMode.NEAREST, T.InterpolationMode.BILINEAR])
def test_affine_maps_are_scipys(mode):
    """Where SciPy's matrix says, by linear interpolation in a sea of zeros."""
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(1).random((1, 20, 27))
    angle, moved, scale = 25.0, (3.0, -2.0), 1.3
    turn = np.deg2rad(angle)
    # (row, column): the inverse of scaling and of a clockwise turn, about the middle
    inverse = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) / scale
    middle = np.array([9.5, 13.0])
    offset = middle - inverse @ (middle + np.array([moved[1], moved[0]]))
    order = 1 if mode is T.InterpolationMode.BILINEAR else 0
    want = ndimage.affine_transform(
        values[0], inverse, offset, order=order, mode="grid-constant", cval=0.0
    )
    got = values_of(F.affine(narae.tensor(values), angle, moved, scale, 0.0, mode))[0]
    assert np.abs(got - want).max() < 1e-6


def test_a_quarter_turn_is_numpys():
    for picture in both(noise(16, 16)):
        want = np.rot90(values_of(picture), axes=(1, 2))
        assert np.array_equal(values_of(F.rotate(picture, 90)), want)


def test_a_rotated_frame_holds_the_whole_picture():
    for picture in both(noise(10, 20)):
        assert values_of(F.rotate(picture, 90, expand=True)).shape == (3, 20, 10)
        shape = values_of(F.rotate(picture, 45, expand=True)).shape
        assert shape[1:] == (22, 22)  # (10 + 20) / sqrt(2)


def test_perspective_moves_the_corners():
    values = np.zeros((1, 40, 40), np.uint8)
    values[0, 9:12, 9:12] = 255
    start, end = [[10, 10], [30, 10], [30, 30], [10, 30]], [[5, 7], [33, 12], [28, 35], [8, 29]]
    for picture in (narae.tensor(values), Image.fromarray(values[0])):
        out = values_of(F.perspective(picture, start, end))[0]
        assert out[7, 5] > 200
        assert out[10, 10] < 100


def test_blur_is_scipys():
    ndimage = pytest.importorskip("scipy.ndimage")
    values = np.random.default_rng(1).random((2, 15, 18))
    distance = np.arange(-3, 4)
    weights = np.exp(-(distance**2) / (2 * 1.4**2))
    want = values
    for dim in (1, 2):
        want = ndimage.correlate1d(want, weights / weights.sum(), dim, mode="mirror")
    got = np.asarray(F.gaussian_blur(narae.tensor(values), 7, 1.4))
    assert np.abs(got - want).max() < 1e-12


@pytest.mark.parametrize(
    ("ours", "pillows"),
    [
        (F.invert, ImageOps.invert),
        (lambda x: F.posterize(x, 3), lambda x: ImageOps.posterize(x, 3)),
        (lambda x: F.solarize(x, 100), lambda x: ImageOps.solarize(x, 100)),
        (F.equalize, ImageOps.equalize),
    ],
)
def test_tones_of_tensors_are_pillows(ours, pillows):
    values = (noise(30, 40) * np.linspace(0.3, 0.8, 40)).astype(np.uint8)
    want = values_of(pillows(image_of(values)))
    assert np.array_equal(values_of(ours(narae.tensor(values))), want)
    assert np.array_equal(values_of(ours(image_of(values))), want)


def test_contrast_is_stretched_to_the_ends():
    values = (50 + noise(30, 40) * 0.4).astype(np.uint8)
    out = values_of(F.autocontrast(narae.tensor(values)))
    assert (out.min(axis=(1, 2)) == 0).all()
    assert (out.max(axis=(1, 2)) == 255).all()
    flat = narae.full((3, 4, 4), 77, dtype=narae.uint8)
    assert np.array_equal(np.asarray(F.autocontrast(flat)), np.asarray(flat))


@given(st.floats(-0.5, 0.5))
def test_hue_is_the_standard_librarys(turn):
    values = np.random.default_rng(3).random((3, 4, 5))
    got = np.asarray(F.adjust_hue(narae.tensor(values.astype(np.float32)), turn))
    for row in range(4):
        for column in range(5):
            hue, saturation, value = colorsys.rgb_to_hsv(*values[:, row, column])
            want = colorsys.hsv_to_rgb((hue + turn) % 1.0, saturation, value)
            assert np.allclose(got[:, row, column], want, atol=1e-5)


def test_adjustments_are_blends():
    values = np.random.default_rng(3).random((3, 6, 5))
    x = narae.tensor(values)
    grey = np.tensordot([0.2989, 0.587, 0.114], values, 1)
    blends = {
        F.adjust_brightness: 0.0,
        F.adjust_contrast: grey.mean(),
        F.adjust_saturation: grey,
    }
    for adjust, other in blends.items():
        for factor in (0.0, 0.4, 1.0, 2.5):
            want = np.clip(factor * values + (1 - factor) * other, 0, 1)
            assert np.abs(np.asarray(adjust(x, factor)) - want).max() < 1e-6
    assert np.abs(np.asarray(F.adjust_gamma(x, 2.0)) - values**2).max() < 1e-12


def test_gradients_flow_through_transforms_of_floats():
    """Transforms of float tensors are differentiable, so that an attack or a loss can use them."""
    x = narae.rand(1, 6, 6, dtype=narae.float64).requires_grad_()

    def path(x):
        x = F.resize(F.pad(F.rotate(x, 20.0, T.InterpolationMode.BILINEAR), 1), (5, 7))
        return F.gaussian_blur(F.adjust_contrast(F.normalize(x, [0.1], [0.7]), 0.8), 3)

    assert narae.autograd.gradcheck(path, (x,))


# --- chance ---------------------------------------------------------------------------------

RANDOM = [
    T.RandomCrop(8, padding=2),
    T.RandomResizedCrop(8),
    T.RandomHorizontalFlip(),
    T.RandomVerticalFlip(),
    T.RandomRotation(30),
    T.RandomAffine(10, (0.1, 0.1), (0.8, 1.2), 10),
    T.RandomPerspective(),
    T.ColorJitter(0.5, 0.5, 0.5, 0.2),
    T.RandomGrayscale(0.5),
    T.GaussianBlur(3),
    T.RandomInvert(),
    T.RandomPosterize(2),
    T.RandomSolarize(100),
    T.RandomAdjustSharpness(3),
    T.RandomAutocontrast(),
    T.RandomEqualize(),
    T.RandomErasing(),
    T.RandomApply([T.RandomInvert(1.0)]),
    T.RandomChoice([T.RandomInvert(1.0), T.RandomVerticalFlip(1.0)]),
    T.RandomOrder([T.RandomInvert(), T.RandomRotation(10), T.RandomCrop(9)]),
    T.RandAugment(),
    T.AutoAugment(),
    T.TrivialAugmentWide(),
    T.AugMix(),
]


@pytest.mark.parametrize("transform", RANDOM, ids=lambda transform: type(transform).__name__)
def test_the_seed_decides(transform):
    """One seed gives one result; among twelve seeds there are several results."""
    x = narae.tensor(noise(24, 24))

    def drawn(seed: int) -> bytes:
        narae.manual_seed(seed)
        out = transform(x)
        assert out.dtype is narae.uint8
        return np.asarray(out).tobytes()

    assert len({drawn(seed) for seed in range(12)}) > 1
    assert [drawn(seed) for seed in range(3)] == [drawn(seed) for seed in range(3)]


@pytest.mark.parametrize("p", [0.0, 0.25, 1.0])
def test_probabilities(p):
    narae.manual_seed(0)
    x = narae.tensor([[[1, 2]]])
    flipped = sum(T.RandomHorizontalFlip(p)(x)[0, 0, 0].item() == 2 for _ in range(400))
    assert abs(flipped / 400 - p) < 0.07
    applied = sum(T.RandomApply([lambda number: number + 1], p)(0) for _ in range(400))
    assert abs(applied / 400 - p) < 0.07


def test_choices_follow_their_weights():
    narae.manual_seed(0)
    functions = [lambda x, number=number: number for number in range(3)]
    chosen = [T.RandomChoice(functions, p=[1, 0, 3])(None) for _ in range(800)]
    assert 1 not in chosen
    assert abs(chosen.count(0) / 800 - 0.25) < 0.05
    chosen = [T.RandomChoice(functions)(None) for _ in range(900)]
    assert all(abs(chosen.count(number) / 900 - 1 / 3) < 0.06 for number in range(3))


def test_every_order_comes_up():
    narae.manual_seed(0)
    order = T.RandomOrder([lambda x, letter=letter: x + letter for letter in "abc"])
    assert len({order("") for _ in range(100)}) == 6


def test_random_crops_reach_every_place():
    narae.manual_seed(0)
    x = narae.arange(12).reshape(1, 3, 4)
    corners = {T.RandomCrop(2)(x)[0, 0, 0].item() for _ in range(200)}
    assert corners == {0, 1, 2, 4, 5, 6}


def test_erased_rectangles_have_the_share_that_was_wanted():
    narae.manual_seed(0)
    x = narae.ones(1, 60, 80)
    erase = T.RandomErasing(p=1.0, scale=(0.1, 0.2), ratio=(0.5, 2.0), value=0)
    shares = [1 - erase(x).mean().item() for _ in range(40)]
    assert min(shares) > 0.09
    assert max(shares) < 0.21
    assert (x == 1).all()
    assert (T.RandomErasing(1.0, inplace=True)(x) == x).all()
    assert not (x == 1).all()


def test_augmix_stays_between_black_and_white_and_changes_the_picture():
    values = noise(24, 24)
    narae.manual_seed(3)
    for picture in both(values):
        out = values_of(T.AugMix(severity=8)(picture))
        assert out.dtype == np.uint8
        assert out.shape == values.shape
        assert not np.array_equal(out, values)


# --- use ------------------------------------------------------------------------------------


def test_transforms_are_modules():
    x = narae.rand(3, 10, 10)
    chain = nn.Sequential(T.CenterCrop(6), T.Normalize((0.5,) * 3, (0.5,) * 3))
    want = (np.asarray(x)[:, 2:8, 2:8] - np.float32(0.5)) / np.float32(0.5)
    assert np.allclose(np.asarray(chain(x)), want)


def test_a_whole_chain_of_pillow_and_tensor_transforms():
    chain = T.Compose(
        [
            T.Resize(20),
            T.RandomCrop(16, padding=2),
            T.RandomHorizontalFlip(),
            T.ColorJitter(0.2, 0.2, 0.2, 0.1),
            T.ToTensor(),
            T.Normalize((0.5, 0.5, 0.5), (0.25, 0.25, 0.25)),
            T.RandomErasing(1.0),
        ]
    )
    out = chain(image_of(noise(30, 40)))
    assert tuple(out.shape) == (3, 16, 16)
    assert out.dtype is narae.float32


BAD = [
    (T.RandomCrop(20), noise(), "Required crop size .20, 20. is larger"),
    (T.RandomErasing(1.0), image_of(noise()), "put it after ToTensor"),
    (T.RandomErasing(1.0, value=(1, 2)), noise(), "value has 2 numbers, the picture 3 channels"),
    (T.RandomEqualize(1.0), noise() / 255, "uint8"),
    (T.Resize(8, T.InterpolationMode.LANCZOS), noise(), "apply it before ToTensor"),
    (T.Grayscale(), np.zeros((2, 4, 4), np.uint8), r"channel values are \[1, 3\]"),
    (T.Normalize((0.5, 0.5), (1.0, 1.0)), noise() / 255, "one number a channel: 3"),
    (T.ToPILImage(), np.zeros((5, 4, 4), np.uint8), "5 channels"),
    (T.RandomSolarize(300, 1.0), noise(), "less than bound of img: 255"),
]


@pytest.mark.parametrize(("transform", "picture", "said"), BAD)
def test_pictures_that_do_not_fit_are_refused(transform, picture, said):
    picture = narae.tensor(picture) if isinstance(picture, np.ndarray) else picture
    with pytest.raises((TypeError, ValueError), match=said):
        transform(picture)


@pytest.mark.parametrize("transform", [T.CenterCrop(3), T.RandomHorizontalFlip(1.0), T.Resize(3)])
def test_arrays_are_no_pictures(transform):
    with pytest.raises(TypeError, match=r"put ToPILImage\(\) or ToTensor\(\) before it"):
        transform(np.zeros((4, 4, 3), np.uint8))


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: T.RandomHorizontalFlip(1.5), "a probability lies in 0 to 1"),
        (lambda: T.RandAugment(magnitude=31), "levels 0 to 30"),
        (lambda: T.RandomResizedCrop(3, scale=(1.0, 0.5)), "kind .min, max."),
        (lambda: T.RandomChoice([abs], p=[1, 2]), "there are 1 transforms"),
        (lambda: T.AutoAugment("imagenet"), "one of AutoAugmentPolicy"),
        (lambda: T.Resize(3, "bilinear"), "InterpolationMode"),
        (lambda: T.LinearTransformation(narae.ones(2, 3), narae.ones(2)), "should be square"),
        (lambda: T.RandomPerspective(2.0), "lies in 0 to 1"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(make, said):
    with pytest.raises((TypeError, ValueError), match=said):
        make()
