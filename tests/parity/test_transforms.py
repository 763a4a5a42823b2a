"""Transforms agree with torchvision's: values, dtypes, random choices for one seed, messages."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
Image = pytest.importorskip("PIL.Image")

import narae  # noqa: E402
import narae.vision.transforms as ours  # noqa: E402
import narae.vision.transforms.functional as of  # noqa: E402
from tests.parity import torchvision_oracle  # noqa: E402


@pytest.fixture(scope="module")
def theirs():
    return torchvision_oracle.load("transforms")


def smooth_picture(height: int, width: int, channels: int, seed: int = 0) -> np.ndarray:
    """8-bit values that change slowly, with some noise: (height, width, channels)."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    waves = [
        np.sin(x / rng.uniform(2, 9) + rng.uniform(0, 6)) * np.cos(y / rng.uniform(2, 9))
        for _ in range(channels)
    ]
    noise = rng.normal(0, 10, (height, width, channels))
    return np.clip(128 + 110 * np.stack(waves, -1) + noise, 0, 255).astype(np.uint8)


PICTURES = {
    "RGB": Image.fromarray(smooth_picture(23, 30, 3)),
    "RGB tall": Image.fromarray(smooth_picture(31, 16, 3, seed=1)),
    "L": Image.fromarray(smooth_picture(20, 20, 1)[..., 0]),
}
# The last digits of a level (PyTorch's linspace depends on the machine) may tip the rounding of a
# value, by 1 of 255.
POLICY = 0.2
KINDS = ["image", "uint8", "float32"]


def both_kinds(name: str, kind: str, theirs) -> tuple:
    """One picture as Narae and as torchvision take it."""
    image = PICTURES[name]
    if kind == "image":
        return image, image
    tensors = of.pil_to_tensor(image), theirs.functional.pil_to_tensor(image)
    if kind == "uint8":
        return tensors
    return tensors[0].float() / 255, tensors[1].float() / 255


def assert_same(got, want, largest=0.0, share=0.0, between=0.0) -> None:
    """Same kind, size and values.

    8-bit values of up to `share` of the pixels may differ by 1, all of up to `between` at will.
    """
    if isinstance(want, tuple | list):
        assert len(got) == len(want)
        for one, other in zip(got, want, strict=True):
            assert_same(one, other, largest, share, between)
        return
    if isinstance(want, torch.Tensor):
        assert str(got.dtype).partition(".")[2] == str(want.dtype).partition(".")[2]
        want = want.numpy()
    else:
        assert got.mode == want.mode
        want = np.asarray(want)
    got = np.asarray(got)
    assert got.shape == want.shape
    if between:
        near = np.isclose(got.astype(float), want.astype(float), atol=largest)
        assert (~near).mean() <= between
    elif want.dtype == np.uint8:
        apart = np.abs(got.astype(int) - want.astype(int))
        assert apart.max(initial=0) <= (1 if share else 0)
        assert (apart > 0).mean() <= share
    else:
        np.testing.assert_allclose(got, want, atol=largest or 1e-6, rtol=1e-5)


SQUARE = ([[0, 0], [29, 0], [29, 22], [0, 22]], [[2, 3], [27, 1], [25, 20], [4, 21]])

