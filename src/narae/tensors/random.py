"""Random tensors: PyTorch's CPU stream, drawn on the host.

While a step is traced nothing is drawn: each draw becomes an input of the program, and is made
before every call, in the order of the trace.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from secrets import randbits
from typing import Any

import numpy as np

from narae.base.dtypes import INT64, as_numpy, default_dtype, is_floating
from narae.base.errors import DataError, DTypeError, explain

from .creation import _finished, _sizes, _wanted, constant
from .devices import CPU, check_device
from .modes import modes
from .mt19937 import MT19937
from .tensor import Tensor, wrap
from .views import check_writable, write

Array = np.ndarray[Any, Any]
_UINT64 = np.dtype(np.uint64)


class Generator:
    """A source of random numbers: the same seed gives PyTorch's numbers.

    >>> import narae
    >>> generator = narae.Generator().manual_seed(0)
    >>> narae.rand(2, generator=generator)
    tensor([0.4963, 0.7682])
    """

    def __init__(self, device: Any = "cpu") -> None:
        check_device(device)
        self.device = CPU
        self.engine = MT19937()

    def manual_seed(self, seed: int) -> "Generator":
        """Start the stream that belongs to a seed."""
        self.engine.reseed(int(seed))
        return self

    def seed(self) -> int:
        """Start a stream that nobody can foresee; returns its seed."""
        chosen = randbits(63)
        self.engine.reseed(chosen)
        return chosen

    def initial_seed(self) -> int:
        """The seed of the current stream."""
        return int(self.engine.seed)

    def get_state(self) -> Tensor:
        """The place in the stream, as bytes; PyTorch reads them too."""
        return wrap(self.engine.get_state())

    def set_state(self, new_state: Tensor) -> "Generator":
        """Go to a place in the stream that `get_state` (or PyTorch) gave."""
        self.engine.set_state(np.asarray(new_state))
        return self

    def host_state(self) -> MT19937:
        """A snapshot, for a compiled step that may have to be undone."""
        return self.engine.clone()

    def restore_host_state(self, snapshot: MT19937) -> None:
        """Go back to a snapshot."""
        self.engine = snapshot

    def __repr__(self) -> str:
        return f"<narae.Generator object at 0x{id(self):x}>"


default_generator = Generator()


class _Override(threading.local):
    generator: Generator | None = None


_override = _Override()


def current_generator() -> Generator:
    """What is drawn from when no generator is named: this thread's own, or else the default."""
    return _override.generator or default_generator


def use_generator(generator: Generator | None) -> Generator | None:
    """Let this thread draw from a generator of its own; None ends that. Returns the one before.

    A data set that fetches samples in threads draws for each sample from its own stream so.
    """
    before = _override.generator
    _override.generator = generator
    return before


def manual_seed(seed: int) -> Generator:
    """Start the stream of a seed in the default generator, and return it."""
    return current_generator().manual_seed(seed)


def seed() -> int:
    """Start an unforeseeable stream in the default generator; returns its seed."""
    return current_generator().seed()


def initial_seed() -> int:
    """The seed of the default generator."""
    return current_generator().initial_seed()


