"""What computer science lends to deep learning: searching graphs, queues and patterns.

Backward has to visit the nodes of a graph in a good order; a scheduler runs what is ready; a
compiler looks for patterns that it can replace.

Run `python examples/scratch/12_searching_graphs.py`.
"""

from __future__ import annotations

import heapq
import re
from collections import deque
from collections.abc import Sequence

import common

import narae

Tree = dict[str, list[str]]  # a node, and the nodes whose results it uses


def record(loss: narae.Tensor) -> Tree:
    """The tape behind a tensor: each node's name with the names of those before it."""
    names, found, waiting = {}, {}, [loss.grad_fn]
    while waiting:
        node = waiting.pop()
        if node in found:
            continue
        names[node] = f"{node.name.removesuffix('0').removesuffix('Backward')} {node.number}"
        found[node] = [parent for parent in node.parents if hasattr(parent, "parents")]
        waiting += found[node]
    return {names[node]: [names[p] for p in parents] for node, parents in found.items()}


def breadth_first(tree: Tree, start: str) -> list[str]:
    """BFS: first all nodes one step away, then those two steps away, …"""
    order, waiting = [], deque([start])
    while waiting:
        name = waiting.popleft()
        if name not in order:
            order.append(name)
            waiting.extend(tree[name])
    return order


def depth_first(tree: Tree, start: str) -> list[str]:
    """A topological order by DFS: a node comes before everything it uses."""
    finished: list[str] = []

    def visit(name: str) -> None:
        for parent in tree[name]:
            if parent not in finished:
                visit(parent)
        if name not in finished:
            finished.append(name)

    visit(start)
    return finished[::-1]


def by_priority(tree: Tree, start: str) -> list[str]:
    """A priority queue that always gives the node that was made last; so does Narae's backward."""
    order, queue = [], [(-int(start.split()[-1]), start)]
    while queue:
        _, name = heapq.heappop(queue)
        if name not in order:
            order.append(name)
            for parent in tree[name]:
                heapq.heappush(queue, (-int(parent.split()[-1]), parent))
    return order


def too_early(tree: Tree, order: Sequence[str]) -> list[str]:
    """Nodes that the order visits before a node that still sends them a gradient."""
    place = {name: number for number, name in enumerate(order)}
    return [p for name in order for p in tree[name] if place[p] < place[name]]


# --------------------------------------------------------------------------- patterns in a program
def failure_table(pattern: Sequence[str]) -> list[int]:
    """For each place, how long a beginning of the pattern also ends there (Knuth, Morris, Pratt).

    >>> failure_table("abab")
    [0, 0, 1, 2]
    """
    table, length = [0] * len(pattern), 0
    for place in range(1, len(pattern)):
        while length and pattern[place] != pattern[length]:
            length = table[length - 1]
        length += pattern[place] == pattern[length]
        table[place] = length
    return table


def find_all(words: Sequence[str], pattern: Sequence[str]) -> list[int]:
    """Where the pattern begins; no word is looked at twice.

    >>> find_all("abababc", "abab")
    [0, 2]
    """
    table, length, found = failure_table(pattern), 0, []
    for place, word in enumerate(words):
        while length and (length == len(pattern) or word != pattern[length]):
            length = table[length - 1]
        length += word == pattern[length]
        if length == len(pattern):
            found.append(place - length + 1)
    return found


def skip_network(x: narae.Tensor, w: narae.Tensor) -> narae.Tensor:
    """x is used twice: directly, and after three steps; the two ways meet again."""
    start = x * w
    return (start + start.exp().sin().tanh()).sum()


def deep_network(x: narae.Tensor) -> narae.Tensor:
    """The same three operations three times."""
    for _ in range(3):
        x = (x @ x + 1).tanh()
    return x


def draw(axes: object, tree: Tree, order: list[str], title: str) -> None:
    """The nodes in the order of visiting; red arrows send a gradient to a node already visited."""
    place = {name: number for number, name in enumerate(order)}
    for name, number in place.items():
        axes.plot(number, 0, "o", ms=26, color="white", mec=common.INK, zorder=3)
        axes.text(number, 0, name.split()[0], ha="center", va="center", fontsize=8.5, zorder=4)
        for parent in tree[name]:
            late = place[parent] < number
            arrow = {"arrowstyle": "-|>", "color": common.RED if late else common.GREY, "lw": 1.6}
            arrow |= {"shrinkA": 14, "shrinkB": 14, "connectionstyle": "arc3,rad=-0.3"}
            axes.annotate("", (place[parent], 0), (number, 0), arrowprops=arrow)
    axes.set(title=title, xlim=(-0.5, len(order) - 0.5), ylim=(-1, 1.1))
    axes.axis("off")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    w = narae.tensor([0.5, 2.0], requires_grad=True)
    tree = record(skip_network(narae.ones(2), w))
    start = next(iter(tree))
    searches = {
        "breadth first": breadth_first(tree, start),
        "depth first": depth_first(tree, start),
        "priority queue": by_priority(tree, start),
    }
    common.say(
        """Backpropagation may visit a node only after everything that sends it a gradient. In
        s + tanh(sin(exp(s))) the node of s gets two. Breadth-first search meets it too early; the
        order in which depth-first search finishes, reversed, is a topological order; and a priority
        queue that takes the youngest node first needs no search at all:"""
    )
    rows = [
        [kind, ", ".join(name.split()[0] for name in order), len(too_early(tree, order))]
        for kind, order in searches.items()
    ]
    common.table(["search", "order of visiting", "visited too early"], rows)
    program = str(narae.program_of(deep_network)(narae.ones(2, 2)))
    words = re.findall(r"= (\w+)\(", program)
    pattern = ["matmul", "add", "tanh"]
    common.say(
        f"""A compiler looks for patterns, as a search for words does. The program of a small
        network is {" ".join(words)}. The algorithm of Knuth, Morris and Pratt finds
        "{" ".join(pattern)}" at {find_all(words, pattern)}, and reads every word once. A regular
        expression finds the same on the text:
        {len(re.findall(r"matmul add tanh", " ".join(words)))} times."""
    )
    figure, axes = common.new_figure(3, 1, width=8, height=6.2)
    for (kind, order), place in zip(searches.items(), axes, strict=True):
        early = len(too_early(tree, order))
        draw(place, tree, order, f"{kind.capitalize()}: {early or 'no'} gradient comes too late")
    common.save(
        figure,
        chosen.out,
        "graph-search",
        """Three orders of visiting the same graph, from left to right. An arrow is a gradient that
        a node sends. Red: its receiver was visited before, and would have gone on without it.""",
    )


if __name__ == "__main__":
    main()
