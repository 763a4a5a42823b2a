"""Ordering tasks: into phases that wait for each other, and within a phase into chains.

A task opens a new phase if it needs what the last phase makes. It need not wait if both can be cut
into the same pieces and its piece p only needs what piece p before it made: then it joins the
*chain*, and whoever claims a piece runs all its kernels one after the other, while the data is in
the nearest cache.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from .buffers import Access, Buffer, Step, Task
from .nest_tasks import PIECE_TIME

# How many tasks to look at to choose the pieces of a chain.
AHEAD = 40


@dataclass(eq=False)
class ChainOf:
    """Steps that are run piece by piece."""

    steps: list[Step]
    pieces: int
    even: bool


@dataclass(eq=False)
class Phase:
    """Chains that are independent of each other; or one task of the host.

    `is_between`: it was put between others, for what a later task needs before it begins.
    """

    number: int
    chains: list[ChainOf] = field(default_factory=list)
    host: Task | None = None
    is_between: bool = False


@dataclass
class Scheduled:
    """Phases in order; those from `late` on write to states."""

    phases: list[Phase]
    late: int


def schedule(tasks: Sequence[Task]) -> Scheduled:
    """Put tasks into phases, in their order; those that write to states come last."""
    scheduler = _Scheduler()
    early = [task for task in tasks if not task.late]
    for place, task in enumerate(early):
        scheduler.add(task, early[place + 1 : place + 1 + AHEAD])
    late = len(scheduler.phases)
    scheduler.open_phase()
    for task in tasks:
        if task.late:
            scheduler.add(task)
    joined = _joined(scheduler.phases[:late])
    phases = [*joined, *scheduler.phases[late:]]
    for number, phase in enumerate(phases):
        phase.number = number
    return Scheduled(phases, len(joined))


def pieces_of_chain(task: Task, ahead: Sequence[Task]) -> int:
    """Into how many pieces to cut a chain that begins with a task; 0 lets the task choose.

    As many as the longest of the tasks that may follow wants, and no more than any of them bears.
    """
    if task.outer < 2 or task.most_pieces < 2 or not any(a.parted for a in task.accesses):
        return 0
    made, together = set(task.writes), [task]
    for other in ahead:
        if not made.intersection(other.reads):
            continue
        if other.outer % task.outer and task.outer % other.outer:
            continue
        if other.host is not None or other.most_pieces < 2 or other.outer < 2:
            continue
        made.update(other.writes)
        together.append(other)
    longest = max(each.nanoseconds for each in together)
    # What takes little time may be cut finer than is good for it.
    most = min(min(x.most_pieces, x.outer) for x in together if x.nanoseconds * 4 >= longest)
    count = max(1, min(most, int(longest / PIECE_TIME)))
    return max(n for n in range(1, count + 1) if task.outer % n == 0)


class _Scheduler:
    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self._written: dict[Buffer, Phase] = {}
        self._read: dict[Buffer, Phase] = {}  # states: what they were must be read before
        self._chain_of: dict[Buffer, set[ChainOf]] = {}

    def open_phase(self, host: Task | None = None) -> Phase:
        """A new last phase."""
        phase = Phase(len(self.phases), host=host)
        self.phases.append(phase)
        return phase

    @property
    def last(self) -> Phase:
        """The phase that tasks are added to."""
        return self.phases[-1] if self.phases else self.open_phase()

    def add(self, task: Task, ahead: Sequence[Task] = ()) -> None:
        """Find a place for a task; `ahead` are those that may go on with its chain."""
        if task.host is not None:
            self._note(self.open_phase(task), task.accesses, None)
            return
        if task.prepares and self._prepared(task):
            return
        chain = self._chain_for(task)
        if chain is not None:
            steps = task.make(chain.pieces)
            if self._join(chain, steps):
                return
        else:
            steps = task.make(pieces_of_chain(task, ahead))
        self._place(steps, task)

    def _prepared(self, task: Task) -> bool:
        """Whether a task could be put before the last phase."""
        waits = [self._phase_of(b) for b in task.reads]
        if any(phase is self.last for phase in waits):
            return False
        for step in task.make(0):
            self._prepare(step, self._ready(step, task.extra_reads))
        return True

    # --- chains -------------------------------------------------------------------------------

    def _chain_for(self, task: Task) -> ChainOf | None:
        """The chain of the last phase that a task could go on with, piece by piece."""
        last = self.last
        fresh = [b for b in task.reads if self._phase_of(b) is last]
        if not fresh or last.host is not None:
            return None
        chains: set[ChainOf] = set().union(*map(self._writers, fresh))
        # Other tasks may have written parts of the same buffers.
        for buffer in task.writes:
            chains |= self._writers(buffer)
        if len(chains) != 1 or any(self._read.get(b) is last for b in task.writes):
            return None
        (chain,) = chains
        if not chain.even or chain.pieces < 2 or task.outer % chain.pieces:
            return None
        return chain if self._is_parted(task, chain, fresh) else None

    def _is_parted(self, task: Task, chain: ChainOf, fresh: Sequence[Buffer]) -> bool:
        """Whether what piece p needs of the chain's work was made by piece p."""
        if any(b in fresh for b in task.extra_reads) and not all(
            access.parted for access in task.accesses if access.buffer in task.extra_reads
        ):
            return False
        if any(not access.parted for access in task.accesses if access.buffer in fresh):
            return False
        return self._wrote_parted(chain, fresh)

    def _wrote_parted(self, chain: ChainOf, fresh: Sequence[Buffer]) -> bool:
        """Whether piece p of a chain wrote the p-th part of each buffer, and no parts of it."""
        wholes = {b.whole for b in fresh} - {None}
        for step in chain.steps:
            for access in step.accesses:
                if not access.writes:
                    continue
                if access.buffer in fresh and not access.parted:
                    return False
                if access.buffer in wholes or access.buffer.whole in fresh:
                    return False
        return True

    def _join(self, chain: ChainOf, steps: Sequence[Step]) -> bool:
        """Append the last step to a chain; steps before it prepare, in earlier phases."""
        *before, main = steps
        if not main.even or main.pieces != chain.pieces:
            return False
        ready = [self._ready(step) for step in before]
        if any(number >= self.last.number for number in ready):
            return False
        for step, number in zip(before, ready, strict=True):
            self._prepare(step, number)
        chain.steps.append(main)
        self._note(self.last, main.accesses, chain)
        return True

    # --- places -------------------------------------------------------------------------------

    def _ready(self, step: Step, extra: Sequence[Buffer] = ()) -> int:
        """The last phase that a step has to wait for; -1 if there is none."""
        reads = [a.buffer for a in step.accesses if not a.writes]
        phases = [self._phase_of(b) for b in (*reads, *extra)]
        phases += [self._read.get(a.buffer) for a in step.accesses if a.writes]
        return max((phase.number for phase in phases if phase is not None), default=-1)

    def _phase_of(self, buffer: Buffer) -> Phase | None:
        """The last phase that writes to a buffer: to the whole, and for a whole to its parts."""
        others = [buffer.whole] if buffer.whole is not None else buffer.parts.values()
        phases = [self._written[b] for b in (buffer, *others) if b in self._written]
        return max(phases, key=lambda phase: phase.number, default=None)

    def _writers(self, buffer: Buffer) -> set[ChainOf]:
        """The chains of the last phase that write to a buffer or to parts of it."""
        others = [buffer.whole] if buffer.whole is not None else buffer.parts.values()
        last = self.last
        written = [b for b in (buffer, *others) if self._written.get(b) is last]
        return set().union(*(self._chain_of[b] for b in written))

    def _prepare(self, step: Step, ready: int) -> None:
        """Put a step into the phase before the last one, or into a new one between."""
        last = self.last
        place = last.number - 1
        if place <= ready or place < 0 or self.phases[place].host is not None:
            phase = Phase(last.number, is_between=True)
            self.phases.insert(last.number, phase)
            last.number += 1
        else:
            phase = self.phases[place]
        self._start(phase, step)

    def _start(self, phase: Phase, step: Step) -> None:
        """A chain of its own for a step."""
        chain = ChainOf([step], step.pieces, step.even)
        phase.chains.append(chain)
        self._note(phase, step.accesses, chain)

    def _place(self, steps: Sequence[Step], task: Task) -> None:
        """Every step into the last phase if it need not wait for it, else into a new one."""
        for step in steps:
            waits = self._ready(step, task.extra_reads)
            if waits >= self.last.number or self.last.host is not None:
                self.open_phase()
            self._start(self.last, step)

    def _note(self, phase: Phase, accesses: Sequence[Access], chain: ChainOf | None) -> None:
        for buffer in (a.buffer.whole or a.buffer for a in accesses if not a.writes):
            if buffer.kind == "input":
                self._read[buffer] = phase
        for buffer in (access.buffer for access in accesses if access.writes):
            if self._written.get(buffer) is not phase:
                self._chain_of[buffer] = set()
            self._written[buffer] = phase
            if chain is not None:
                self._chain_of[buffer].add(chain)