def get_rng_state() -> Tensor:
    """The place of the default generator in its stream, as bytes."""
    return current_generator().get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Take the default generator to a place in its stream."""
    current_generator().set_state(new_state)


@contextmanager
def fork_rng(devices: Any = None, enabled: bool = True) -> Any:
    """Put the default generator back where it was when the block ends."""
    generator = current_generator()
    snapshot = generator.host_state() if enabled else None
    try:
        yield
    finally:
        if snapshot is not None:
            generator.restore_host_state(snapshot)


# --- drawing --------------------------------------------------------------------------------


def draw(
    generator: Generator | None,
    sample: Callable[[MT19937], Array],
    shape: tuple[int, ...],
    dtype: Any,
) -> Tensor:
    """Draw now; or, while tracing, make the draw an input of the program."""
    source = current_generator() if generator is None else generator
    trace = modes.trace
    if trace is not None:
        return _logged(
            lambda: trace.host_input(source, lambda: sample(source.engine), shape, dtype)
        )
    return constant(np.asarray(sample(source.engine), dtype))


class _DrawLog(threading.local):
    """Draws of a trace, kept so that a checkpoint can use them again."""

    def __init__(self) -> None:
        self.kept: list[list[Tensor]] = []
        self.replayed: list[list[Tensor]] = []


_log = _DrawLog()


@contextmanager
def keep_draws(draws: list[Tensor]) -> Iterator[None]:
    """Append everything that is drawn inside, in a trace, to a list."""
    _log.kept.append(draws)
    try:
        yield
    finally:
        _log.kept.pop()


@contextmanager
def replay_draws(draws: list[Tensor]) -> Iterator[None]:
    """Use these draws inside, in order, before drawing anew; for a trace."""
    _log.replayed.append(list(draws))
    try:
        yield
    finally:
        _log.replayed.pop()


def _logged(fresh: Callable[[], Tensor]) -> Tensor:
    replayed = _log.replayed[-1] if _log.replayed else None
    drawn = replayed.pop(0) if replayed else fresh()
    for draws in _log.kept:
        draws.append(drawn)
    return drawn


def dropout_key(generator: Generator | None = None) -> Tensor:
    """One 64-bit key (a 0-d uint64 tensor) for a stochastic layer, from the host's stream."""
    return draw(generator, lambda engine: engine.random64(1).reshape(()), (), _UINT64)


def _float_dtype(dtype: Any) -> Any:
    return default_dtype() if dtype is None else as_numpy(dtype)