# name, arguments, which kinds
FUNCTIONS = [
    ("hflip", (), {}),
    ("vflip", (), {}),
    ("crop", (2, 3, 10, 11), {}),
    ("crop", (-2, -3, 12, 40), {}),
    ("crop", (15, 12, 12, 12), {}),
    ("crop", (40, 50, 3, 4), {}),
    ("center_crop", (9,), {}),
    ("center_crop", ([10, 13],), {}),
    ("center_crop", ([41, 10],), {}),
    ("center_crop", ([10, 41],), {}),
    ("five_crop", (8,), {}),
    ("ten_crop", ([8, 9],), {}),
    ("ten_crop", ([8, 9],), {"vertical_flip": True}),
    ("pad", (3,), {}),
    ("pad", ([1, 2],), {"fill": 7}),
    ("pad", ([1, 2, 3, 4],), {"padding_mode": "edge"}),
    ("pad", ([1, 2, 3, 4],), {"padding_mode": "reflect"}),
    ("pad", ([1, 2, 3, 4],), {"padding_mode": "symmetric"}),
    ("pad", ([-2, 2, 3, -4],), {"padding_mode": "symmetric"}),
    ("pad", ([-2, 2, 3, -4],), {}),
    ("rgb_to_grayscale", (), {}),
    ("rgb_to_grayscale", (), {"num_output_channels": 3}),
    ("adjust_brightness", (0.0,), {}),
    ("adjust_brightness", (0.6,), {}),
    ("adjust_brightness", (1.7,), {}),
    ("adjust_contrast", (0.3,), {}),
    ("adjust_contrast", (1.9,), {}),
    ("adjust_saturation", (0.4,), {}),
    ("adjust_saturation", (2.5,), {}),
    ("adjust_hue", (0.2,), {}),
    ("adjust_hue", (-0.4,), {}),
    ("adjust_hue", (0.5,), {}),
    ("adjust_gamma", (0.5,), {}),
    ("adjust_gamma", (2.2,), {"gain": 1.1}),
    ("adjust_sharpness", (0.0,), {}),
    ("adjust_sharpness", (0.7,), {}),
    ("adjust_sharpness", (3.0,), {}),
    ("gaussian_blur", (3,), {}),
    ("gaussian_blur", ([5, 3], [1.5, 0.7]), {}),
    ("invert", (), {}),
    ("posterize", (3,), {}),
    ("posterize", (0,), {}),
    ("posterize", (8,), {}),
    ("solarize", (100,), {}),
    ("autocontrast", (), {}),
    ("equalize", (), {}),
]
RESIZES = [
    ("resize", (15,), {}),
    ("resize", (50,), {}),
    ("resize", ([7, 40],), {}),
    ("resize", (15,), {"max_size": 18}),
    ("resize", ([12, 17],), {"interpolation": "BICUBIC"}),
    ("resize", ([12, 17],), {"interpolation": "NEAREST"}),
    ("resize", ([12, 17],), {"interpolation": "NEAREST_EXACT"}),
    ("resize", ([12, 17],), {"antialias": False}),
    ("resize", ([40, 57],), {"antialias": False, "interpolation": "BICUBIC"}),
    ("resized_crop", (2, 3, 11, 9, [20, 8]), {}),
]
WARPS = [
    ("affine", (30.0, [2, -3], 1.2, [10.0, 5.0]), {}),
    ("affine", (-75.5, [0, 0], 0.6, [-20.0]), {"interpolation": "BILINEAR", "fill": [9.0]}),
    ("affine", (0.0, [0, 0], 1.0, [17.0, 0.0]), {"center": [0, 0]}),
    ("affine", (45.0, [1, 1], 2.0, 12.0), {"center": [3, 4], "fill": 0.5}),
    ("rotate", (90,), {}),
    ("rotate", (33.0,), {"expand": True}),
    ("rotate", (-120.0,), {"expand": True, "interpolation": "BILINEAR", "fill": 0.25}),
    ("rotate", (15.0,), {"center": [2, 5], "fill": [0.5]}),
    ("perspective", SQUARE, {}),
    ("perspective", SQUARE, {"interpolation": "NEAREST", "fill": [0.25]}),
]
PILLOW_ONLY_MODES = [
    ("resize", ([12, 17],), {"interpolation": mode}) for mode in ("BOX", "LANCZOS")
]


def with_mode(options: dict, module) -> dict:
    if "interpolation" not in options:
        return options
    return {**options, "interpolation": getattr(module.InterpolationMode, options["interpolation"])}


