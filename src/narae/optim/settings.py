"""Checks of the numbers that an optimizer is made with."""

from typing import Any

from narae.base.errors import ConfigError
from narae.tensors import Tensor


def number(value: Any) -> Any:
    """A setting as a float; PyTorch allows tensors of one element."""
    return value.item() if isinstance(value, Tensor) else value


def check_not_negative(settings: dict[str, Any]) -> None:
    """Refuse settings below zero (and nan).

    Args:
        settings: each by PyTorch's words for it.

    Raises:
        ValueError: with PyTorch's message.

    >>> check_not_negative({"learning rate": -1.0})
    Traceback (most recent call last):
    narae.base.errors.ConfigError: Invalid learning rate: -1.0; it must not be negative
    """
    for words, value in settings.items():
        if isinstance(value, Tensor) and value.numel() != 1:
            name = "lr" if words == "learning rate" else words
            raise ConfigError(f"Tensor {name} must be 1-element; it is {tuple(value.shape)}")
        if not number(value) >= 0.0:
            raise ConfigError(f"Invalid {words}: {value}; it must not be negative")


def check_learning_rate(lr: Any) -> None:
    """Refuse a learning rate below zero, in the words of PyTorch's newer optimizers.

    Raises:
        ValueError: with PyTorch's message.
    """
    if isinstance(lr, Tensor) and lr.numel() != 1:
        raise ConfigError(f"Tensor lr must be 1-element; it is {tuple(lr.shape)}")
    if not number(lr) >= 0.0:
        raise ConfigError(f"Learning rate should be >= 0 but is: {lr}")


def check_betas(betas: tuple[float, float]) -> None:
    """Refuse decay rates outside [0, 1).

    Raises:
        ValueError: with PyTorch's message.
    """
    for index, beta in enumerate(betas):
        if not 0.0 <= number(beta) < 1.0:
            raise ConfigError(
                f"Invalid beta parameter at index {index}: {beta}; it must be at least 0 and "
                "less than 1"
            )
