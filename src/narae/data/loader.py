"""`DataLoader`: mini-batches of a data set, shuffled and fetched ahead if wanted."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from narae.base.errors import ConfigError, explain
from narae.tensors.random import Generator

from .ahead import Ahead, Crew
from .collate import default_collate, default_convert
from .dataset import IterableDataset
from .fetch import Fetcher, Here, IndexFetcher, StreamFetcher
from .position import Pass, as_before, check_same, generators_of, go_to, places_of
from .sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from .threads import ThreadWorker
from .workers import Request, WorkerInfo

_METHODS = ("fork", "spawn", "forkserver")
_FIXED = ("batch_size", "batch_sampler", "sampler", "drop_last", "dataset", "persistent_workers")


class DataLoader:
    """Iterate over a data set in mini-batches; with one seed, PyTorch's batches.

    Args:
        dataset: samples by index (`__getitem__`, `__len__`), or an `IterableDataset`.
        batch_size: samples a batch; None for samples without a batch dimension.
        shuffle: visit the samples in a new random order at each pass.
        sampler: yields indices in another order; excludes `shuffle`.
        batch_sampler: yields lists of indices; excludes all of the above.
        num_workers: threads that fetch ahead (or processes, see multiprocessing_context); 0
            fetches when asked. Batches are the same and come in the same order.
        collate_fn: makes a batch of a list of samples; `default_collate` unless given.
        pin_memory, pin_memory_device: accepted and not used.
        drop_last: leave out a last batch that is smaller.
        timeout: seconds to wait for a worker's batch; 0 waits for ever.
        worker_init_fn: called with the worker's number when it starts.
        multiprocessing_context: "fork", "spawn", "forkserver" or a context of `multiprocessing`:
            workers are processes, for samples that cost much Python. None: threads.
        generator: source of the shuffle, and of the seed of each pass.
        prefetch_factor: batches each worker fetches ahead; 2 unless given.
        persistent_workers: keep the workers from one pass to the next.
        in_order: accepted; batches always come in order.

    What a data set draws at random for a sample (from `narae`, `numpy.random` or `random`) depends
    on the seed of the pass and on the sample's index alone; see `narae/data/streams.py`.

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
        self.multiprocessing_context = _context(multiprocessing_context, num_workers)
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
        self._crew: Crew | None = None
        self._pass: Pass | None = None
        self._saved: dict[str, Any] | None = None
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

    # --- a pass ----------------------------------------------------------------------------

    def __iter__(self) -> Iterator[Any]:
        saved, self._saved = self._saved, None
        if saved is None:
            return self._begin(0)
        with as_before(generators_of(self), saved):
            self._set_epoch(saved["epoch"])
            batches = self._begin(saved["requests"])
        self._pass.batches = saved["batches"]  # type: ignore[union-attr]
        return batches

    def _begin(self, seen: int) -> "Batches":
        """Begin a pass, or go on with one of which so many requests were answered."""
        before = places_of(generators_of(self))
        # PyTorch draws this seed for its workers even without any, before the shuffle is drawn.
        seed = draw_seed(self.generator)
        self._pass = Pass(seed, before, self._epoch(), requests=seen)
        fetcher = self._fetcher()
        requests = fetcher.requests()
        stream = isinstance(self.dataset, IterableDataset)
        if stream:
            requests = (request._replace(skip=request.number < seen) for request in requests)
        else:
            _drop(requests, seen)
        if self.num_workers:
            source: Any = self._ahead(seed, requests, 0 if stream else seen)
        else:
            fetcher.begin(seed, "here", 0)
            source = Here(fetcher, requests)
        return Batches(self, source, self._pass, 0 if stream else seen)

    def _ahead(self, seed: int, requests: Iterator[Request], first: int) -> Ahead:
        crew = self._crew
        if crew is None or not crew.close.alive:
            crew = self._new_crew()
        if self.persistent_workers:
            self._crew = crew
        ahead = self.num_workers * (self.prefetch_factor or 1)
        timeout, keep = self.timeout or None, self.persistent_workers
        return Ahead(crew, seed, requests, first % self.num_workers, ahead, timeout, keep)

    def _new_crew(self) -> Crew:
        make: Any = ThreadWorker
        if self.multiprocessing_context is not None:
            from .processes import ProcessWorker

            make = partial(ProcessWorker, context=self.multiprocessing_context)
        infos = [
            WorkerInfo(place, self.num_workers, 0, self.dataset)
            for place in range(self.num_workers)
        ]
        crew = Crew()
        for info in infos:  # those that have started end with the crew if one cannot start
            crew.add(make(info, self._fetcher(), self.worker_init_fn))
        return crew

    def _fetcher(self) -> Fetcher:
        """What turns requests (indices, or numbers of samples) into batches."""
        if isinstance(self.dataset, IterableDataset):
            return StreamFetcher(self.dataset, self.batch_size, self.drop_last, self.collate_fn)
        indices = self.sampler if self.batch_sampler is None else self.batch_sampler
        return IndexFetcher(self.dataset, indices, self.batch_sampler is not None, self.collate_fn)

    # --- where it is -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """Where the loader is, in the middle of a pass or between two: JSON can hold it.

        A loader that was made with the same arguments and takes the state over, in another process
        too, gives the batches that this one would have given: see `load_state_dict`.

        >>> import json
        >>> loader = DataLoader(range(6), batch_size=2, shuffle=True)
        >>> first, *rest = loader
        >>> batches = iter(loader)
        >>> first = next(batches)
        >>> state = json.loads(json.dumps(loader.state_dict()))
        >>> rest = [batch.tolist() for batch in batches]
        >>> other = DataLoader(range(6), batch_size=2, shuffle=True)
        >>> other.load_state_dict(state)
        >>> [batch.tolist() for batch in other] == rest
        True
        """
        now = places_of(generators_of(self))
        state: dict[str, Any] = {"version": 1, "workers": self.num_workers, "now": now}
        if self._saved is not None:
            return self._saved
        if self._pass is None or self._pass.done:
            return state | {"batches": None}
        here = self._pass
        return state | {
            "batches": here.batches,
            "requests": here.requests,
            "epoch": here.epoch,
            "before": here.before,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Let the next `iter()` go on where the loader was that gave the state.

        Samples before that are not fetched again; a stream is run through up to there. The default
        generator is put where it was when the state was taken: at once if that was between two
        passes, otherwise by `iter()`, which draws the order again.

        Raises:
            ConfigError: for a state of something else, or a stream's with another num_workers.
        """
        what = "DataLoader.load_state_dict"
        if state_dict.get("version") != 1 or "batches" not in state_dict:
            given = f"the state has the keys {sorted(map(str, state_dict))}"
            raise ConfigError(explain(what, given, "it comes from DataLoader.state_dict()"))
        stream = isinstance(self.dataset, IterableDataset)
        if stream and state_dict["workers"] != self.num_workers:
            given = f"the state has {state_dict['workers']} workers, the loader {self.num_workers}"
            rule = "each worker has its own share of a stream, so their number must be the same"
            raise ConfigError(explain(what, given, rule))
        check_same(generators_of(self), state_dict["now"])
        if state_dict["batches"] is None:
            go_to(generators_of(self), state_dict["now"])
            self._saved = self._pass = None
        else:
            self._saved = dict(state_dict)

    def _samplers_with_epochs(self) -> list[Any]:
        found = (self.sampler, self.batch_sampler, getattr(self.batch_sampler, "sampler", None))
        return [each for each in found if hasattr(each, "set_epoch")]

    def _epoch(self) -> int | None:
        return next((sampler.epoch for sampler in self._samplers_with_epochs()), None)

    def _set_epoch(self, epoch: int | None) -> None:
        for sampler in self._samplers_with_epochs():
            sampler.set_epoch(epoch)

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


