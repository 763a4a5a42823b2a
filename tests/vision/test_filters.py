"""A18: classic filters are those of SciPy, and find what they are made to find."""

from __future__ import annotations

import numpy as np
import pytest

import narae
from narae.base.errors import ConfigError, DTypeError, ShapeError
from narae.vision import filters

ndimage = pytest.importorskip("scipy.ndimage")

MODES = {"mirror": "mirror", "nearest": "nearest", "zeros": "constant"}


def picture(*shape):
    return np.random.default_rng(0).random(shape)


def correlated(x, kernel, mode):
    planes = [ndimage.correlate(plane, np.asarray(kernel), mode=mode) for plane in x]
    return np.stack(planes)


@pytest.mark.parametrize("edges", MODES)
@pytest.mark.parametrize("shape", [(3, 9), (5, 3), (1, 1)])
def test_any_kernel(edges, shape):
    """A18: `filter2d` is scipy.ndimage.correlate, channel by channel."""
    x, kernel = picture(2, 11, 13), picture(*shape) - 0.5
    found = filters.filter2d(narae.from_numpy(x), kernel, edges)
    np.testing.assert_allclose(found.numpy(), correlated(x, kernel, MODES[edges]), atol=1e-12)


@pytest.mark.parametrize("edges", MODES)
def test_named_filters(edges):
    """A18: Sobel, Laplacian, Gaussian and box blur are SciPy's; sharpening is made of one."""
    x, mode = picture(3, 20, 17), MODES[edges]
    image = narae.from_numpy(x)
    each = lambda function, **options: np.stack(  # noqa: E731
        [function(plane, mode=mode, **options) for plane in x]
    )
    across, down = each(ndimage.sobel, axis=1), each(ndimage.sobel, axis=0)
    curved = each(ndimage.laplace)
    wanted = {
        filters.sobel_x: across,
        filters.sobel_y: down,
        filters.sobel: np.hypot(across, down),
        filters.laplacian: curved,
        filters.sharpen: x - curved,
        filters.box_blur: each(ndimage.uniform_filter, size=3),
        filters.emboss: correlated(x, filters.EMBOSS, mode),
    }
    for function, expected in wanted.items():
        np.testing.assert_allclose(function(image, edges=edges).numpy(), expected, atol=1e-12)
    for sigma in (0.6, 1.5):
        found = filters.gaussian_blur(image, sigma, edges=edges).numpy()
        np.testing.assert_allclose(found, each(ndimage.gaussian_filter, sigma=sigma), atol=1e-12)


def test_edges_are_where_a_square_begins_and_ends():
    """A18: Sobel finds the outline of a square, and nothing inside it."""
    image = narae.zeros(20, 20)
    image[5:15, 5:15] = 1.0
    found = filters.sobel(image).numpy()
    assert (found[7:13, 7:13] == 0).all() and (found[:4] == 0).all()
    assert (found[7:13, 4:6] == 4).all() and (found[7:13, 14:16] == 4).all()
    assert filters.gaussian_blur(image, 1.0).sum().item() == pytest.approx(100, rel=1e-5)


def test_forms_of_pictures():
    """A batch, a grey picture and a Pillow image; gradients pass."""
    x = narae.from_numpy(picture(2, 3, 8, 9)).requires_grad_()
    assert filters.sobel(x.detach()).shape == (2, 3, 8, 9)
    filters.gaussian_blur(x).sum().backward()
    assert x.grad.sum().item() == pytest.approx(x.numel())
    assert filters.emboss(narae.zeros(4, 5)).shape == (4, 5)
    images = pytest.importorskip("PIL.Image")
    pixels = (picture(8, 9, 3) * 255).astype(np.uint8)
    found = filters.sharpen(images.fromarray(pixels)).numpy()
    expected = filters.sharpen(narae.from_numpy(pixels.transpose(2, 0, 1) / 255)).numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_refusals():
    image = narae.zeros(3, 8, 8)
    with pytest.raises(ConfigError, match="both odd"):
        filters.filter2d(image, np.ones((2, 3)))
    with pytest.raises(ConfigError, match="edges are mirror, nearest, zeros"):
        filters.sobel(image, edges="wrap")
    with pytest.raises(DTypeError, match="image / 255"):
        filters.box_blur(narae.zeros(3, 3, dtype=narae.uint8))
    with pytest.raises(ShapeError, match=r"\(3,\)"):
        filters.box_blur(narae.zeros(3))
    with pytest.raises(ConfigError, match="above zero"):
        filters.gaussian_blur(image, 0)
