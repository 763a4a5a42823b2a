"""The ten workloads, each written once: `lib` is narae or torch, and nothing else differs.

A workload is a model, what it is fed, and what is timed: a training step (forward, loss, backward,
Adam) or a prediction. Sizes are arguments, so that a test can run all of them small.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Call = Callable[..., Any]  # the arrays of one batch, as tensors -> a loss, or outputs
LEARNING_RATE = 1e-3


@dataclass(frozen=True)
class Batch:
    """What a workload is fed.

    Attributes:
        inputs: shape of the inputs.
        targets: shape of the targets; None for predictions.
        tokens: inputs are integers below this number; normal numbers without it.
        classes: targets are integers below this number; normal numbers without it.
    """

    inputs: tuple[int, ...]
    targets: tuple[int, ...] | None = None
    tokens: int | None = None
    classes: int | None = None

    def arrays(self, seed: int = 0) -> list[Array]:
        """One batch of random numbers: inputs, and targets if there are any."""
        draw = np.random.default_rng(seed)
        found = [_drawn(draw, self.inputs, self.tokens)]
        if self.targets is not None:
            found.append(_drawn(draw, self.targets, self.classes))
        return found


def _drawn(draw: np.random.Generator, shape: tuple[int, ...], below: int | None) -> Array:
    if below is None:
        return draw.standard_normal(shape, dtype=np.float32)
    return draw.integers(0, below, shape)


@dataclass(frozen=True)
class Workload:
    """One row of the table.

    Attributes:
        name: for the command line.
        title: for the table.
        model: makes the model with a library.
        batch: what it is fed.
        loss: the name of its loss in `nn.functional`; None for predictions.
        target: the ratio to PyTorch that is aimed at.
        images: inputs are images, so channels-last is worth a try.
        autocast: compute in bfloat16 under `autocast`.
    """

    name: str
    title: str
    model: Callable[[Any], Any]
    batch: Batch
    loss: str | None
    target: float
    images: bool = False
    autocast: bool = False

    @property
    def trains(self) -> bool:
        """Whether a step trains; otherwise it predicts."""
        return self.loss is not None


# --- what is timed --------------------------------------------------------------------------


def unchanged(function: Call) -> Call:
    """The function itself: nothing is compiled."""
    return function


def training_step(
    lib: Any, workload: Workload, model: Any, optimizer: Any, compile_forward: Any = unchanged
) -> Call:
    """Forward, loss, zero_grad, backward and update, as every course writes them.

    Args:
        lib: narae or torch.
        workload: names the loss.
        model: a model of that library.
        optimizer: an optimizer of its parameters.
        compile_forward: compiles the model and its loss, where a library compiles no more.
    """
    loss_function = getattr(lib.nn.functional, str(workload.loss))

    def forward(x: Any, y: Any) -> Any:
        return loss_function(model(x), y)

    def forward_in_bfloat16(x: Any, y: Any) -> Any:
        with lib.autocast("cpu", dtype=lib.bfloat16):
            return loss_function(model(x), y)

    loss_of = compile_forward(forward_in_bfloat16 if workload.autocast else forward)

    def step(x: Any, y: Any) -> Any:
        loss = loss_of(x, y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss

    return step


def prediction(lib: Any, model: Any, compile_forward: Any = unchanged) -> Call:
    """Forward without gradients."""
    model = compile_forward(model)

    def predict(x: Any) -> Any:
        with lib.no_grad():
            return model(x)

    return predict


# --- small models ---------------------------------------------------------------------------


def linear_regression(batch: int = 3) -> Workload:
    """Three numbers to one, by least squares: nothing but overhead."""
    return Workload(
        "linreg",
        f"linear regression {batch}×3",
        lambda lib: lib.nn.Linear(3, 1),
        Batch((batch, 3), (batch, 1)),
        "mse_loss",
        0.15,
    )


def mlp(batch: int = 128, features: int = 784, hidden: int = 256) -> Workload:
    """One hidden layer."""

    def model(lib: Any) -> Any:
        nn = lib.nn
        return nn.Sequential(nn.Linear(features, hidden), nn.ReLU(), nn.Linear(hidden, 10))

    return Workload(
        "mlp",
        f"MLP {features}-{hidden}-10, batch {batch}",
        model,
        Batch((batch, features), (batch,), classes=10),
        "cross_entropy",
        0.5,
    )


# --- convolutional networks -----------------------------------------------------------------


def _cnn_model(size: int, channels: tuple[int, int]) -> Callable[[Any], Any]:
    first, second = channels

    def model(lib: Any) -> Any:
        nn = lib.nn
        return nn.Sequential(
            nn.Conv2d(1, first, 3, padding=1),  # (batch, first, size, size)
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 3, padding=1),  # (batch, second, size / 2, size / 2)
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(second * (size // 4) ** 2, 10),
        )

    return model


def cnn(batch: int = 128, size: int = 28, channels: tuple[int, int] = (32, 64)) -> Workload:
    """The convolutional network for MNIST of the course notes."""
    return Workload(
        "cnn",
        f"MNIST CNN, batch {batch}",
        _cnn_model(size, channels),
        Batch((batch, 1, size, size), (batch,), classes=10),
        "cross_entropy",
        0.5,
        images=True,
    )


def cnn_prediction(
    batch: int, target: float, size: int = 28, channels: tuple[int, int] = (32, 64)
) -> Workload:
    """The same network, predicting."""
    return Workload(
        f"predict{batch}",
        f"MNIST CNN, predictions, batch {batch}",
        _cnn_model(size, channels),
        Batch((batch, 1, size, size)),
        None,
        target,
        images=True,
    )


def residual_block(lib: Any, channels_in: int, channels_out: int, stride: int) -> Any:
    """Two 3×3 convolutions and a shortcut.

    Source: He, Zhang, Ren and Sun, Deep residual learning (2015), figure 2.
    """
    nn = lib.nn

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(channels_in, channels_out, 3, stride, 1, bias=False)
            self.norm1 = nn.BatchNorm2d(channels_out)
            self.conv2 = nn.Conv2d(channels_out, channels_out, 3, 1, 1, bias=False)
            self.norm2 = nn.BatchNorm2d(channels_out)
            self.shortcut = nn.Identity()
            if stride != 1 or channels_in != channels_out:
                self.shortcut = nn.Sequential(
                    nn.Conv2d(channels_in, channels_out, 1, stride, bias=False),
                    nn.BatchNorm2d(channels_out),
                )

        def forward(self, x: Any) -> Any:
            hidden = lib.relu(self.norm1(self.conv1(x)))
            return lib.relu(self.norm2(self.conv2(hidden)) + self.shortcut(x))

    return Block()


def resnet18(batch: int = 32, size: int = 32, width: int = 64, blocks: int = 2) -> Workload:
    """ResNet-18 in its form for CIFAR: a 3×3 stem, and four stages of two blocks."""

    def model(lib: Any) -> Any:
        nn = lib.nn
        layers = [nn.Conv2d(3, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        for stage in range(4):
            for block in range(blocks):
                stride = 2 if stage and not block else 1
                layers.append(residual_block(lib, channels, width << stage, stride))
                channels = width << stage
        head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, 10)
        return nn.Sequential(*layers, *head)

    return Workload(
        "resnet18",
        f"ResNet-18 (CIFAR), batch {batch}",
        model,
        Batch((batch, 3, size, size), (batch,), classes=10),
        "cross_entropy",
        0.9,
        images=True,
    )


# --- recurrent networks ---------------------------------------------------------------------


def recurrent(
    kind: str,
    target: float,
    batch: int = 128,
    steps: int = 28,
    features: int = 28,
    hidden: int = 128,
) -> Workload:
    """The rows of a digit one after the other; the last state is classified."""

    def model(lib: Any) -> Any:
        nn = lib.nn

        class Classifier(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.recurrent = getattr(nn, kind)(features, hidden, batch_first=True)
                self.head = nn.Linear(hidden, 10)

            def forward(self, x: Any) -> Any:
                states, _ = self.recurrent(x)  # (batch, steps, hidden)
                return self.head(states[:, -1])

        return Classifier()

    return Workload(
        kind.lower(),
        f"{kind}, {steps} steps, hidden {hidden}, batch {batch}",
        model,
        Batch((batch, steps, features), (batch,), classes=10),
        "cross_entropy",
        target,
    )


# --- transformers ---------------------------------------------------------------------------


def language_model(
    batch: int = 32, length: int = 64, words: int = 1000, width: int = 128, layers: int = 4
) -> Workload:
    """A causal Transformer encoder that predicts the next of some words."""

    def model(lib: Any) -> Any:
        nn = lib.nn

        class LanguageModel(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.embedding = nn.Embedding(words, width)
                self.position = nn.Parameter(lib.randn(length, width) * 0.02)
                layer = nn.TransformerEncoderLayer(
                    width, 4, 4 * width, dropout=0.0, batch_first=True
                )
                self.encoder = nn.TransformerEncoder(layer, layers)
                self.head = nn.Linear(width, words)
                hidden_words = lib.triu(lib.full((length, length), float("-inf")), diagonal=1)
                self.register_buffer("mask", hidden_words)

            def forward(self, x: Any) -> Any:
                hidden = self.embedding(x) + self.position  # (batch, length, width)
                hidden = self.encoder(hidden, mask=self.mask, is_causal=True)
                return self.head(hidden).reshape(-1, words)

        return LanguageModel()

    return Workload(
        "transformer",
        f"Transformer LM, {layers} layers, width {width}, {length} words, batch {batch}",
        model,
        Batch((batch, length), (batch * length,), tokens=words, classes=words),
        "cross_entropy",
        0.6,
    )


def vision_transformer(
    batch: int = 32, size: int = 32, patch: int = 4, width: int = 192, layers: int = 6
) -> Workload:
    """Patches of an image as words, with a class token in front.

    Source: Dosovitskiy et al., An image is worth 16×16 words (2020).
    """
    words = (size // patch) ** 2 + 1

    def model(lib: Any) -> Any:
        nn = lib.nn

        class VisionTransformer(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.patches = nn.Conv2d(3, width, patch, patch)
                self.class_token = nn.Parameter(lib.zeros(1, 1, width))
                self.position = nn.Parameter(lib.randn(1, words, width) * 0.02)
                layer = nn.TransformerEncoderLayer(
                    width,
                    3,
                    4 * width,
                    dropout=0.0,
                    activation="gelu",
                    batch_first=True,
                    norm_first=True,
                )
                self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
                self.norm = nn.LayerNorm(width)
                self.head = nn.Linear(width, 10)

            def forward(self, x: Any) -> Any:
                hidden = self.patches(x).flatten(2).transpose(1, 2)  # (batch, words - 1, width)
                first = self.class_token.expand(hidden.shape[0], -1, -1)
                hidden = lib.cat([first, hidden], dim=1) + self.position
                return self.head(self.norm(self.encoder(hidden))[:, 0])

        return VisionTransformer()

    return Workload(
        "vit",
        f"ViT {size}×{size}, patch {patch}, {layers} layers, width {width}, batch {batch}",
        model,
        Batch((batch, 3, size, size), (batch,), classes=10),
        "cross_entropy",
        0.75,
        images=True,
    )


# --- the table ------------------------------------------------------------------------------


def in_bfloat16(workload: Workload, target: float = 0.9) -> Workload:
    """The same workload under `autocast`."""
    return replace(
        workload,
        name=f"{workload.name}-bf16",
        title=f"{workload.title}, bfloat16",
        target=target,
        autocast=True,
    )


ROWS = [
    linear_regression(),
    mlp(),
    cnn(),
    resnet18(),
    recurrent("LSTM", 0.6),
    recurrent("GRU", 0.45),
    language_model(),
    vision_transformer(),
    cnn_prediction(1, 0.5),
    cnn_prediction(128, 0.6),
]
BFLOAT16_ROWS = [in_bfloat16(resnet18()), in_bfloat16(language_model())]
