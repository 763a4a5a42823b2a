"""The program that explains boxes prints what is so and draws its figure."""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("matplotlib")
Image = pytest.importorskip("PIL.Image")

PROGRAM = Path(__file__).resolve().parent.parent.parent / "examples" / "vision" / "boxes.py"


def test_boxes(tmp_path, monkeypatch, capsys):
    """I13, I18: overlaps, suppression and anchors as tables; the figure of anchors."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    program = runpy.run_path(str(PROGRAM), run_name="boxes")
    program["main"](["--out", str(tmp_path / "boxes.png")])
    printed = capsys.readouterr().out
    assert "| 20 | 0.333 | 0.333 |" in printed  # 20 of 60 pixels
    assert "| 80 | 0.000 | -0.333 |" in printed  # 40 of 120 pixels lie between the boxes
    assert printed.count("| kept |") == len(program["OBJECTS"]) == 3
    assert "| 16 | 96 | 288 |" in printed  # 8 x 12 places, three anchors each
    picture = np.asarray(Image.open(tmp_path / "boxes.png").convert("RGB"))
    left = picture[picture.shape[0] // 2 :, : picture.shape[1] // 2]
    for colour in ((31, 119, 180), (214, 39, 40)):  # the anchors of either map are drawn
        assert (abs(left.astype(int) - colour).max(axis=2) < 12).sum() > 300
