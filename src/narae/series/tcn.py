"""Convolutions over time that see no future.

Source: S. Bai, J. Z. Kolter, V. Koltun, "An Empirical Evaluation of Generic Convolutional and
Recurrent Networks for Sequence Modeling", arXiv:1803.01271, 2018.
"""

from collections.abc import Sequence

from narae.base.errors import ConfigError, explain
from narae.nn import Conv1d, Dropout1d, Module, ReLU, Sequential
from narae.nn.functional import pad
from narae.nn.utils.parametrizations import weight_norm
from narae.tensors import Tensor


class CausalConv1d(Module):
    """A convolution whose output at t is of inputs at t, t - d, t - 2d, ...

    Args:
        inputs, outputs: channels.
        kernel_size: how many steps it looks at.
        dilation: d.
    """

    def __init__(self, inputs: int, outputs: int, kernel_size: int, dilation: int = 1) -> None:
        super().__init__()
        self.conv = weight_norm(Conv1d(inputs, outputs, kernel_size, dilation=dilation))
        self.before = (kernel_size - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(pad(x, (self.before, 0)))  # (batch, outputs, time)


class _Block(Module):
    """relu(x + F(x)), F being two causal convolutions of one dilation (figure 1b)."""

    def __init__(
        self, inputs: int, outputs: int, kernel_size: int, dilation: int, dropout: float
    ) -> None:
        super().__init__()
        self.layers = Sequential(
            CausalConv1d(inputs, outputs, kernel_size, dilation),
            ReLU(),
            Dropout1d(dropout),
            CausalConv1d(outputs, outputs, kernel_size, dilation),
            ReLU(),
            Dropout1d(dropout),
        )
        self.skip = Conv1d(inputs, outputs, 1) if inputs != outputs else None

    def forward(self, x: Tensor) -> Tensor:
        kept = x if self.skip is None else self.skip(x)
        return (kept + self.layers(x)).relu()


class TemporalConvNet(Module):
    """Blocks whose dilation doubles: what is seen grows as a power of 2 of the depth.

    Args:
        columns: of the series.
        widths: channels of each block.
        kernel_size: of each convolution.
        dropout: after each convolution, of whole channels (section 3.4).

    Raises:
        ConfigError: without a block, or with a kernel below 2.

    Example:
        >>> import narae
        >>> net = TemporalConvNet(1, widths=(8, 8, 8), kernel_size=2)
        >>> net.receptive_field, net(narae.zeros(4, 20, 1)).shape
        (15, narae.Size([4, 20, 8]))
    """

    def __init__(
        self, columns: int, widths: Sequence[int], kernel_size: int = 3, dropout: float = 0.0
    ) -> None:
        super().__init__()
        if not widths or kernel_size < 2:
            given = f"{len(widths)} blocks with kernels of {kernel_size}"
            raise ConfigError(explain("TemporalConvNet", given, "at least 1 block, kernels of 2"))
        sizes = [columns, *widths]
        self.blocks = Sequential(
            *(
                _Block(sizes[i], sizes[i + 1], kernel_size, 2**i, dropout)
                for i in range(len(widths))
            )
        )
        self.width = sizes[-1]
        self.receptive_field = 1 + 2 * (kernel_size - 1) * (2 ** len(widths) - 1)

    def forward(self, x: Tensor) -> Tensor:
        """From (batch, time, columns) to (batch, time, width); t knows of nothing after t."""
        return self.blocks(x.transpose(1, 2)).transpose(1, 2)
