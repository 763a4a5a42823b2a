"""What a native runner says about itself: the program after the passes, and what each kernel does.

    phase  pieces  kernel                              ms  GFLOP/s  GB/s  of the roof
        1      64  product 100352 x 9 x 32 float32   1.10     52.4  12.3          46%

Kernels of a chain stand below each other, joined by an arrow: a thread runs all of them on one
piece before it takes the next. Times are those of one thread.
"""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from narae.ir.executor import Report

from .peak import memory_bytes, peak_flops, roof
from .plan.buffers import Buffer, Step

if TYPE_CHECKING:
    from .executor import NativeRunner

Row = dict[str, Any]


def report_of(runner: "NativeRunner") -> Report:
    """The program after the passes, and its kernels with what they reach."""
    built = runner.built
    rows = list(_rows(runner))
    size = runner.arena.size
    facts = {
        "kernels": rows,
        "arena_bytes": size,
        "kernels_compiled": built.code.compiled,
        "kernels_from_cache": built.code.from_cache,
        "compile_seconds": built.code.seconds,
        "phases": len(built.scheduled.phases),
    }
    lines = ["after the passes:", str(built.expanded), ""]
    lines += _table(rows)
    lines.append(_totals(rows, runner))
    lines.append(f"memory for intermediates: {size / 2**20:.2f} MiB")
    lines.append(
        f"machine code: {built.code.compiled} kernels compiled in {built.code.seconds:.2f} s, "
        f"{built.code.from_cache} from the cache"
    )
    return Report("\n".join(lines), facts)


def _rows(runner: "NativeRunner") -> Iterator[Row]:
    """One row for each kernel, in the order of the table."""
    seconds = iter(runner.seconds())
    for phase in runner.built.scheduled.phases:
        if phase.host is not None:
            yield {"phase": phase.number, "kernel": phase.host.about, "host": True}
        for chain in phase.chains:
            for number, step in enumerate(chain.steps):
                taken = next(seconds, None) if chain.pieces else None
                yield _row(runner, phase.number, number, step, taken)


def _row(runner: "NativeRunner", phase: int, place: int, step: Step, taken: Any) -> Row:
    kernel = step.kernel
    moved = kernel.bytes or _touched(step.slots)
    row: Row = {
        "phase": phase,
        "pieces": step.pieces,
        "follows": place > 0,
        "kernel": kernel.about,
        "flops": kernel.flops,
        "bytes": moved,
        "seconds": None,
    }
    if taken:
        least = roof(kernel.flops, moved, runner.built.machine)
        row |= {"seconds": float(taken), "share": min(1.0, least / taken)}
    return row


def _touched(slots: Sequence[Buffer | int]) -> int:
    """The bytes of the buffers that a kernel sees."""
    return sum({x: x.bytes for x in slots if isinstance(x, Buffer)}.values())


def _table(rows: Sequence[Row]) -> list[str]:
    names = f"{'phase':>5} {'pieces':>6}  {'kernel':<58}"
    lines = [f"{names} {'ms':>8} {'GFLOP/s':>8} {'GB/s':>6} {'roof':>5}"]
    for row in rows:
        if row.get("host"):
            lines.append(f"{row['phase']:>5} {'':>6}  {row['kernel']}")
            continue
        name = ("→ " if row["follows"] else "") + row["kernel"]
        first = "" if row["follows"] else row["phase"]
        line = f"{first:>5} {row['pieces']:>6}  {name[:58]:<58}"
        if row["seconds"]:
            seconds = row["seconds"]
            speed = f"{row['flops'] / seconds / 1e9:8.1f} {row['bytes'] / seconds / 1e9:6.1f}"
            line += f" {seconds * 1e3:8.3f} {speed} {row['share']:5.0%}"
        lines.append(line.rstrip())
    return lines


def _totals(rows: Sequence[Row], runner: "NativeRunner") -> str:
    timed = [row for row in rows if row.get("seconds")]
    if not timed:
        return "no times: the program has not run"
    total = sum(row["seconds"] for row in timed)
    flops = sum(row["flops"] for row in timed)
    peak = peak_flops(runner.built.machine)
    return (
        f"in one thread {total * 1e3:.3f} ms, {flops / total / 1e9:.1f} GFLOP/s of a measured peak "
        f"of {peak / 1e9:.1f}; memory {memory_bytes() / 1e9:.1f} GB/s"
    )
