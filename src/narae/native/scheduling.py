"""Ordering tasks: into phases that wait for each other, and within a phase into chains.

A task opens a new phase if it needs what the last phase makes. It need not wait if both can be cut
into the same pieces and its piece p only needs what piece p before it made: then it joins the
*chain*, and whoever claims a piece runs all its kernels one after the other, while the data is in
the nearest cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from .buffers import Buffer, Step, Task


@dataclass(eq=False)
class ChainOf:
    """Steps that are run piece by piece."""

    steps: list[Step]
    pieces: int
    even: bool


@dataclass(eq=False)
class Phase:
    """Chains that are independent of each other; or one task of the host."""

    number: int
    chains: list[ChainOf] = field(default_factory=list)
    host: Task | None = None


@dataclass
class Scheduled:
    """Phases in order; those from `late` on write to states."""

    phases: list[Phase]
    late: int


def schedule(tasks: Sequence[Task]) -> Scheduled:
    """Put tasks into phases, in their order; those that write to states come last."""
    scheduler = _Scheduler()
    for task in tasks:
        if not task.late:
            scheduler.add(task)
    late = len(scheduler.phases)
    scheduler.open_phase()
    for task in tasks:
        if task.late:
            scheduler.add(task)
    return Scheduled(scheduler.phases, late)


class _Scheduler:
    def __init__(self) -> None:
        self.phases: list[Phase] = []
        self._written: dict[Buffer, Phase] = {}
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

    def add(self, task: Task) -> None:
        """Find a place for a task."""
        if task.host is not None:
            self._note(self.open_phase(task), task.writes, None)
            return
        chain = self._chain_for(task)
        if chain is not None:
            steps = task.make(chain.pieces)
            if self._join(chain, steps):
                return
        else:
            steps = task.make(0)
        self._place(steps, task)

    # --- chains -------------------------------------------------------------------------------

    def _chain_for(self, task: Task) -> ChainOf | None:
        """The chain of the last phase that a task could go on with, piece by piece."""
        last = self.last
        fresh = [b for b in task.reads if self._written.get(b) is last]
        if not fresh or last.host is not None:
            return None
        chains: set[ChainOf] = set().union(*(self._chain_of.get(b, set()) for b in fresh))
        # Other tasks may have written parts of the same buffers.
        for buffer in task.writes:
            if self._written.get(buffer) is last:
                chains |= self._chain_of.get(buffer, set())
        if len(chains) != 1:
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
        return all(
            access.parted
            for step in chain.steps
            for access in step.accesses
            if access.writes and access.buffer in fresh
        )

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
        self._note(self.last, [a.buffer for a in main.accesses if a.writes], chain)
        return True

    # --- places -------------------------------------------------------------------------------

    def _ready(self, step: Step, extra: Sequence[Buffer] = ()) -> int:
        """The last phase that a step has to wait for; -1 if there is none."""
        reads = [a.buffer for a in step.accesses if not a.writes]
        phases = [self._written[b].number for b in (*reads, *extra) if b in self._written]
        return max(phases, default=-1)

    def _prepare(self, step: Step, ready: int) -> None:
        """Put a step into the phase before the last one, or into a new one between."""
        last = self.last
        place = last.number - 1
        if place <= ready or place < 0 or self.phases[place].host is not None:
            phase = Phase(last.number)
            self.phases.insert(last.number, phase)
            last.number += 1
        else:
            phase = self.phases[place]
        self._start(phase, step)

    def _start(self, phase: Phase, step: Step) -> None:
        """A chain of its own for a step."""
        chain = ChainOf([step], step.pieces, step.even)
        phase.chains.append(chain)
        self._note(phase, [a.buffer for a in step.accesses if a.writes], chain)

    def _place(self, steps: Sequence[Step], task: Task) -> None:
        """Every step into the last phase if it need not wait for it, else into a new one."""
        for step in steps:
            waits = self._ready(step, task.extra_reads)
            if waits >= self.last.number or self.last.host is not None:
                self.open_phase()
            self._start(self.last, step)

    def _note(self, phase: Phase, writes: Sequence[Buffer], chain: ChainOf | None) -> None:
        for buffer in writes:
            if self._written.get(buffer) is not phase:
                self._chain_of[buffer] = set()
            self._written[buffer] = phase
            if chain is not None:
                self._chain_of[buffer].add(chain)


def lifetimes(scheduled: Scheduled) -> dict[Buffer, tuple[int, int]]:
    """The first and the last phase in which each buffer of the arena is used."""
    found: dict[Buffer, tuple[int, int]] = {}

    def use(buffer: Buffer, number: int) -> None:
        if buffer.kind == "arena":
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
