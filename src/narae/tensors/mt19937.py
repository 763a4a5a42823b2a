"""The host random stream: every distribution of PyTorch's CPU generator, from the same words.

A method draws the words that PyTorch 2.13 draws on x86 and does the same arithmetic with them, so
after the same seed both give the same numbers. Methods return NumPy arrays and know no tensor.
"""

import math
import operator
from typing import Any

import numpy as np
import numpy.typing as npt

from ..base.dtypes import NumpyDType, as_numpy, is_floating, is_half
from ..base.errors import DataError, DTypeError, explain
from .box_muller import BLOCK, normal_blocks_double, normal_blocks_single, normal_pairs
from .exact_math import Doubles, Singles, fused_multiply_add, fused_multiply_add_single, libm
from .integer_ranges import check_drawable, full_range_limit, integer_range, largest_value
from .mt19937_engine import Engine
from .permutations import shuffle_forward, shuffle_inside_out

Array = npt.NDArray[Any]
Shape = int | tuple[int, ...] | list[int]

# PyTorch spends 64 bits on an integer from a range this wide, to keep the remainder's bias small.
_WIDE_RANGE = 2**28
# From this length on PyTorch's randperm spends 64 bits a step and shuffles inside out.
_LONG_PERMUTATION = (2**32 - 1) // 20


