"""`narae models` shows what every model costs."""

from __future__ import annotations

import json

import pytest

from narae.cli import main
from narae.vision.models import list_models


def shown(capsys, *options):
    assert main(["models", *options]) == 0
    return capsys.readouterr().out


def test_the_table(capsys):
    """I10, A22: parameters, products, memory and time of chosen models, one line each."""
    lines = shown(capsys, "resnet20", "lenet*", "--repeats", "1").splitlines()
    head = "model picture parameters MACs weights activations time"
    assert " ".join(lines[0].split()) == head
    rows = {line.split()[0]: line.split()[1:] for line in lines[1:]}
    assert list(rows) == ["lenet5", "resnet20"]
    assert rows["resnet20"][:4] == ["3x32x32", "269,722", "40.6", "M"]
    assert float(rows["lenet5"][-2]) > 0 and rows["lenet5"][-1] == "ms"


def test_numbers_for_programs(capsys):
    """I10: 4.089 GMACs and 25,557,032 parameters are torchvision's for ResNet-50."""
    (row,) = json.loads(shown(capsys, "resnet50", "--no-time", "--json"))
    assert (row["parameters"], row["macs"]) == (25_557_032, 4_089_184_256)
    assert row["weight_bytes"] == 4 * (25_557_032 + 53_120) + 53 * 8  # with running statistics
    assert row["seconds"] is None
    batch = json.loads(shown(capsys, "resnet50", "--no-time", "--json", "--batch-size", "3"))
    assert batch[0]["macs"] == 3 * row["macs"]
    small = json.loads(shown(capsys, "resnet50", "--no-time", "--json", "--input", "3,112,112"))
    assert small[0]["macs"] == pytest.approx(row["macs"] / 4, rel=0.1)


def test_time_of_a_compiled_pass(capsys):
    (row,) = json.loads(shown(capsys, "lenet5", "--compiled", "--repeats", "1", "--json"))
    assert 0 < row["seconds"] < 10


@pytest.mark.slow
def test_every_model_has_a_row(capsys):
    """I10: VGG, GoogLeNet, ResNet, DenseNet and all others, in one command."""
    rows = json.loads(shown(capsys, "--no-time", "--json"))
    assert [row["name"] for row in rows] == list_models()
    assert all(row["macs"] for row in rows if "rcnn" not in row["name"])


def test_refusals(capsys):
    assert main(["models", "resnext-50"]) == 2
    assert "no model fits resnext-50" in capsys.readouterr().err
    assert main(["models", "lenet5", "--input", "32,32"]) == 2
    assert "channels,height,width" in capsys.readouterr().err
