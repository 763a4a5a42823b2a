"""Gradients vanish or explode with the length of a sequence; gates keep them.

    python examples/sequences/gradient_flow.py --out gradient_flow

Draws ‖dh_T / dh_t‖ over T - t on a logarithmic axis: for linear nets of spectral radius 0.9, 1 and
1.1, whose slope is the logarithm of the radius; and for RNN, LSTM and GRU with PyTorch's initial
weights and different biases of the gate that keeps.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

import narae
from narae import nn
from narae.explain.gradient_flow import GradientFlow, draw_gradient_flow, rnn_gradient_flow
from narae.text.models.forget_bias import set_forget_bias

RADII = (0.9, 1.0, 1.1)


def linear_flow(radius: float, steps: int = 60, size: int = 32) -> GradientFlow:
    """Of a tanh net without input and bias: it stays at 0, where tanh has slope 1."""
    module = nn.RNN(1, size, bias=False)
    nn.init.orthogonal_(module.weight_hh_l0, gain=radius)
    return rnn_gradient_flow(module, narae.zeros(steps, 1, 1))


def gated_flow(kind: str, bias: float = 0.0, steps: int = 60, size: int = 32) -> GradientFlow:
    """Of an RNN, LSTM or GRU that reads random numbers."""
    narae.manual_seed(0)
    module = getattr(nn, kind)(4, size)
    if kind != "RNN":
        set_forget_bias(module, bias)
    return rnn_gradient_flow(module, narae.randn(steps, 4, 4))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--out", type=Path, default=Path("gradient_flow"), help="folder of pictures"
    )
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    narae.manual_seed(0)
    linear = {f"radius {radius}": linear_flow(radius) for radius in RADII}
    gated = {"RNN": gated_flow("RNN")}
    gated |= {f"{k}, bias {b}": gated_flow(k, b) for k in ("LSTM", "GRU") for b in (0, 1, 2)}
    for radius, flow in zip(RADII, linear.values(), strict=True):
        print(f"radius {radius:<10} slope {flow.slope:+.4f}   log radius {math.log(radius):+.4f}")
    for name, flow in gated.items():
        print(f"{name:17} slope {flow.slope:+.4f}   60 steps back {flow.norms[0]:.1e}")
    draw_gradient_flow(options.out / "spectral_radius.png", linear, "Linear nets")
    draw_gradient_flow(options.out / "gates.png", gated, "Nets with and without gates")


if __name__ == "__main__":
    main()