class MT19937(Engine):
    """PyTorch's CPU generator: the same numbers for the same seed.

    Args:
        seed: any integer in [-2**63, 2**64).

    >>> print(MT19937(100).uniform(2, np.float32, -1.0, 1.0))
    [-0.7766714  0.6316862]
    """

    # --- uniform numbers ---------------------------------------------------------------------

    def unit_single(self, n: int) -> Singles:
        """Return `n` float32 numbers in [0, 1), from the lower 24 bits of one word each."""
        fractions = (self.random32(n) & np.uint32(2**24 - 1)).view(np.int32)
        return fractions.astype(np.float32) * np.float32(2.0**-24)

    def unit_double(self, n: int) -> Doubles:
        """Return `n` float64 numbers in [0, 1), from the lower 53 bits of two words each."""
        fractions = (self.random64(n) & np.uint64(2**53 - 1)).view(np.int64)
        return fractions.astype(np.float64) * 2.0**-53

    def uniform(
        self, shape: Shape, dtype: Any = np.float32, low: float = 0.0, high: float = 1.0
    ) -> Array:
        """Return numbers from [low, high), `u * (high - low) + low`, as `Tensor.uniform_` does.

        Args:
            shape: the result's sizes.
            dtype: a floating point dtype; 16-bit ones round a float32 draw.

        Raises:
            DataError: low > high, or an interval that the dtype cannot hold.

        >>> print(MT19937(0).uniform(2))
        [0.4962566 0.7682218]
        """
        kind = _floating("uniform", dtype)
        _check_interval(kind, low, high)
        shape = _sizes(shape)
        if kind == np.float64:
            draws = self.unit_double(math.prod(shape))
            out: Array = fused_multiply_add(draws, high - low, low)
        else:
            width = float(np.float32(high) - np.float32(low))
            out = fused_multiply_add_single(self.unit_single(math.prod(shape)), width, low)
        out = _cast(out, kind)
        bounds = _cast(np.array([low, high]), kind)
        out[out == bounds[1]] = bounds[0]  # rounding must not reach the open end
        return out.reshape(shape)

    # --- integers ----------------------------------------------------------------------------

    def randint(self, shape: Shape, low: int, high: int | None, dtype: Any = np.int64) -> Array:
        """Return integers `low + word % (high - low)` from [low, high), as `torch.randint` does.

        Args:
            shape: the result's sizes.
            high: the open end; None goes on to the largest number of the dtype.
            dtype: integer, bool or floating point (then every value is a whole number).

        Raises:
            DataError: low >= high, or an end that the dtype cannot hold.

        >>> MT19937(0).randint(4, 0, 10).tolist()
        [4, 9, 3, 0]
        """
        kind = as_numpy(dtype)
        low, width = integer_range(kind, operator.index(low), high)
        shape = _sizes(shape)
        n = math.prod(shape)
        offset = np.uint64(low % 2**64)
        if width == 2**64:
            values = self.random64(n)
        elif width >= _WIDE_RANGE:
            values = self.random64(n) % np.uint64(width) + offset
        else:
            values = (self.random32(n) % np.uint32(width)).astype(np.uint64) + offset
        return _cast(values.view(np.int64), kind).reshape(shape)

    def random_(self, shape: Shape, dtype: Any = np.int64) -> Array:
        """Return whole numbers from 0 to the dtype's largest one, as `Tensor.random_()` does.

        A floating point dtype ends at the last integer up to which it holds all.

        >>> MT19937(0).random_(3, np.uint8).tolist()
        [172, 47, 117]
        """
        kind = as_numpy(dtype)
        limit = full_range_limit(kind)
        shape = _sizes(shape)
        n = math.prod(shape)
        wide = kind in (np.dtype(np.int64), np.dtype(np.float64))
        words: Array = self.random64(n) if wide else self.random32(n)
        values = words.astype(np.uint64) % np.uint64(limit)
        return _cast(values.view(np.int64), kind).reshape(shape)

    def randperm(self, n: int, dtype: Any = np.int64) -> Array:
        """Return the numbers 0 … n - 1 in random order (Fisher and Yates's shuffle).

        Raises:
            DataError: a negative n, or one that the dtype cannot count up to.

        >>> MT19937(0).randperm(5).tolist()
        [4, 0, 1, 3, 2]
        """
        kind = as_numpy(dtype)
        _check_length(n, kind)
        if n >= _LONG_PERMUTATION:
            order = shuffle_inside_out(n, self.random64)
        else:
            order = shuffle_forward(n, self.random32(max(n - 1, 0)))
        return _cast(order, kind)

    # --- normal numbers ----------------------------------------------------------------------

    def normal(
        self,
        shape: Shape,
        dtype: Any = np.float32,
        mean: float = 0.0,
        std: float = 1.0,
        contiguous: bool = True,
    ) -> Array:
        """Return normal numbers as `Tensor.normal_` does.

        From 16 elements on each block of 16 is one vectorized transform, and a last block that is
        not full is drawn anew together with what precedes it. Fewer elements, or a tensor that is
        not contiguous, come one by one in float64, and the sine of a pair waits for the next call.

        Args:
            shape: the result's sizes.
            dtype: a floating point dtype.
            contiguous: whether the tensor to fill is contiguous in memory.

        Raises:
            DataError: a negative standard deviation.

        >>> print(MT19937(0).normal(2))
        [ 1.5409961 -0.2934289]
        """
        kind = _floating("normal", dtype)
        _check_std(std)
        shape = _sizes(shape)
        n = math.prod(shape)
        if n >= BLOCK and contiguous:
            out = self._normal_blocks(n, kind, mean, std)
        else:
            out = _cast(fused_multiply_add(self._normals_in_pairs(n), std, mean), kind)
        return out.reshape(shape)

    def _normals_in_pairs(self, n: int) -> Doubles:
        """Return `n` standard normals, first the one that waits, and keep one that is left over."""
        waiting = [] if self.next_normal is None or n == 0 else [self.next_normal]
        missing = n - len(waiting)
        uniforms = self.unit_double(missing + missing % 2).reshape(-1, 2)
        fresh = np.stack(normal_pairs(uniforms[:, 0], uniforms[:, 1]), axis=1).reshape(-1)
        if n > 0:
            self.next_normal = float(fresh[-1]) if missing % 2 else None
        return np.concatenate([waiting, fresh[:missing]])

    def _normal_blocks(self, n: int, kind: NumpyDType, mean: float, std: float) -> Array:
        """Return `n` >= 16 normals, block by block."""
        whole = n - n % BLOCK
        # PyTorch fills 32- and 64-bit tensors with uniforms to the end, 16-bit ones block by block.
        drawn = whole if is_half(kind) else n
        out = np.empty(n, kind)
        if kind == np.float64:
            out[:whole] = normal_blocks_double(self.unit_double(drawn)[:whole], mean, std)
        else:
            out[:whole] = normal_blocks_single(self.unit_single(drawn)[:whole], mean, std)
        if whole < n:
            out[-BLOCK:] = self._normal_blocks(BLOCK, kind, mean, std)
        return out

    def log_normal(
        self, shape: Shape, dtype: Any = np.float32, mean: float = 1.0, std: float = 2.0
    ) -> Array:
        """Return `exp(normal)`, where `mean` and `std` belong to the normal.

        Raises:
            DataError: std <= 0.

        >>> MT19937(0).log_normal((2,)).shape
        (2,)
        """
        kind = _floating("log_normal", dtype)
        _check_positive("log_normal", "std", std)
        shape = _sizes(shape)
        standard = self._normals_in_pairs(math.prod(shape))
        return _cast(libm("exp", fused_multiply_add(standard, std, mean)), kind).reshape(shape)

    # --- other distributions -----------------------------------------------------------------

    def bernoulli(self, shape: Shape, p: float | Array, dtype: Any = np.float32) -> Array:
        """Return ones with probability p, zeros otherwise: `u < p`.

        PyTorch's published builds leave MKL's own stream for this unused, so the numbers agree.

        Args:
            shape: the result's sizes.
            p: a number (64-bit draws), or an array that broadcasts to `shape` (64-bit draws when
                it is float64, 32-bit draws otherwise, as for a tensor of probabilities).

        Raises:
            DataError: a probability outside [0, 1].

        >>> MT19937(0).bernoulli(4, 0.5).tolist()
        [0.0, 0.0, 1.0, 0.0]
        """
        kind, shape = as_numpy(dtype), _sizes(shape)
        check_drawable("bernoulli", kind)
        wide = not isinstance(p, np.ndarray) or p.dtype == np.float64
        chances: Array = np.asarray(p, np.float64 if wide else np.float32)
        if math.prod(shape) and not np.all((chances >= 0) & (chances <= 1)):
            rule = "a probability lies in [0, 1]"
            given = f"p reaches from {chances.min()} to {chances.max()}"
            raise DataError(explain("bernoulli", given, rule, "apply sigmoid to logits first"))
        n = math.prod(shape)
        draws: Array = self.unit_double(n) if wide else self.unit_single(n)
        return (draws.reshape(shape) < np.broadcast_to(chances, shape)).astype(kind)

    def exponential(self, shape: Shape, dtype: Any = np.float32, rate: float = 1.0) -> Array:
        """Return waiting times `-log(1 - u) / rate`.

        Raises:
            DataError: rate <= 0.

        >>> MT19937(0).exponential((2, 3)).shape
        (2, 3)
        """
        kind = _floating("exponential", dtype)
        _check_positive("exponential", "rate", rate)
        shape = _sizes(shape)
        draws = self.unit_double(math.prod(shape))
        return _cast((-1.0 / rate) * libm("log1p", -draws), kind).reshape(shape)

    def cauchy(
        self, shape: Shape, dtype: Any = np.float32, median: float = 0.0, sigma: float = 1.0
    ) -> Array:
        """Return `median + sigma * tan(pi * (u - 1/2))`.

        Raises:
            DataError: sigma <= 0.

        >>> MT19937(0).cauchy(3).dtype
        dtype('float32')
        """
        kind = _floating("cauchy", dtype)
        _check_positive("cauchy", "sigma", sigma)
        shape = _sizes(shape)
        tangents = libm("tan", np.pi * (self.unit_double(math.prod(shape)) - 0.5))
        return _cast(fused_multiply_add(tangents, sigma, median), kind).reshape(shape)

    def geometric(self, shape: Shape, p: float, dtype: Any = np.float32) -> Array:
        """Return the number of trials up to the first success, `ceil(log(u) / log(1 - p))`.

        Raises:
            DataError: p outside (0, 1).

        >>> MT19937(0).geometric(3, 0.5, np.int64).tolist()
        [1, 1, 2]
        """
        kind = as_numpy(dtype)
        check_drawable("geometric", kind, allow_bool=False)
        if not 0 < p < 1:
            rule = "the probability of a success lies in (0, 1)"
            raise DataError(explain("geometric", f"p is {p}", rule))
        shape = _sizes(shape)
        trials = libm("log", self.unit_double(math.prod(shape))) / math.log1p(-p)
        return _cast(np.ceil(trials), kind).reshape(shape)

    def multinomial(self, weights: Array, num_samples: int, replacement: bool = False) -> Array:
        """Return indices drawn in proportion to the weights of each row.

        Without replacement (or for one sample) the largest `weight / exponential` win; otherwise
        each draw is looked up in the cumulative weights. Where ratios tie (zero weights, 16-bit
        weights) PyTorch leaves the order open; here the first of equals comes first.

        Args:
            weights: (categories,) or (rows, categories), floating point, not negative.

        Returns:
            int64 indices, (num_samples,) or (rows, num_samples).

        Raises:
            DataError: weights or counts that define no distribution.

        >>> MT19937(0).multinomial(np.array([0.0, 1.0]), 1).tolist()
        [1]
        """
        _check_weights(weights, num_samples, replacement)
        shape = (*weights.shape[:-1], num_samples)
        if math.prod(shape) == 0:
            return np.empty(shape, np.int64)
        if replacement and num_samples > 1:
            rows = weights.reshape(-1, weights.shape[-1])
            draws = self.unit_double(math.prod(shape)).reshape(len(rows), num_samples)
            found = [_look_up(row, draw) for row, draw in zip(rows, draws, strict=True)]
            return np.stack(found).reshape(shape)
        with np.errstate(all="ignore"):
            ratios = weights / self.exponential(weights.shape, weights.dtype)
        order = np.argsort(-ratios.astype(np.float64), axis=-1, kind="stable")
        return order[..., :num_samples]


