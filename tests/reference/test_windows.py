"""Windows and the order of frequencies, against NumPy's and their formulas in plain Python."""

import cmath
import math

import numpy as np
import pytest

import narae
from narae import fft
from narae.signal import windows

LENGTHS = [1, 2, 3, 8, 51]
OURS = {
    "bartlett": (windows.bartlett, narae.bartlett_window, np.bartlett),
    "blackman": (windows.blackman, narae.blackman_window, np.blackman),
    "hamming": (windows.hamming, narae.hamming_window, np.hamming),
    "hann": (windows.hann, narae.hann_window, np.hanning),
    "kaiser": (
        lambda length, **more: windows.kaiser(length, beta=9.0, **more),
        lambda length, *more, **named: narae.kaiser_window(length, *more, beta=9.0, **named),
        lambda length: np.kaiser(length, 9.0),
    ),
}


@pytest.mark.parametrize("name", OURS)
@pytest.mark.parametrize("length", LENGTHS)
def test_equals_numpy(name, length):
    """Both families, symmetric as NumPy's are; periodic ones lack the last of one more."""
    new, old, numpys = OURS[name]
    wanted = numpys(length)
    for found in (new(length, dtype=narae.float64), old(length, False, dtype=narae.float64)):
        np.testing.assert_allclose(found.numpy(), wanted, rtol=0, atol=1e-14)
    periodic = np.ones(1) if length == 1 else numpys(length + 1)[:-1]
    for found in (
        new(length, sym=False, dtype=narae.float64),
        old(length, dtype=narae.float64),
    ):
        np.testing.assert_allclose(found.numpy(), periodic, rtol=0, atol=1e-14)


NUTTALL = (0.3635819, 0.4891775, 0.1365995, 0.0106411)
FORMULAS = {
    "cosine": (windows.cosine, lambda n, m: math.sin(math.pi * (n + 0.5) / m)),
    "exponential": (
        lambda m, **more: windows.exponential(m, tau=3.0, **more),
        lambda n, m: math.exp(-abs(n - (m - 1) / 2) / 3),
    ),
    "gaussian": (
        lambda m, **more: windows.gaussian(m, std=2.0, **more),
        lambda n, m: math.exp(-(((n - (m - 1) / 2) / 2) ** 2) / 2),
    ),
    "nuttall": (
        windows.nuttall,
        lambda n, m: sum(
            (-1) ** k * a * math.cos(2 * math.pi * k * n / (m - 1)) for k, a in enumerate(NUTTALL)
        ),
    ),
    "general_hamming": (
        lambda m, **more: windows.general_hamming(m, alpha=0.7, **more),
        lambda n, m: 0.7 - 0.3 * math.cos(2 * math.pi * n / (m - 1)),
    ),
    "general_cosine": (
        lambda m, **more: windows.general_cosine(m, a=[0.5, 0.3, 0.2], **more),
        lambda n, m: sum(
            (-1) ** k * a * math.cos(2 * math.pi * k * n / (m - 1))
            for k, a in enumerate([0.5, 0.3, 0.2])
        ),
    ),
}


@pytest.mark.parametrize("name", FORMULAS)
@pytest.mark.parametrize("length", [2, 5, 12])
def test_equals_the_formula(name, length):
    """Element by element; periodic windows lack the last element of one more."""
    window, formula = FORMULAS[name]
    wanted = [formula(n, length) for n in range(length)]
    np.testing.assert_allclose(window(length, dtype=narae.float64).numpy(), wanted, atol=1e-14)
    longer = [formula(n, length + 1) for n in range(length)]
    found = window(length, sym=False, dtype=narae.float64)
    np.testing.assert_allclose(found.numpy(), longer, atol=1e-14)


@pytest.mark.parametrize("name", windows.__all__)
def test_ends_and_dtypes(name):
    """No element, one element (which is 1), the default dtype, a leaf that wants gradients."""
    more = {"a": [0.6, 0.3]} if name == "general_cosine" else {}
    window = getattr(windows, name)
    assert window(0, **more).shape == (0,)
    assert window(1, **more).tolist() == [1.0]
    assert window(1, sym=False, **more).tolist() == [1.0]
    assert window(5, **more).dtype is narae.float32
    assert window(5, requires_grad=True, **more).requires_grad
    wide = window(33, dtype=narae.float64, **more).numpy()
    assert window(33, **more).numpy().tobytes() == wide.astype(np.float32).tobytes()


