"""The PyTorch programs of a course run with only their imports changed, and print its numbers."""

from __future__ import annotations

import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
NOTES = ROOT / "examples" / "notes"
SMALL = (
    "conv_shapes",
    "linear_regression",
    "linear_regression_class",
    "mini_batches",
    "multivariate_regression",
    "stale_optimizer",
)
PYTORCH = (
    ("import narae as torch", "import torch"),
    ("import narae.", "import torch."),
    ("from narae.", "from torch."),
)


def run(source: str, folder: pathlib.Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = folder / "program.py"
    file.write_text(source, "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, str(file), *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def source_of(name: str) -> str:
    return (NOTES / f"{name}.py").read_text("utf-8")


def printed(name: str, folder: pathlib.Path) -> str:
    done = run(source_of(name), folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def costs(text: str) -> list[str]:
    return re.findall(r"Cost: (\S+)", text)


def test_every_program_is_tested():
    assert {path.stem for path in NOTES.glob("*.py")} == {
        *SMALL,
        "batch_size_throughput",
        "mnist_cnn",
    }


@pytest.mark.parametrize("name", SMALL)
def test_only_the_imports_are_changed(name, tmp_path):
    """G1, G2, G7: with PyTorch's imports the same program prints the same."""
    pytest.importorskip("torch")
    source = source_of(name)
    for ours, theirs in PYTORCH:
        source = source.replace(ours, theirs)
    assert "narae" not in source.partition('"""\n')[2]
    theirs = run(source, tmp_path)
    assert theirs.returncode == 0, theirs.stderr
    ours = printed(name, tmp_path).replace("narae.Size", "torch.Size")
    numbers = re.compile(r"-?\d+\.\d+")
    assert numbers.sub("#", ours) == numbers.sub("#", theirs.stdout)
    got = [float(number) for number in numbers.findall(ours)]
    want = [float(number) for number in numbers.findall(theirs.stdout)]
    assert got == pytest.approx(want, rel=1e-4, abs=2e-4)


def test_linear_regression(tmp_path):
    """G3, G4, G5: initial weights, final weights 1.9945 and 0.0125, prediction 7.9905 for 4."""
    text = printed("linear_regression", tmp_path)
    assert text.startswith(
        "[Parameter containing:\ntensor([[-0.7767]], requires_grad=True), "
        "Parameter containing:\ntensor([0.6317], requires_grad=True)]\n"
    )
    assert len(costs(text)) == 21
    match = re.search(
        r"for 4: tensor\(\[\[(\S+)\]\], grad_fn=<AddmmBackward0>\)\n"
        r"\[Parameter containing:\ntensor\(\[\[(\S+)\]\].*\n?.*\n?tensor\(\[(\S+)\]",
        text,
    )
    assert match is not None, text
    prediction, weight, bias = map(float, match.groups())
    assert prediction == pytest.approx(7.9905, abs=2e-4)
    assert weight == pytest.approx(1.9945, abs=1e-4)
    assert bias == pytest.approx(0.0125, abs=2e-4)


def test_linear_regression_as_a_class(tmp_path):
    """G6: all 21 printed costs, from the third and fourth number of the stream."""
    expected = (
        "28.903635 0.069457 0.042920 0.026522 0.016389 0.010127 0.006258 0.003867 0.002390 "
        "0.001477 0.000912 0.000564 0.000348 0.000215 0.000133 0.000082 0.000051 0.000031 "
        "0.000019 0.000012 0.000007"
    )
    assert " ".join(costs(printed("linear_regression_class", tmp_path))) == expected


def test_multivariate_regression(tmp_path):
    """G11: the prediction for 73, 80, 75 lies in 147-160 and the cost falls."""
    text = printed("multivariate_regression", tmp_path)
    match = re.search(r"tensor\(\[\[(\S+)\]\]", text)
    assert match is not None
    assert 147 < float(match[1]) < 160
    falling = list(map(float, costs(text)))
    assert len(falling) == 21
    assert falling == sorted(falling, reverse=True)


def test_mini_batches(tmp_path):
    """G9, G12: three batches, the last of one sample, from tensors and from one's own data set."""
    text = printed("mini_batches", tmp_path)
    assert "TensorDataset has 3 batches" in text
    assert "QuizDataset has 3 batches" in text
    assert len(re.findall(r"Batch 3/3 of 1 ", text)) == 6
    assert len(re.findall(r"Batch [12]/3 of 2 ", text)) == 12
    predictions = re.findall(r"75: (\S+)", text)
    assert len(predictions) == 2
    assert all(140 < float(prediction) < 165 for prediction in predictions)


def test_stale_optimizer(tmp_path):
    """G13: the untrained model predicts -5.7530, the cost never falls, and a warning says why."""
    done = run(source_of("stale_optimizer"), tmp_path)
    assert done.returncode == 0, done.stderr
    assert "tensor([[-5.7530]]" in done.stdout
    assert len(set(costs(done.stdout))) == 1
    assert done.stderr.count("StaleOptimizerWarning") == 1
    assert "program.py:" in done.stderr


def test_g8_throughput_grows_with_the_batch_whether_or_not_it_is_a_power_of_two(tmp_path):
    """G8: experiment: throughput vs batch size incl. non-powers."""
    pytest.importorskip("matplotlib")
    source = source_of("batch_size_throughput")
    done = run(source, tmp_path, "--seconds", "0.05", "--picture", "throughput.png")
    assert done.returncode == 0, done.stderr
    lines = re.findall(r"^ *(\d+) +([\d,]+)(  power of two)?$", done.stdout, re.MULTILINE)
    rates = {int(size): float(rate.replace(",", "")) for size, rate, _ in lines}
    assert {int(size) for size, _, power in lines if power} == {2**n for n in range(10)}
    assert {31, 33, 100, 255, 257} <= rates.keys()
    assert rates[256] > 4 * rates[1]
    assert rates[257] > 4 * rates[1]
    assert (tmp_path / "throughput.png").read_bytes().startswith(b"\x89PNG")


def test_convolution_shapes(tmp_path):
    """G14, G15: the texts of the layers and the walk 28, 14, 7, 3136, 10."""
    text = printed("conv_shapes", tmp_path)
    assert "Conv2d(1, 32, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n" in text
    assert "Conv2d(32, 64, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1))\n" in text
    assert "MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n" in text
    assert re.findall(r"Size\((\[.*\])\)", text) == [
        "[1, 1, 28, 28]",
        "[1, 32, 28, 28]",
        "[1, 32, 14, 14]",
        "[1, 64, 14, 14]",
        "[1, 64, 7, 7]",
        "[1, 3136]",
        "[1, 10]",
    ]
    assert "\n1 64 7 7\n" in text


@pytest.mark.slow
@pytest.mark.usefixtures("mnist")
def test_mnist_in_small(tmp_path):
    """G16, G18, G19, G21, G23, G24: the whole program, on 3,840 pictures for one epoch."""
    done = run(source_of("mnist_cnn"), tmp_path, "--epochs", "1", "--subset", "3840")
    assert done.returncode == 0, done.stderr
    assert "parameters: 50186\n" in done.stdout
    assert "number of batches: 30\n" in done.stdout
    assert re.search(r"^\[Epoch:    1\] cost = \d\.\d{7,8}$", done.stdout, re.MULTILINE)
    raw, scaled = map(float, re.findall(r"in 0\S+: (\S+)", done.stdout))
    assert raw > 0.6
    assert scaled > 0.75
    assert "UserWarning: test_data has been renamed data" in done.stderr
    assert "UserWarning: test_labels has been renamed targets" in done.stderr


@pytest.mark.usefixtures("mnist")
def test_batches_of_mnist():
    """G20: 60,000 pictures in batches of 128 without the last are 468."""
    import narae.vision.datasets as dsets
    from narae.utils.data import DataLoader

    mnist = dsets.MNIST("MNIST_data/", train=True)
    assert len(DataLoader(dataset=mnist, batch_size=128, shuffle=True, drop_last=True)) == 468