def _look_up(weights: Array, draws: Doubles) -> Array:
    """Return for each draw the first category whose cumulative share reaches it."""
    work = np.float64 if weights.dtype == np.float64 else np.float32
    cumulative = np.cumsum(weights, dtype=work)
    shares = cumulative / cumulative[-1]
    return np.searchsorted(shares.astype(np.float64), draws)


def _cast(values: Array, kind: NumpyDType) -> Array:
    """Convert as C++ does: 16-bit floats by way of float32."""
    if is_half(kind):
        values = values.astype(np.float32)
    return values.astype(kind, copy=False)


def _sizes(shape: Shape) -> tuple[int, ...]:
    sizes = (shape,) if isinstance(shape, (int, np.integer)) else tuple(shape)
    if any(size < 0 for size in sizes):
        raise DataError(explain("random", f"shape is {sizes}", "sizes are not negative"))
    return tuple(operator.index(size) for size in sizes)


# --- checks -----------------------------------------------------------------------------------


def _floating(what: str, dtype: Any) -> NumpyDType:
    kind = as_numpy(dtype)
    if not is_floating(kind):
        rule = "the distribution is continuous, so its dtype is floating point"
        raise DTypeError(explain(what, f"dtype is {kind}", rule, "draw float32, then convert"))
    return kind