def rand(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """Uniform numbers in [0, 1)."""
    check_device(device)
    shape, kind = _sizes(size), _float_dtype(_wanted(dtype, out, None))
    made = draw(generator, lambda engine: engine.uniform(shape, kind), shape, kind)
    return _finished(made, requires_grad, out)


def randn(
    *size: Any,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
    out: Any = None,
) -> Tensor:
    """Normal numbers with mean 0 and standard deviation 1."""
    check_device(device)
    shape, kind = _sizes(size), _float_dtype(_wanted(dtype, out, None))
    made = draw(generator, lambda engine: engine.normal(shape, kind), shape, kind)
    return _finished(made, requires_grad, out)


def randint(
    low: int = 0,
    high: Any = None,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Integers from low to high - 1: `randint(10, (3,))` or `randint(3, 10, (3,))`."""
    check_device(device)
    if size is None:
        low, high, size = 0, low, high
    elif high is None:  # randint(10, size=(3,))
        low, high = 0, low
    shape, kind = _sizes((size,)), INT64 if dtype is None else as_numpy(dtype)
    made = draw(generator, lambda engine: engine.randint(shape, low, high, kind), shape, kind)
    return _finished(made, requires_grad)


def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """The numbers 0 … n - 1 in random order."""
    check_device(device)
    kind = INT64 if dtype is None else as_numpy(dtype)
    made = draw(generator, lambda engine: engine.randperm(n, kind), (n,), kind)
    return _finished(made, requires_grad)


def _like_dtype(input: Tensor, dtype: Any) -> Any:
    return input._value.dtype if dtype is None else as_numpy(dtype)


def rand_like(input: Tensor, *, dtype: Any = None, **options: Any) -> Tensor:
    """Uniform numbers with the shape and dtype of a tensor."""
    options.pop("memory_format", None)
    return rand(input.shape, dtype=_like_dtype(input, dtype), **options)


def randn_like(input: Tensor, *, dtype: Any = None, **options: Any) -> Tensor:
    """Normal numbers with the shape and dtype of a tensor."""
    options.pop("memory_format", None)
    return randn(input.shape, dtype=_like_dtype(input, dtype), **options)


def randint_like(
    input: Tensor,
    low: int,
    high: int | None = None,
    *,
    dtype: Any = None,
    **options: Any,
) -> Tensor:
    """Integers with the shape and dtype of a tensor."""
    if high is None:
        low, high = 0, low
    options.pop("memory_format", None)
    return randint(low, high, input.shape, dtype=_like_dtype(input, dtype), **options)


def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    dtype: Any = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """Normal numbers; mean and std are numbers (with `size`) or tensors that broadcast."""
    if size is not None:
        shape, kind = _sizes((size,)), _float_dtype(dtype)
        made = draw(generator, lambda engine: engine.normal(shape, kind, mean, std), shape, kind)
        return _finished(made, requires_grad)
    like = mean if isinstance(mean, Tensor) else std
    shape = np.broadcast_shapes(*(tuple(x.shape) for x in (mean, std) if isinstance(x, Tensor)))
    noise = randn(shape, generator=generator, dtype=like._value.dtype)
    return noise * std + mean  # type: ignore[no-any-return]


def bernoulli(
    input: Tensor,
    p: float | None = None,
    *,
    generator: Generator | None = None,
    out: Any = None,
) -> Tensor:
    """Ones with the probabilities that a tensor holds (or with probability p), zeros otherwise."""
    chances = input._array if p is None else p
    shape, kind = tuple(input.shape), input._value.dtype
    made = draw(generator, lambda engine: engine.bernoulli(shape, chances, kind), shape, kind)
    if out is None and p is None and modes.grad and input.requires_grad:
        return made + input * 0  # as in PyTorch: on the tape, with a gradient of zero
    return _finished(made, False, out)


def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Indices drawn in proportion to the weights of each row."""
    weights = input._array
    shape = (*weights.shape[:-1], num_samples)
    return draw(
        generator,
        lambda engine: engine.multinomial(weights, num_samples, replacement),
        shape,
        INT64,
    )


# --- in place -------------------------------------------------------------------------------


def _fill(input: Tensor, name: str, generator: Any, sample: Any) -> Tensor:
    check_writable(input, name)
    shape, kind = tuple(input.shape), input._value.dtype
    made = draw(generator, lambda engine: sample(engine, shape, kind), shape, kind)
    return write(input, made, name)


def _check_floating(input: Tensor, name: str) -> None:
    if not is_floating(input._value.dtype):
        raise DTypeError(
            explain(name, f"the tensor is {input.dtype}", "it must be a floating point one")
        )


def uniform_(
    input: Tensor,
    from_: float = 0.0,
    to: float = 1.0,
    *,
    generator: Generator | None = None,
    **named: float,
) -> Tensor:
    """Fill a tensor with uniform numbers from [from, to)."""
    low = named.pop("from", from_)
    _check_floating(input, "uniform_")
    return _fill(
        input,
        "uniform_",
        generator,
        lambda engine, shape, kind: engine.uniform(shape, kind, low, to),
    )


def normal_(
    input: Tensor,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with normal numbers."""
    _check_floating(input, "normal_")
    contiguous = not isinstance(input._value, np.ndarray) or input._value.flags.c_contiguous
    return _fill(
        input,
        "normal_",
        generator,
        lambda engine, shape, kind: engine.normal(shape, kind, mean, std, contiguous),
    )


def random_(
    input: Tensor,
    from_: int | None = None,
    to: int | None = None,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with whole numbers: below `from_`, in [from_, to), or in its full range."""
    if from_ is None:
        return _fill(
            input, "random_", generator, lambda engine, shape, kind: engine.random_(shape, kind)
        )
    low, high = (0, from_) if to is None else (from_, to)
    return _fill(
        input,
        "random_",
        generator,
        lambda engine, shape, kind: engine.randint(shape, low, high, kind),
    )


def bernoulli_(
    input: Tensor,
    p: Any = 0.5,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with ones (with probability p) and zeros."""
    chances = p._array if isinstance(p, Tensor) else p
    return _fill(
        input,
        "bernoulli_",
        generator,
        lambda engine, shape, kind: engine.bernoulli(shape, chances, kind),
    )


def exponential_(
    input: Tensor,
    lambd: float = 1.0,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with exponentially distributed numbers of that rate."""
    return _fill(
        input,
        "exponential_",
        generator,
        lambda engine, shape, kind: engine.exponential(shape, kind, lambd),
    )


def cauchy_(
    input: Tensor,
    median: float = 0.0,
    sigma: float = 1.0,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with Cauchy distributed numbers: median + sigma * tan(pi * (u - 1/2))."""
    return _fill(
        input,
        "cauchy_",
        generator,
        lambda engine, shape, kind: engine.cauchy(shape, kind, median, sigma),
    )


def geometric_(input: Tensor, p: float, *, generator: Generator | None = None) -> Tensor:
    """Fill a tensor with numbers of trials up to the first success of probability p."""
    return _fill(
        input,
        "geometric_",
        generator,
        lambda engine, shape, kind: engine.geometric(shape, p, kind),
    )


def log_normal_(
    input: Tensor,
    mean: float = 1.0,
    std: float = 2.0,
    *,
    generator: Generator | None = None,
) -> Tensor:
    """Fill a tensor with exponentials of normal numbers of that mean and standard deviation."""
    return _fill(
        input,
        "log_normal_",
        generator,
        lambda engine, shape, kind: engine.log_normal(shape, kind, mean, std),
    )


# --- counts: NumPy's algorithms, started by a key from the stream -----------------------------


def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """Poisson distributed counts with the rates that a tensor holds.

    Their stream is not PyTorch's: one 64-bit key a call, which NumPy's Philox expands.
    """
    rates, kind = input._array.astype(np.float64), input._value.dtype
    _check_floating(input, "poisson")
    if rates.size and not bool((rates >= 0).all()):
        raise DataError(explain("poisson", f"the least rate is {rates.min()}",
                                "rates must be non-negative"))  # fmt: skip
    return draw(
        generator,
        lambda engine: _keyed(engine).poisson(rates).astype(kind),
        tuple(rates.shape),
        kind,
    )


def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """Numbers of successes in `count` trials of probability `prob`, element by element.

    Their stream is not PyTorch's: one 64-bit key a call, which NumPy's Philox expands.
    """
    _check_floating(count, "binomial")
    trials, chances = count._array.astype(np.int64), prob._array.astype(np.float64)
    if chances.size and not bool(((chances >= 0) & (chances <= 1)).all()):
        raise DataError(explain("binomial", f"probabilities reach from {chances.min()} to "
                                f"{chances.max()}", "a probability lies in [0, 1]"))  # fmt: skip
    shape, kind = np.broadcast_shapes(trials.shape, chances.shape), count._value.dtype
    return draw(
        generator,
        lambda engine: _keyed(engine).binomial(trials, chances, shape).astype(kind),
        shape,
        kind,
    )


def _keyed(engine: MT19937) -> np.random.Generator:
    """NumPy's generator, started by one draw from the stream."""
    return np.random.Generator(np.random.Philox(key=int(engine.random64(1)[0])))


__all__ = [
    "Generator",
    "bernoulli",
    "binomial",
    "default_generator",
    "fork_rng",
    "get_rng_state",
    "initial_seed",
    "manual_seed",
    "multinomial",
    "normal",
    "poisson",
    "rand",
    "rand_like",
    "randint",
    "randint_like",
    "randn",
    "randn_like",
    "randperm",
    "seed",
    "set_rng_state",
]
METHODS = (
    "bernoulli",
    "bernoulli_",
    "cauchy_",
    "exponential_",
    "geometric_",
    "log_normal_",
    "multinomial",
    "normal_",
    "random_",
    "uniform_",
)
