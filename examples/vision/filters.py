"""Classic filters on a picture: edges, blur, sharpening. A convolution learns such kernels.

Run `python examples/vision/filters.py picture.jpg --figure filters.png`; without a picture it takes
one of scikit-learn's digits, drawn large.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import experiment
import numpy as np

import narae
from narae.vision.digits import load_digits
from narae.vision.filters import FILTERS, gaussian_blur
from narae.vision.picture_files import open_picture
from narae.vision.transforms.functional import to_tensor


def picture_of(path: Path | None) -> narae.Tensor:
    """Grey, (height, width), from 0 to 1."""
    if path is not None:
        return to_tensor(open_picture(path).convert("L"))[0]
    large = load_digits()[0][3, 0].repeat(12, axis=0).repeat(12, axis=1)  # (96, 96)
    return gaussian_blur(narae.from_numpy(np.ascontiguousarray(large, np.float32)), 3.0)


def main(argv: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    parser = argparse.ArgumentParser(description="classic filters on a picture")
    parser.add_argument("picture", nargs="?", type=Path)
    parser.add_argument("--figure", help="a file to draw to")
    chosen = parser.parse_args(argv)
    image = picture_of(chosen.picture)
    found = {"as it is": image.numpy()}
    found |= {name: filtered(image).numpy() for name, filtered in FILTERS.items()}
    rows = [
        [name, *(f"{number:.3f}" for number in (x.min(), x.mean(), x.max(), roughness(x)))]
        for name, x in found.items()
    ]
    print(experiment.table(["filter", "least", "mean", "most", "roughness"], rows))
    if chosen.figure:
        draw(found, chosen.figure)
    return found


def roughness(x: np.ndarray) -> float:
    """How much neighbours differ, on average."""
    return float((np.abs(np.diff(x, axis=0)).mean() + np.abs(np.diff(x, axis=1)).mean()) / 2)


def draw(found: dict[str, np.ndarray], path: str) -> None:
    drawn, axes = experiment.figure(len(found), 1.7, 2.0)
    for place, (name, x) in zip(axes, found.items(), strict=True):
        place.imshow(x, cmap="gray")
        place.set_title(name, fontsize=9)
        place.set_axis_off()
    experiment.save(drawn, path)


if __name__ == "__main__":
    main()
