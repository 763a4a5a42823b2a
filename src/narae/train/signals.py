"""Ctrl-C and SIGTERM: the running update ends, the run is saved, and can go on later."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from .trainer import Trainer

_NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
_AGAIN = "stopping after this update; Ctrl-C once more stops at once\n"


@contextmanager
def stop_on_signals(trainer: Trainer) -> Iterator[None]:
    """Inside, the first Ctrl-C (or SIGTERM) asks the trainer to stop after the running update.

    The second one is a KeyboardInterrupt at once: then the last checkpoint counts. In another
    thread than the main one no signal arrives, and nothing is changed.

    Args:
        trainer: whose `stop` and `interrupted` are set.

    Example:
        >>> from narae import nn, optim
        >>> from narae.data import DataLoader, TensorDataset
        >>> from narae.tensors.creation import ones
        >>> from narae.train import Data
        >>> loader, model = DataLoader(TensorDataset(ones(2, 1), ones(2, 1))), nn.Linear(1, 1)
        >>> optimizer = optim.SGD(model.parameters(), lr=0.1)
        >>> trainer = Trainer(Data(loader, loader), model, nn.MSELoss(), optimizer, epochs=3)
        >>> with stop_on_signals(trainer):
        ...     signal.raise_signal(signal.SIGINT)
        ...     _ = trainer.fit()
        >>> trainer.stop
        'stopped by Ctrl-C'
    """
    trainer.stop, trainer.interrupted = "", False
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    # What is ignored stays so, as SIGHUP under nohup; what other code handles in C stays its own.
    before = {x: handler for x, handler in before.items() if handler not in (signal.SIG_IGN, None)}
    handler = _handler(trainer, os.getpid())
    for number in before:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


def _handler(trainer: Trainer, owner: int) -> Any:
    def handle(number: int, frame: Any) -> None:
        if os.getpid() != owner:  # a process that was forked for something else
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        if trainer.interrupted:
            raise KeyboardInterrupt
        name = signal.Signals(number).name
        trainer.stop = f"stopped by {'Ctrl-C' if name == 'SIGINT' else name}"
        trainer.interrupted = True
        if name == "SIGINT" and os.isatty(2):
            os.write(2, _AGAIN.encode())  # print() must not be called where a signal may hit it

    return handle
