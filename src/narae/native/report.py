"""What a native runner says about itself."""

from typing import TYPE_CHECKING, Any

from narae.ir.executor import Report

if TYPE_CHECKING:
    from .executor import NativeRunner


def report_of(runner: "NativeRunner") -> Report:
    """The program after the passes, and its kernels in their order."""
    built = runner.built
    lines = ["after the passes:", str(built.expanded), "", "kernels:"]
    facts: list[dict[str, Any]] = []
    for phase in built.scheduled.phases:
        if phase.host is not None:
            lines.append(f"  phase {phase.number}: {phase.host.about}")
        for chain in phase.chains:
            names = [step.kernel.about for step in chain.steps]
            lines.append(f"  phase {phase.number}, {chain.pieces} pieces: " + " → ".join(names))
            facts += [
                {"phase": phase.number, "pieces": chain.pieces, "kernel": name} for name in names
            ]
    size = runner.arena.size
    lines.append(f"memory for intermediates: {size / 2**20:.2f} MiB")
    return Report("\n".join(lines), {"kernels": facts, "arena_bytes": size})