def compare(name, arguments, options, picture, kind, theirs, **tolerance):
    mine, other = both_kinds(picture, kind, theirs)
    try:
        want = getattr(theirs.functional, name)(other, *arguments, **with_mode(options, theirs))
    except (TypeError, ValueError, NotImplementedError):
        with pytest.raises((TypeError, ValueError)):
            getattr(of, name)(mine, *arguments, **with_mode(options, ours))
        return
    got = getattr(of, name)(mine, *arguments, **with_mode(options, ours))
    assert_same(got, want, **tolerance)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", list(PICTURES))
@pytest.mark.parametrize(("name", "arguments", "options"), FUNCTIONS)
def test_functions(name, arguments, options, picture, kind, theirs):
    """Pillow images equal exactly; a rounding of a blend may fall to the other side in tensors."""
    if options == {"num_output_channels": 3} and picture == "L" and kind != "image":
        pytest.skip("torchvision returns one channel where it promises three")
    compare(name, arguments, options, picture, kind, theirs, share=0 if kind == "image" else 2e-3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", list(PICTURES))
@pytest.mark.parametrize(("name", "arguments", "options"), RESIZES + PILLOW_ONLY_MODES)
def test_resizing(name, arguments, options, picture, kind, theirs):
    """In tensors of integers a half may be rounded to the other side."""
    share = 0 if kind == "image" else 2e-2
    compare(name, arguments, options, picture, kind, theirs, largest=1e-5, share=share)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("picture", list(PICTURES))
@pytest.mark.parametrize(("name", "arguments", "options"), WARPS)
def test_warping(name, arguments, options, picture, kind, theirs):
    """In tensors a place right between two pixels may be rounded to either.

    A rotation by 90 degrees, one by 45 with twice the size, and corners on pixels have such places.
    """
    tie = arguments == (90,) or arguments[0] == 45.0 or options.get("fill") == [0.25]
    tensors = {"largest": 1e-4, "share": 2e-3, "between": 5e-2 if tie else 0.0}
    compare(name, arguments, options, picture, kind, theirs, **({} if kind == "image" else tensors))


def images_and_batches(kind):
    rng = np.random.default_rng(5)
    values = rng.integers(0, 256, (2, 3, 9, 8), dtype=np.uint8)
    mine, other = narae.tensor(values), torch.tensor(values)
    return (mine, other) if kind == "uint8" else (mine / 255, other / 255)


@pytest.mark.parametrize("kind", ["uint8", "float32"])
@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("hflip", ()), ("crop", (-1, 2, 5, 9)), ("pad", ([1, 2],)), ("rgb_to_grayscale", ()),
        ("adjust_contrast", (1.5,)), ("adjust_hue", (0.3,)), ("gaussian_blur", (3,)),
        ("equalize", ()), ("autocontrast", ()), ("adjust_sharpness", (2.0,)), ("solarize", (0.5,)),
        ("resize", ([5, 12],)), ("rotate", (30.0,)), ("center_crop", (4,)),
    ],
)  # fmt: skip
def test_many_pictures_at_once(name, arguments, kind, theirs):
    mine, other = images_and_batches(kind)
    try:
        want = getattr(theirs.functional, name)(other, *arguments)
    except TypeError:
        with pytest.raises(TypeError):
            getattr(of, name)(mine, *arguments)
        return
    assert_same(getattr(of, name)(mine, *arguments), want, largest=1e-5, share=2e-2)


DTYPES = ["uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64", "bfloat16"]