class Batches:
    """The batches of one pass through a loader."""

    def __init__(self, loader: DataLoader, source: Any, record: Pass, seen: int) -> None:
        self._loader, self._source, self._record, self._seen = loader, source, record, seen

    def __iter__(self) -> "Batches":
        return self

    def __len__(self) -> int:
        return len(self._loader)

    def __next__(self) -> Any:
        try:
            batch = next(self._source)
        except StopIteration:
            self._record.done = True
            raise
        self._record.batches += 1
        self._record.requests = self._seen + self._source.answered
        return batch


def _drop(items: Iterator[Any], count: int) -> None:
    for _ in zip(range(count), items, strict=False):
        pass


def _context(given: Any, num_workers: int) -> Any:
    """How processes are started; None for threads.

    Raises:
        ConfigError: for a method that this system does not have, or without workers.
    """
    if given is None:
        return None
    import multiprocessing

    if not num_workers:
        shown = f"multiprocessing_context={given!r}, num_workers=0"
        raise ConfigError(explain("DataLoader", shown, "there are no processes to start"))
    known = [name for name in _METHODS if name in multiprocessing.get_all_start_methods()]
    if given in known:
        return multiprocessing.get_context(given)
    if isinstance(given, str) or not hasattr(given, "Process"):
        shown = f"multiprocessing_context is {given!r}"
        rule = f"it is one of {', '.join(map(repr, known))}, or a context of multiprocessing"
        raise ConfigError(explain("DataLoader", shown, rule))
    return given


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