def _joined(phases: Sequence[Phase]) -> list[Phase]:
    """Phases that were put between two others, together with the one that follows if it can be.

    A chain may have needed them to come before; if none did, a phase less is waited for.
    """
    found: list[Phase] = []
    for phase in reversed(phases):
        following = found[-1] if found else None
        if phase.is_between and following is not None and not _waits(following, phase):
            following.chains = [*phase.chains, *following.chains]
        else:
            found.append(phase)
    return found[::-1]


def _waits(later: Phase, earlier: Phase) -> bool:
    """Whether something in a phase needs, or writes over, what an earlier one uses."""
    if later.host is not None:
        return True
    before, after = ([*_accesses(phase)] for phase in (earlier, later))
    used = {buffer for buffer, _ in before}
    written = {buffer for buffer, writes in before if writes}
    return any(buffer in (used if writes else written) for buffer, writes in after)


def _accesses(phase: Phase) -> Iterator[tuple[Buffer, bool]]:
    """The buffers that kernels of a phase use, as wholes, and whether they are written to."""
    for chain in phase.chains:
        for step in chain.steps:
            for access in step.accesses:
                yield access.buffer.whole or access.buffer, access.writes


def lifetimes(scheduled: Scheduled) -> dict[Buffer, tuple[int, int]]:
    """The first and the last phase in which each buffer of the arena is used."""
    found: dict[Buffer, tuple[int, int]] = {}

    def use(buffer: Buffer, number: int) -> None:
        buffer = buffer.whole or buffer
        if buffer.kind == "arena" and buffer.size:
            first, last = found.get(buffer, (number, number))
            found[buffer] = min(first, number), max(last, number)

    for phase in scheduled.phases:
        for chain in phase.chains:
            for step in chain.steps:
                for access in step.accesses:
                    use(access.buffer, phase.number)
        if phase.host is not None:
            for access in phase.host.accesses:
                use(access.buffer, phase.number)
    return found