@pytest.mark.parametrize("wanted", DTYPES)
@pytest.mark.parametrize("given", DTYPES)
def test_conversion_of_dtypes(given, wanted, theirs):
    rng = np.random.default_rng(2)
    if given.startswith(("float", "bfloat")):
        values = np.concatenate([[0.0, 1.0], rng.random(50)])
    else:
        info = np.iinfo(given)
        values = np.concatenate([[0, info.max], rng.integers(0, info.max, 50, dtype=given)])
        values = values.astype(given)
    if given in ("float16", "bfloat16") and wanted in ("int32", "int64"):
        pytest.skip("torchvision's products overflow to infinity; Narae refuses")
    mine = narae.tensor(values).to(getattr(narae, given))
    other = torch.tensor(values).to(getattr(torch, given))
    try:
        want = theirs.functional.convert_image_dtype(other, getattr(torch, wanted))
    except RuntimeError:
        with pytest.raises(RuntimeError, match="cannot be performed safely"):
            of.convert_image_dtype(mine, getattr(narae, wanted))
        return
    got = of.convert_image_dtype(mine, getattr(narae, wanted))
    assert str(got.dtype) == str(want.dtype).replace("torch", "narae")
    assert np.array_equal(np.asarray(got.double()), want.double().numpy())


RANDOM = [
    ("RandomCrop", (12,), {}),
    ("RandomCrop", ([10, 12],), {"padding": 3, "padding_mode": "reflect"}),
    ("RandomCrop", (33,), {"pad_if_needed": True, "fill": 4}),
    ("RandomHorizontalFlip", (), {}),
    ("RandomVerticalFlip", (), {"p": 0.3}),
    ("RandomGrayscale", (0.5,), {}),
    ("RandomInvert", (), {}),
    ("RandomPosterize", (3,), {}),
    ("RandomSolarize", (0.5,), {}),
    ("RandomAdjustSharpness", (2.0,), {}),
    ("RandomAutocontrast", (), {}),
    ("RandomEqualize", (), {}),
    ("ColorJitter", (0.4, 0.4, 0.4, 0.2), {}),
    ("ColorJitter", ((0.5, 2.0),), {"hue": (0.1, 0.3)}),
    ("GaussianBlur", (5,), {}),
    ("CenterCrop", (8,), {}),
    ("FiveCrop", (8,), {}),
    ("TenCrop", (8,), {}),
    ("Pad", (2,), {}),
    ("Grayscale", (), {}),
]
RANDOM_WARPS = [
    ("RandomResizedCrop", (12,), {}),
    ("RandomResizedCrop", ([12, 9],), {"scale": (0.9, 1.0), "ratio": (3.0, 5.0)}),
    ("Resize", (11,), {}),
    ("RandomRotation", (40,), {}),
    ("RandomRotation", ((-10, 70),), {"expand": False, "center": (1, 2), "fill": 0.5}),
    ("RandomAffine", (20,), {"translate": (0.2, 0.3), "scale": (0.7, 1.4), "shear": 10}),
    ("RandomAffine", (0,), {"shear": (-5, 5, -10, 10), "fill": 1}),
    ("RandomPerspective", (), {"p": 0.8}),
    ("RandAugment", (), {}),
    ("RandAugment", (3, 15), {"fill": [0.5]}),
    ("TrivialAugmentWide", (), {}),
    ("AutoAugment", (), {}),
]


def compare_random(name, arguments, options, kind, picture, theirs, draws, **tolerance):
    """For the same seed the same choices, and the same place in the stream afterwards."""
    mine, other = both_kinds(picture, kind, theirs)
    transform = getattr(ours, name)(*arguments, **options)
    reference = getattr(theirs, name)(*arguments, **options)
    for seed in range(draws):
        narae.manual_seed(seed)
        torch.manual_seed(seed)
        try:
            want = reference(other)
        except TypeError:
            with pytest.raises(TypeError):
                transform(mine)
            continue
        assert_same(transform(mine), want, **tolerance)
        assert narae.rand(1).item() == torch.rand(1).item()


@pytest.mark.parametrize("kind", ["image", "uint8", "float32"])
@pytest.mark.parametrize(("name", "arguments", "options"), RANDOM)
def test_random_transforms_choose_what_torchvision_chooses(name, arguments, options, kind, theirs):
    share = 0 if kind == "image" else 5e-3
    compare_random(name, arguments, options, kind, "RGB", theirs, 8, largest=1e-5, share=share)


