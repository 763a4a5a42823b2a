"""`DataLoader`: mini-batches of a data set, shuffled and fetched ahead if wanted."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.tensors.random import Generator

from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import Fetcher, IndexFetcher, StreamFetcher, batches
from .sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from .workers import fetch_ahead

_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterate over a data set in mini-batches; with one seed, PyTorch's batches.

    Args:
        dataset: samples by index (`__getitem__`, `__len__`), or an `IterableDataset`.
        batch_size: samples a batch; None for samples without a batch dimension.
        shuffle: visit the samples in a new random order at each pass.
        sampler: yields indices in another order; excludes `shuffle`.
        batch_sampler: yields lists of indices; excludes all of the above.
        num_workers: threads that fetch ahead; 0 fetches when asked. The order stays.
        collate_fn: makes a batch of a list of samples; `default_collate` unless given.
        pin_memory, pin_memory_device, multiprocessing_context: accepted and not used.
        drop_last: leave out a last batch that is smaller.
        timeout: seconds to wait for a worker's batch; 0 waits for ever.
        worker_init_fn: called with the worker's number when it starts.
        generator: source of the shuffle.
        prefetch_factor: batches each worker fetches ahead; 2 unless given.
        persistent_workers: accepted; threads start fast.
        in_order: accepted; batches always come in order.

    Raises:
        ConfigError: for options that exclude each other or lie outside their range.

    >>> import narae
    >>> from narae.data import TensorDataset
    >>> dataset = TensorDataset(narae.arange(5))
    >>> loader = DataLoader(dataset, batch_size=2)
    >>> len(loader), [batch for batch, in loader]
    (3, [tensor([0, 1]), tensor([2, 3]), tensor([4])])
    """

    _ready = False

    def __init__(
        self,
        dataset: Any,
        batch_size: int | None = 1,
        shuffle: bool | None = None,
        sampler: Iterable[Any] | None = None,
        batch_sampler: Iterable[Any] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Any], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], Any] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        pin_memory_device: str = "",
        in_order: bool = True,
    ) -> None:
        self.dataset, self.generator = dataset, generator
        self.num_workers, self.timeout = num_workers, timeout
        self.worker_init_fn, self.pin_memory = worker_init_fn, pin_memory
        self.prefetch_factor = 2 if num_workers and prefetch_factor is None else prefetch_factor
        self.persistent_workers, self.in_order = persistent_workers, in_order
        self.multiprocessing_context = multiprocessing_context
        self.pin_memory_device = pin_memory_device
        self._check_workers()
        stream = isinstance(dataset, IterableDataset)
        _check_order(stream, batch_size, shuffle, sampler, batch_sampler, drop_last)
        if batch_sampler is not None:
            batch_size = None
        if sampler is None:
            sampler = self._default_sampler(stream, bool(shuffle))
        if batch_size is not None and not stream:
            batch_sampler = BatchSampler(sampler, batch_size, drop_last)
        self.batch_size, self.drop_last = batch_size, drop_last
        self.sampler, self.batch_sampler = sampler, batch_sampler
        batched = batch_size is not None or batch_sampler is not None
        self.collate_fn = collate_fn or (default_collate if batched else default_convert)
        self._ready = True

    def _default_sampler(self, stream: bool, shuffle: bool) -> Any:
        if stream:
            return None
        if shuffle:
            return RandomSampler(self.dataset, generator=self.generator)
        return SequentialSampler(self.dataset)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._ready and name in _FIXED:
            given = f"{name} is set after the DataLoader was made"
            rule = f"{name} attribute should not be set after DataLoader is initialized"
            raise ConfigError(explain("DataLoader", given, rule, "make a new DataLoader"))
        super().__setattr__(name, value)

    def __len__(self) -> int:
        if isinstance(self.dataset, IterableDataset):
            items = len(self.dataset)
            if self.batch_size is None:
                return items
            return items // self.batch_size if self.drop_last else -(-items // self.batch_size)
        return len(self.batch_sampler if self.batch_sampler is not None else self.sampler)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[Any]:
        # PyTorch draws this seed for its workers even without any, before the shuffle is drawn.
        seed = draw_seed(self.generator)
        if self.num_workers:
            return fetch_ahead(self, [self._fetcher() for _ in range(self.num_workers)], seed)
        return batches(self._fetcher())

    def _fetcher(self) -> Fetcher:
        """What turns requests (indices, or numbers of samples) into batches."""
        if isinstance(self.dataset, IterableDataset):
            return StreamFetcher(self.dataset, self.batch_size, self.drop_last, self.collate_fn)
        indices = self.sampler if self.batch_sampler is None else self.batch_sampler
        return IndexFetcher(self.dataset, indices, self.batch_sampler is not None, self.collate_fn)

    def _check_workers(self) -> None:
        for name in ("num_workers", "timeout"):
            if getattr(self, name) < 0:
                given = f"{name}={getattr(self, name)}"
                raise ConfigError(explain("DataLoader", given, f"{name} should be non-negative"))
        if self.prefetch_factor is not None and (not self.num_workers or self.prefetch_factor < 1):
            given = f"prefetch_factor={self.prefetch_factor}, num_workers={self.num_workers}"
            rule = "fetching ahead takes workers and at least one batch each"
            raise ConfigError(explain("DataLoader", given, rule, "set num_workers"))
        if self.persistent_workers and not self.num_workers:
            given = "persistent_workers=True, num_workers=0"
            raise ConfigError(explain("DataLoader", given, "there are no workers to keep"))


def _check_order(
    stream: bool, batch_size: Any, shuffle: Any, sampler: Any, batch_sampler: Any, drop_last: bool
) -> None:
    """Refuse options for the order of samples that exclude each other."""
    rule = ""
    if stream and (shuffle or sampler is not None or batch_sampler is not None):
        rule = "an IterableDataset decides its order itself: no shuffle, sampler or batch_sampler"
    elif sampler is not None and shuffle:
        rule = "sampler option is mutually exclusive with shuffle"
    elif batch_sampler is not None and (
        batch_size != 1 or shuffle or sampler is not None or drop_last
    ):
        rule = (
            "batch_sampler option is mutually exclusive with batch_size, shuffle, sampler, and "
            "drop_last"
        )
    elif batch_sampler is None and batch_size is None and drop_last:
        rule = "without batches (batch_size=None) there is no last one to drop"
    if rule:
        given = (
            f"batch_size={batch_size}, shuffle={shuffle}, sampler={sampler}, "
            f"batch_sampler={batch_sampler}, drop_last={drop_last}"
        )
        raise ConfigError(explain("DataLoader", given, rule, "leave one of them out"))
    if batch_size is not None and (not isinstance(batch_size, int) or batch_size < 1):
        given = f"batch_size is {batch_size!r}"
        raise ConfigError(explain("DataLoader", given, "it is a positive whole number or None"))
