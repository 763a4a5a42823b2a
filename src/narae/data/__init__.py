"""Data sets and the loader that makes mini-batches of them; also `narae.utils.data`.

>>> import narae
>>> x = narae.tensor([[73.0], [93.0], [89.0]])
>>> loader = DataLoader(TensorDataset(x, 2 * x), batch_size=2)
>>> [inputs.shape for inputs, targets in loader]
[narae.Size([2, 1]), narae.Size([1, 1])]
"""

from .collate import default_collate, default_convert
from .combined import ChainDataset, ConcatDataset, StackDataset
from .dataset import Dataset, IterableDataset, TensorDataset
from .frames import FrameDataset, from_dataframe
from .loader import DataLoader
from .sampler import (
    BatchSampler,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .split import Subset, random_split
from .workers import WorkerError, get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "DistributedSampler",
    "FrameDataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerError",
    "default_collate",
    "default_convert",
    "from_dataframe",
    "get_worker_info",
    "random_split",
]
