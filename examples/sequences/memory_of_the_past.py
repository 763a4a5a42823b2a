"""An RNN is an MLP with a loop: only the loop can use the past.

    python examples/sequences/memory_of_the_past.py

Two tasks on random bits. Echo: say the bit before this one. Parity: say whether there were an odd
number of ones so far. The MLP has the same layers, but sees this step's bit alone, which says
nothing about either answer: it is right half of the time.
"""

from narae import Tensor, cat, compile, manual_seed, nn, no_grad, randint, zeros
from narae.nn import functional as F
from narae.optim import Adam

TASKS = ("echo", "parity")


class Recurrent(nn.Module):
    """tanh(W x + U h + b), then a linear layer; (batch, time, 1) -> (batch, time)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer, self.head = nn.RNN(1, hidden, batch_first=True), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        out, _ = self.layer(x)  # (batch, time, hidden)
        return self.head(out).squeeze(-1)


class StepByStep(nn.Module):
    """The same without U h; (batch, time, 1) -> (batch, time)."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.layer, self.head = nn.Linear(1, hidden), nn.Linear(hidden, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.layer(x).tanh()).squeeze(-1)


def samples(task: str, count: int, time: int) -> tuple[Tensor, Tensor]:
    """Bits (count, time, 1) and answers (count, time)."""
    bits = randint(0, 2, (count, time)).float()
    if task == "parity":
        return bits.unsqueeze(-1), bits.cumsum(1) % 2
    return bits.unsqueeze(-1), cat([zeros(count, 1), bits[:, :-1]], 1)


def accuracy(task: str, net: str, time: int = 8, hidden: int = 16, updates: int = 1500) -> float:
    """Share of right answers on new bits; the first step is left out, since it has no past."""
    manual_seed(0)
    model = Recurrent(hidden) if net == "RNN" else StepByStep(hidden)
    optimizer = Adam(model.parameters(), lr=0.01)

    def step(x: Tensor, target: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = F.binary_cross_entropy_with_logits(model(x), target)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss

    compiled = compile(step)
    for _ in range(updates):
        compiled(*samples(task, 64, time))
    x, target = samples(task, 1000, time)
    with no_grad():
        right = (model(x) > 0).float() == target
    return right[:, 1:].float().mean().item()


def main() -> None:
    print("share of right answers\n\n" + "task" + "MLP".rjust(13) + "RNN".rjust(9))
    for task in TASKS:
        print(f"{task:8}" + "".join(f"{100 * accuracy(task, net):8.1f}%" for net in ("MLP", "RNN")))


if __name__ == "__main__":
    main()
