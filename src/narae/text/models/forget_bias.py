"""The bias that lets gated nets remember from the beginning."""

from narae.base.errors import ConfigError, explain
from narae.nn import GRU, LSTM, Module
from narae.tensors import no_grad


def set_forget_bias(layer: Module, value: float = 1.0) -> None:
    """Set the bias of the gate that keeps the state: forget of an LSTM, update of a GRU.

    A layer has two biases, which are added; the second becomes 0.

    Args:
        layer: LSTM or GRU, of any depth and directions.
        value: sigmoid(value) of the state is kept at a step, as far as weights do not say other.

    Raises:
        ConfigError: if the layer has no such gate, or no biases.

    Source: Gers, Schmidhuber and Cummins, Learning to forget (2000); Jozefowicz, Zaremba and
    Sutskever, An empirical exploration of recurrent network architectures (2015).

    >>> import narae
    >>> layer = narae.nn.LSTM(2, 1)
    >>> set_forget_bias(layer, 1.0)
    >>> layer.bias_ih_l0[1].item(), layer.bias_hh_l0[1].item()
    (1.0, 0.0)
    """
    if not isinstance(layer, (LSTM, GRU)) or not layer.bias:
        rule = "an LSTM or GRU with biases has a gate that keeps"
        raise ConfigError(explain("set_forget_bias", f"the layer is {layer!r}", rule))
    # The second of i, f, g, o and of r, z, n.
    gate = slice(layer.hidden_size, 2 * layer.hidden_size)
    with no_grad():
        for name, parameter in layer.named_parameters():
            if name.startswith("bias"):
                parameter[gate] = value if name.startswith("bias_ih") else 0.0
