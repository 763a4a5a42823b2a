"""How modules are printed, as PyTorch prints them."""


def indented(text: str, width: int = 2) -> str:
    """Indent every line but the first."""
    first, *others = text.split("\n")
    return "\n".join([first, *(" " * width + line for line in others)])


def block(name: str, extra: str, children: list[str]) -> str:
    """`name(extra)` on one line, or one line for each part.

    >>> print(block("Sequential", "", ["(0): ReLU()"]))
    Sequential(
      (0): ReLU()
    )
    """
    lines = [*(extra.split("\n") if extra else []), *map(indented, children)]
    if extra and len(lines) == 1:
        return f"{name}({extra})"
    if not lines:
        return f"{name}()"
    return "\n".join([f"{name}(", *("  " + line for line in lines), ")"])