@pytest.mark.parametrize("kind", ["image", "uint8"])
@pytest.mark.parametrize(("name", "arguments", "options"), RANDOM_WARPS)
def test_random_warps_choose_what_torchvision_chooses(name, arguments, options, kind, theirs):
    share = POLICY if name.endswith(("Augment", "Wide")) else 0 if kind == "image" else 0.02
    draws = 20 if kind == "image" else 8
    compare_random(name, arguments, options, kind, "RGB", theirs, draws, share=share)


@pytest.mark.parametrize("policy", ["IMAGENET", "CIFAR10", "SVHN"])
def test_auto_augment(policy, theirs):
    reference = theirs.AutoAugment(getattr(theirs.AutoAugmentPolicy, policy))
    transform = ours.AutoAugment(getattr(ours.AutoAugmentPolicy, policy))
    assert transform.policies == reference.policies
    for seed in range(60):
        narae.manual_seed(seed)
        torch.manual_seed(seed)
        assert_same(transform(PICTURES["RGB"]), reference(PICTURES["RGB"]), share=POLICY)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"value": "random"},
        {"value": (0.1, 0.2, 0.3)},
        {"p": 1, "scale": (0.3, 0.9)},
        {"value": 5},
    ],
)
def test_random_erasing(options, theirs):
    mine, other = both_kinds("RGB", "float32", theirs)
    for seed in range(12):
        narae.manual_seed(seed)
        torch.manual_seed(seed)
        want = theirs.RandomErasing(**options)(other)
        assert_same(ours.RandomErasing(**options)(mine), want)
        assert narae.rand(1).item() == torch.rand(1).item()


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "1", "F", "I", "I;16", "LA", "CMYK", "HSV"])
def test_images_to_tensors_and_back(mode, theirs):
    source = PICTURES["RGB"] if mode != "I;16" else PICTURES["L"].convert("I")
    image = source.convert(mode)
    tensor, reference = of.pil_to_tensor(image), theirs.functional.pil_to_tensor(image)
    assert_same(tensor, reference)
    assert_same(of.to_tensor(image), theirs.functional.to_tensor(image))
    if mode in ("1", "I;16"):  # torchvision makes no image of truth values and uint16
        return
    wanted = mode if mode in ("CMYK", "HSV") else None
    want = theirs.functional.to_pil_image(reference, wanted)
    assert_same(of.to_pil_image(tensor, wanted), want)
    if reference.dtype == torch.uint8:
        floats = theirs.functional.to_pil_image(reference.float() / 255, wanted)
        assert_same(of.to_pil_image(tensor.float() / 255, wanted), floats)


def test_whitening(theirs):
    rng = np.random.default_rng(0)
    matrix, mean = rng.normal(size=(24, 24)).astype(np.float32), rng.normal(size=24)
    mean, picture = mean.astype(np.float32), rng.random((3, 2, 4)).astype(np.float32)
    want = theirs.LinearTransformation(*map(torch.tensor, (matrix, mean)))(torch.tensor(picture))
    got = ours.LinearTransformation(*map(narae.tensor, (matrix, mean)))(narae.tensor(picture))
    assert_same(got, want, largest=1e-5)


REPRESENTED = [
    *RANDOM,
    *RANDOM_WARPS,
    ("ToTensor", (), {}),
    ("PILToTensor", (), {}),
    ("ToPILImage", ("RGB",), {}),
    ("Normalize", ((0.5,), (0.2,)), {}),
    ("RandomErasing", (), {}),
    ("AugMix", (), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), REPRESENTED)
def test_texts(name, arguments, options, theirs):
    got = repr(getattr(ours, name)(*arguments, **options))
    want = repr(getattr(theirs, name)(*arguments, **options))
    # torchvision keeps a size as it was given, as a list too.
    assert got.replace("[", "(").replace("]", ")") == want.replace("[", "(").replace("]", ")")


