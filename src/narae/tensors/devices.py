"""Devices: `cpu` always; others when an executor for them is installed."""

from typing import Any

from narae.base.errors import DeviceError, explain


class Device:
    """Where tensors live, such as `narae.device("cpu")`."""

    type: str
    index: int | None

    def __init__(self, type: Any, index: int | None = None) -> None:
        if isinstance(type, Device):
            type, index = type.type, type.index
        name, _, number = str(type).partition(":")
        if name not in ("cpu", "cuda", "tpu", "mps", "meta") or (number and not number.isdigit()):
            raise DeviceError(
                explain("device", f"got {type!r}", "known devices are cpu, cuda, tpu")
            )
        self.type = name
        self.index = int(number) if number else index

    def __repr__(self) -> str:
        index = "" if self.index is None else f", index={self.index}"
        return f"device(type='{self.type}'{index})"

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Device) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))


CPU = Device("cpu")


def check_device(device: Any) -> None:
    """Accept the CPU; refuse devices that are not there.

    Raises:
        RuntimeError: naming the device and what can be used instead.
    """
    if device is None or device is CPU:
        return
    wanted = Device(device)
    if wanted.type != "cpu":
        raise DeviceError(
            explain(
                "device",
                f"{wanted} was asked for",
                "only cpu is available on this machine",
                "'cuda' if narae.cuda.is_available() else 'cpu'",
            )
        )


class _Cuda:
    """`narae.cuda`: honest about there being none."""

    @staticmethod
    def is_available() -> bool:
        """Whether a CUDA device can be used."""
        return False

    @staticmethod
    def device_count() -> int:
        """The number of CUDA devices."""
        return 0

    @staticmethod
    def manual_seed(seed: int) -> None:
        """Nothing to seed without a device."""

    @staticmethod
    def manual_seed_all(seed: int) -> None:
        """Nothing to seed without a device."""

    @staticmethod
    def empty_cache() -> None:
        """Nothing to empty without a device."""

    @staticmethod
    def synchronize(device: Any = None) -> None:
        """Nothing to wait for without a device."""


cuda = _Cuda()
