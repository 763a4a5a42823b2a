"""A computational graph: values flow to the right, gradients flow back to the left.

Three apples and two pears, each fruit at its price, and a tax on the sum. If an apple became one
won dearer, how much dearer would the whole bag be? The chain rule answers edge by edge.

Run `python examples/scratch/11_computational_graph.py`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import common


@dataclass
class Edge:
    """A number on its way: its value, and the gradient that comes back."""

    name: str
    value: float
    place: tuple[float, float]
    grad: float = 0.0


@dataclass
class Node:
    """One operation: the edges that enter and the one that leaves."""

    inputs: tuple[Edge, Edge]
    out: Edge
    place: tuple[float, float] = field(default=(0.0, 0.0))

    sign = "?"

    def backward(self) -> None:
        """Send the gradient of the result on to the inputs."""


class Multiply(Node):
    """out = x·y; the gradient of x is y times that of out, and the other way round."""

    sign = "×"

    def backward(self) -> None:
        x, y = self.inputs
        x.grad += self.out.grad * y.value
        y.grad += self.out.grad * x.value


class Add(Node):
    """out = x + y; the gradient of out goes to both."""

    sign = "+"

    def backward(self) -> None:
        for edge in self.inputs:
            edge.grad += self.out.grad


@dataclass
class Graph:
    """Edges, and nodes in the order in which they were computed."""

    edges: dict[str, Edge] = field(default_factory=dict)
    nodes: list[Node] = field(default_factory=list)

    def given(self, name: str, value: float, place: tuple[float, float]) -> Edge:
        """A number from outside."""
        self.edges[name] = Edge(name, value, place)
        return self.edges[name]

    def apply(self, kind: type[Node], x: Edge, y: Edge, name: str, place: tuple) -> Edge:
        """Compute one node, and remember it."""
        value = x.value * y.value if kind is Multiply else x.value + y.value
        out = self.given(name, value, place)
        self.nodes.append(kind((x, y), out, place))
        return out

    def backward(self, last: str) -> None:
        """From the last edge to the first, against the order of computing."""
        self.edges[last].grad = 1.0
        for node in reversed(self.nodes):
            node.backward()


def bag(apple: float = 900, apples: float = 3, pear: float = 1400, pears: float = 2) -> Graph:
    """The price of a bag of fruit with ten percent tax."""
    graph = Graph()
    a, n = graph.given("apple", apple, (0, 4.6)), graph.given("apples", apples, (0, 3.0))
    p, m = graph.given("pear", pear, (0, 1.8)), graph.given("pears", pears, (0, 0.2))
    tax = graph.given("tax", 1.1, (3.2, 0.4))
    all_apples = graph.apply(Multiply, a, n, "all apples", (1.6, 3.8))
    all_pears = graph.apply(Multiply, p, m, "all pears", (1.6, 1.0))
    fruit = graph.apply(Add, all_apples, all_pears, "fruit", (3.2, 2.4))
    graph.apply(Multiply, fruit, tax, "price", (4.8, 2.4))
    return graph


def draw(axes: object, graph: Graph) -> None:
    """Circles for nodes; on each edge its value above and its gradient below."""
    places = {id(node.out): node.place for node in graph.nodes}
    ends = [(edge, node.place) for node in graph.nodes for edge in node.inputs]
    ends.append((graph.nodes[-1].out, (6.2, 2.4)))
    for edge, end in ends:
        start = places.get(id(edge), edge.place)
        arrow = {"arrowstyle": "-|>", "color": common.GREY, "lw": 1.5, "shrinkA": 17, "shrinkB": 17}
        axes.annotate("", end, start, arrowprops=arrow)
        middle = [0.55 * first + 0.45 * second for first, second in zip(start, end, strict=True)]
        box = {"ha": "center", "fontsize": 10, "bbox": {"fc": "white", "ec": "none", "pad": 1}}
        axes.text(
            middle[0], middle[1] + 0.06, f"{edge.value:g}", va="bottom", color=common.BLUE, **box
        )
        axes.text(middle[0], middle[1] - 0.06, f"{edge.grad:g}", va="top", color=common.RED, **box)
        if id(edge) not in places:
            axes.text(*start, edge.name, ha="center", va="center", fontsize=10, weight="bold")
    for node in graph.nodes:
        axes.plot(*node.place, "o", ms=30, color="white", mec=common.INK, mew=1.5, zorder=3)
        axes.text(*node.place, node.sign, ha="center", va="center", fontsize=16, zorder=4)
    axes.text(6.1, 2.4, "price", ha="left", va="center", fontsize=10, weight="bold")
    axes.set(xlim=(-0.4, 6.8), ylim=(-0.2, 5.0))
    axes.axis("off")


def main(argv: list[str] | None = None) -> None:
    """Tell the story."""
    chosen = common.options(__doc__, argv)
    graph = bag()
    common.say(
        """A computational graph (계산 그래프) of the price of a bag. The forward pass (순전파)
        computes values from left to right; the backward pass (역전파) begins with 1 at the price
        and goes from right to left: + sends the gradient on, × multiplies it by the other
        number."""
    )
    graph.backward("price")
    rows = [[edge.name, edge.value, edge.grad] for edge in graph.edges.values()]
    common.table(["edge", "value", "gradient of the price"], rows)
    dearer = bag(apple=901)
    rise = dearer.edges["price"].value - graph.edges["price"].value
    common.say(
        f"""The gradient of an apple's price is {graph.edges["apple"].grad:g}: one won more for an
        apple makes the bag {rise:.1f} won dearer, because there are three of them, and tax on
        each."""
    )
    figure, axes = common.new_figure(width=9, height=4.3)
    draw(axes, graph)
    common.save(
        figure,
        chosen.out,
        "computational-graph",
        """The price of three apples and two pears with ten percent tax. Blue, above each edge: its
        value, computed from left to right. Red, below: the gradient of the price with respect to
        it, computed from right to left.""",
    )


if __name__ == "__main__":
    main()
