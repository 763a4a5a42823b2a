"""The next token: the likeliest, or one drawn at random from those that are likely enough."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from narae.base.errors import ConfigError, explain

from .stepping import Ids, Logits, log_softmax

_Numbers = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Sampling:
    """How a token is drawn.

    Attributes:
        temperature: logits are divided by it; below 1 likely tokens become likelier, 0 takes the
            likeliest of all.
        top_k: only so many likeliest tokens may be drawn (and what is as likely as the last);
            0: all.
        top_p: only the fewest likeliest tokens that have this much probability together.

    Raises:
        ConfigError: for a number outside its range.

    Source: top-k: Fan et al., Hierarchical neural story generation (2018); top-p: Holtzman et al.,
    The curious case of neural text degeneration (2019).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        rules = {
            "temperature": (0 <= self.temperature < float("inf"), "is 0 or a positive number"),
            "top_k": (self.top_k >= 0, "is 0 or a number of tokens"),
            "top_p": (0 < self.top_p <= 1, "lies in (0, 1]"),
        }
        for name, (holds, rule) in rules.items():
            if not holds:
                given = f"{name} is {getattr(self, name)}"
                raise ConfigError(explain("Sampling", given, f"it {rule}"))

    def draw(self, logits: Logits, random: np.random.Generator) -> Ids:
        """A token of each row of logits (batch, vocabulary); the same for the same random state.

        >>> Sampling(temperature=0).draw(np.array([[0.0, 2.0, 1.0]]), np.random.default_rng(0))
        array([1])
        """
        if self.temperature == 0:
            return logits.argmax(axis=-1)
        sums = self.probabilities(logits).cumsum(axis=-1)  # (batch, vocabulary)
        points = random.random((len(logits), 1)) * sums[:, -1:]
        found: Ids = (sums <= points).sum(axis=-1)  # the first sum above the point
        return found

    def probabilities(self, logits: Logits) -> _Numbers:
        """The probability of each token, 0 for those that are not drawn: (batch, vocabulary).

        >>> logits = np.log(np.array([[0.5, 0.3, 0.15, 0.05]]))
        >>> Sampling(top_p=0.7).probabilities(logits).round(3)
        array([[0.625, 0.375, 0.   , 0.   ]])
        """
        if self.temperature == 0:
            likeliest = logits.argmax(axis=-1)[:, None]  # (batch, 1)
            return (np.arange(logits.shape[-1]) == likeliest).astype(np.float64)
        # Shifted first: numbers divided by a tiny temperature have no difference any more.
        with np.errstate(over="ignore"):  # -inf is right
            logits = (logits - logits.max(axis=-1, keepdims=True)) / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            least = np.sort(logits, axis=-1)[:, -self.top_k, None]  # (batch, 1)
            logits = np.where(logits < least, -np.inf, logits)
        out: _Numbers = np.exp(log_softmax(logits))
        if self.top_p < 1:
            out = np.where(_likely(out, self.top_p), out, 0.0)
            out = out / out.sum(axis=-1, keepdims=True)
        return out


def _likely(probabilities: _Numbers, top_p: float) -> npt.NDArray[np.bool_]:
    """Where the likeliest tokens are, up to the one that brings their sum to top_p."""
    order = np.argsort(-probabilities, axis=-1, kind="stable")
    ranked = np.take_along_axis(probabilities, order, axis=-1)
    before = ranked.cumsum(axis=-1) - ranked  # what the likelier ones have together
    kept = np.zeros(probabilities.shape, dtype=bool)
    np.put_along_axis(kept, order, before < top_p, axis=-1)
    return kept
