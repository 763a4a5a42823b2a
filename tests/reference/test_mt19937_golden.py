"""The host random stream against numbers that PyTorch 2.13 printed (INVENTORY D5, G3)."""

import hashlib

import numpy as np
import pytest

from narae.tensors.mt19937 import MT19937


def digest(values):
    return hashlib.sha256(values.tobytes()).hexdigest()


def doubles(text):
    return [float.fromhex(word) for word in text.split()]


def test_the_twister_of_its_authors():
    """The first words of `mt19937ar.out` for seed 5489, and the 10,000th, as C++11 asks it."""
    words = MT19937(5489).random32(10_000)
    assert words[:3].tolist() == [3499211612, 581869302, 3890346734]
    assert words[-1] == 4123659995


def test_a_linear_layer_after_seed_100():
    """G3: `nn.Linear(1, 1)` starts at -0.7767 and 0.6317."""
    ours = MT19937(100)
    assert ours.uniform((1, 1), np.float32, -1, 1).item() == -0.7766714096069336
    assert ours.uniform((1,), np.float32, -1, 1).item() == 0.6316862106323242


MANY = """
-0x1.f8805p-2 0x1.fcc0ep-3 0x1.c23fap-2 0x1.cc6facp-4 0x1.162abap-1 -0x1.94a42ep-2 0x1.a4eaa4p-3
-0x1.cd233ep-2 -0x1.256a5cp-1 -0x1.1c57fp-1 0x1.304b1cp-1 0x1.8abccp+0 0x1.d1d984p+0 -0x1.1a61f8p-1
-0x1.53489p+0 0x1.82286p-3 -0x1.1aebf6p-4 -0x1.facdb6p-2 -0x1.7ef448p+0 -0x1.8cfa7ap-3
"""
HALVES = [
    -0.47314453125, 1.0390625, 0.358154296875, -0.00330352783203125, -0.53466796875, 1.1689453125,
    0.39453125, 1.94140625, 0.79150390625, 0.033538818359375, 0.7099609375, -1.53515625,
    -0.41259765625, 0.96630859375, 1.625, -0.36572265625, -1.302734375,
]  # fmt: skip


def test_one_draw_of_each_kind_after_another():
    ours = MT19937(0)
    assert ours.randint(5, 0, 1000).tolist() == [44, 239, 933, 760, 963]
    assert ours.randint(2, -(2**40), 2**40).tolist() == [-19134581053, 444201214985]
    assert ours.randperm(10).tolist() == [3, 9, 4, 2, 7, 8, 6, 0, 5, 1]
    few = doubles("-0x1.0b95f41cf3b84p-2 0x1.11133c2974c46p+0 0x1.a9df618c7311fp-2")
    np.testing.assert_allclose(ours.normal(3, np.float64), few, rtol=1e-15)
    singles = [0.8395664095878601, -0.8264687061309814, -0.7949366569519043, -0.9528351426124573]
    assert ours.normal(4).tolist() == singles
    assert ours.normal(20).tolist() == doubles(MANY)
    assert ours.normal(17, np.float16).tolist() == HALVES
    assert ours.bernoulli(12, 0.3).tolist() == [1, 1, 0, 0, 0, 0, 0, 1, 0, 0, 1, 1]
    chances = np.full(12, 0.3, np.float32)
    assert ours.bernoulli(12, chances).tolist() == [0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0]
    waits = [0.8291196823120117, 0.777913510799408, 0.7988890409469604]
    assert ours.exponential(3, np.float32, 2.0).tolist() == waits
    fractions = doubles("-0x1.f55b71a9e8c6ap-7 0x1.a6fbb436413a0p-3 -0x1.2abb35f3c85e8p-2")
    assert ours.uniform(3, np.float64, -0.3, 0.4).tolist() == fractions
    weights = np.arange(10.0, dtype=np.float32)
    assert ours.multinomial(weights, 4).tolist() == [8, 4, 5, 9]
    assert ours.multinomial(weights, 6, replacement=True).tolist() == [7, 7, 6, 7, 4, 6]
    last = doubles("0x1.7ca487a90aed0p-2")  # the sine that waited since the four normals
    np.testing.assert_allclose(ours.normal(1, np.float64), last, rtol=1e-15)
    assert ours.next_normal is None


def test_long_streams():
    normals = "2ca236e63bb6433d890aa70d689927e1fc96bf9536c9a26ad41dfcb0e479a0db"
    assert digest(MT19937(1).normal(100_000)) == normals
    uniforms = "1c47f612aca021d73f744f4408eedd8baff04cae6342ad64b17d02533295b0e7"
    assert digest(MT19937(1).uniform(100_000, np.float32, -0.1, 0.3)) == uniforms


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_moments(dtype):
    """D5: mean and standard deviation of 200,000 normals, to five standard errors."""
    values = MT19937(3).normal((400, 500), dtype, mean=2.0, std=3.0).astype(np.float64)
    assert abs(values.mean() - 2.0) < 5 * 3.0 / 200_000**0.5
    assert abs(values.std() - 3.0) < 5 * 3.0 / 400_000**0.5


def test_a_permutation_is_one():
    assert sorted(MT19937(3).randperm(5000).tolist()) == list(range(5000))


def test_drawing_nothing_moves_nothing():
    ours = MT19937(3)
    ours.normal(3)
    before = ours.get_state()
    for nothing in [ours.uniform(0), ours.normal((3, 0)), ours.randint(0, 0, 5), ours.randperm(1)]:
        assert nothing.size <= 1
    assert np.array_equal(before, ours.get_state())