def _check_interval(kind: NumpyDType, low: float, high: float) -> None:
    largest = largest_value(kind)
    given = f"low is {low}, high is {high}"
    if not low <= high:
        rule = "numbers come from [low, high), so low is at most high"
        raise DataError(explain("uniform", given, rule, "swap them"))
    if low < -largest or high > largest or high - low > largest:
        rule = f"ends and width are at most {largest}, the largest {kind}"
        raise DataError(explain("uniform", given, rule, "use a wider dtype"))


def _check_positive(what: str, name: str, value: float) -> None:
    if not value > 0:
        raise DataError(explain(what, f"{name} is {value}", f"{name} is positive"))


def _check_std(std: float) -> None:
    if not std >= 0:
        rule = "a standard deviation is not negative"
        fix = "take its absolute value, or exp() of an unbounded parameter"
        raise DataError(explain("normal", f"std is {std}", rule, fix))


def _check_length(n: int, kind: NumpyDType) -> None:
    check_drawable("randperm", kind, allow_bool=False)
    limit = full_range_limit(kind)
    if n < 0:
        rule = "a permutation has a length that is not negative"
        raise DataError(explain("randperm", f"n is {n}", rule))
    if n > limit:
        rule = f"{kind} counts to {limit} numbers at most"
        raise DataError(explain("randperm", f"n is {n}", rule, "use a wider dtype"))


def _check_weights(weights: Array, num_samples: int, replacement: bool) -> None:
    given = f"weights are {weights.dtype} of shape {weights.shape}, num_samples is {num_samples}"

    def refuse(rule: str, fix: str = "") -> None:
        raise DataError(explain("multinomial", given, rule, fix))

    if weights.ndim not in (1, 2) or not is_floating(weights.dtype):
        refuse("weights are floating point, of 1 or 2 dimensions")
    if num_samples <= 0:
        refuse("num_samples is positive")
    if not replacement and num_samples > weights.shape[-1]:
        refuse("there are fewer categories than samples", "pass replacement=True")
    if weights.shape[-1] > 2**24:
        refuse("there are at most 2**24 categories")
    values = weights.astype(np.float64)
    if not np.all((values >= 0) & (values < np.inf)):
        refuse("weights are finite and not negative", "apply softmax to logits first")
    if not np.all(values.sum(-1) > 0):
        refuse("each row of weights has a positive sum")