def test_texts_of_containers(theirs):
    texts = [
        repr(
            module.Compose(
                [
                    module.RandomApply([module.ToTensor()], p=0.3),
                    module.RandomChoice([module.ToTensor()]),
                    module.RandomOrder([module.ToTensor(), module.PILToTensor()]),
                ]
            )
        )
        for module in (ours, theirs)
    ]
    assert texts[0] == texts[1]


BAD = [
    ("Resize", (1.5,), {}),
    ("Resize", ([1, 2, 3],), {}),
    ("CenterCrop", ([1, 2, 3],), {}),
    ("Pad", ([1, 2, 3],), {}),
    ("Pad", (1,), {"padding_mode": "wrap"}),
    ("Pad", ("x",), {}),
    ("RandomRotation", (-3,), {}),
    ("RandomRotation", ((1, 2, 3),), {}),
    ("RandomAffine", (3,), {"translate": (2, 0)}),
    ("RandomAffine", (3,), {"scale": (0, 1)}),
    ("RandomAffine", (3,), {"shear": (1, 2, 3)}),
    ("ColorJitter", (-1,), {}),
    ("ColorJitter", (), {"hue": 0.6}),
    ("ColorJitter", ((2, 1),), {}),
    ("ColorJitter", ("x",), {}),
    ("GaussianBlur", (4,), {}),
    ("GaussianBlur", (3,), {"sigma": -1}),
    ("RandomErasing", (), {"value": "x"}),
    ("RandomErasing", (), {"scale": (0.5, 1.5)}),
    ("RandomErasing", (), {"scale": 3}),
    ("RandomChoice", ([],), {"p": 3}),
    ("RandomOrder", (3,), {}),
    ("AugMix", (11,), {}),
    ("Lambda", (3,), {}),
]


@pytest.mark.parametrize(("name", "arguments", "options"), BAD)
def test_what_torchvision_refuses_is_refused(name, arguments, options, theirs):
    with pytest.raises((TypeError, ValueError)) as caught:
        getattr(theirs, name)(*arguments, **options)
    with pytest.raises(caught.type):
        getattr(ours, name)(*arguments, **options)


# --- against PyTorch itself, where torchvision is not installed ------------------------------


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest", "nearest-exact"])
@pytest.mark.parametrize("antialias", [True, False])
@pytest.mark.parametrize("size", [(7, 9), (40, 33)])
def test_resized_tensors_are_interpolated_by_pytorch(mode, antialias, size):
    values = np.random.default_rng(1).random((2, 3, 20, 23))
    smooth = mode.startswith("bi")
    want = torch.nn.functional.interpolate(
        torch.tensor(values),
        size=size,
        mode=mode,
        align_corners=False if smooth else None,
        antialias=antialias and smooth,
    )
    got = of.resize(narae.tensor(values), size, ours.InterpolationMode(mode), antialias=antialias)
    np.testing.assert_allclose(np.asarray(got), want.numpy(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_warped_tensors_are_sampled_by_pytorch(mode):
    values = np.random.default_rng(1).random((2, 3, 20, 24))
    turn, scale = np.deg2rad(30.0), 0.8
    # From -1 to 1 over the picture: the inverse of a clockwise turn and a scale, in pixels.
    sides = np.array([24.0, 20.0])
    inverse = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]]) / scale
    inverse = inverse * sides[None, :] / sides[:, None]
    moved = -inverse @ (np.array([2.0, -1.0]) / (sides / 2))
    theta = torch.tensor(np.column_stack([inverse, moved])).expand(2, 2, 3)
    grid = torch.nn.functional.affine_grid(theta, (2, 3, 20, 24), align_corners=False)
    want = torch.nn.functional.grid_sample(
        torch.tensor(values), grid, mode=mode, align_corners=False
    )
    got = of.affine(narae.tensor(values), 30.0, (2, -1), scale, 0.0, ours.InterpolationMode(mode))
    np.testing.assert_allclose(np.asarray(got), want.numpy(), atol=1e-9)