@pytest.mark.parametrize("name", windows.__all__)
def test_refusals(name):
    """A negative length and other dtypes are refused in words."""
    more = {"a": [0.6, 0.3]} if name == "general_cosine" else {}
    window = getattr(windows, name)
    with pytest.raises(ValueError, match=rf"{name}.*M=-3.*non-negative window length"):
        window(-3, **more)
    with pytest.raises(ValueError, match="float32 or float64"):
        window(3, dtype=narae.int64, **more)


def test_refusals_of_parameters():
    """Each window's own parameters are checked."""
    with pytest.raises(ValueError, match="Tau must be positive"):
        windows.exponential(3, tau=0)
    with pytest.raises(ValueError, match="Center must be None"):
        windows.exponential(3, center=1.0)
    with pytest.raises(ValueError, match="Standard deviation"):
        windows.gaussian(3, std=-1)
    with pytest.raises(ValueError, match="non-negative"):
        windows.kaiser(3, beta=-1)
    with pytest.raises(ValueError, match="cannot be empty"):
        windows.general_cosine(3, a=[])
    with pytest.raises(TypeError, match="list/tuple"):
        windows.general_cosine(3, a=0.5)
    with pytest.raises(RuntimeError, match="non-negative window_length"):
        narae.hann_window(-1)
    with pytest.raises(RuntimeError, match="floating point"):
        narae.kaiser_window(4, dtype=narae.int32)


def test_a_center_of_ones_own():
    """A window that is not symmetric may be 1 elsewhere."""
    window = windows.exponential(4, center=1.0, tau=2.0, sym=False)
    np.testing.assert_allclose(window.numpy(), np.exp([-0.5, 0, -0.5, -1]), rtol=1e-6)


def test_a_wide_kaiser_window_does_not_overflow():
    """i0(800) is infinite; the window is not."""
    window = windows.kaiser(5, beta=800.0, dtype=narae.float64).numpy()
    assert np.isfinite(window).all()
    assert window[2] == 1
    assert 0 < window[1] < 1e-40


def test_a_window_keeps_a_wave_from_leaking():
    """Far from its frequency, a wave seen through Hann's window is 1000 times weaker."""
    n = 64
    wave = [math.sin(2 * math.pi * 10.5 * t / n) for t in range(n)]

    def strength(window, frequency):
        turns = (cmath.exp(-2j * math.pi * frequency * t / n) for t in range(n))
        return abs(sum(w * x * z for w, x, z in zip(window, wave, turns, strict=True)))

    plain = [1.0] * n
    hann = narae.hann_window(n, dtype=narae.float64).tolist()
    assert strength(plain, 30) > 0.5
    assert strength(hann, 30) < strength(plain, 30) / 100


# --- frequencies -----------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 2, 5, 8])
@pytest.mark.parametrize("d", [1.0, 0.1])
def test_frequencies_equal_numpys(n, d):
    """fftfreq and rfftfreq."""
    for name in ("fftfreq", "rfftfreq"):
        found = getattr(fft, name)(n, d, dtype=narae.float64)
        np.testing.assert_allclose(found.numpy(), getattr(np.fft, name)(n, d), rtol=1e-15)
    assert fft.fftfreq(n).dtype is narae.float32


@pytest.mark.parametrize("shape", [(5,), (4, 3), (2, 3, 5), (0, 2)])
@pytest.mark.parametrize("dim", [None, 0, -1, (0,)])
def test_shifts_equal_numpys(shape, dim):
    """There as NumPy does, and back again."""
    x = np.arange(math.prod(shape)).reshape(shape)
    there = fft.fftshift(narae.tensor(x), dim)
    np.testing.assert_array_equal(there.numpy(), np.fft.fftshift(x, dim))
    np.testing.assert_array_equal(fft.ifftshift(there, dim).numpy(), x)


def test_refusals_of_frequencies():
    """Bad sizes, dtypes and dimensions."""
    with pytest.raises(RuntimeError, match="n=-1"):
        fft.fftfreq(-1)
    with pytest.raises(RuntimeError, match="floating point"):
        fft.rfftfreq(3, dtype=narae.int64)
    with pytest.raises(IndexError):
        fft.fftshift(narae.ones(3), 1)
    with pytest.raises(TypeError, match="must be Tensor"):
        fft.fftshift([1, 2])
