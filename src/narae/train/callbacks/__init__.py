"""What can take part in training: one class a file, all of them to be had from here."""

from .averaging import EMA, SWA
from .checkpoints import Checkpoints
from .clip import ClipGradients
from .csv_log import CSVLog
from .cutmix import CutMix, MixupOrCutMix
from .early_stopping import EarlyStopping
from .epoch_log import EpochLog
from .freezing import Freeze
from .json_lines import JSONLines
from .label_smoothing import LabelSmoothing
from .learning_rate import LearningRate
from .mixup import Mixing, Mixup
from .mlflow import MLflow
from .noise import InputNoise, WeightNoise
from .penalty import Penalty
from .progress import Progress
from .schedule import Schedule
from .tensorboard import TensorBoard
from .timing import Timing
from .wandb import WandB

__all__ = [
    "EMA",
    "SWA",
    "CSVLog",
    "Checkpoints",
    "ClipGradients",
    "CutMix",
    "EarlyStopping",
    "EpochLog",
    "Freeze",
    "InputNoise",
    "JSONLines",
    "LabelSmoothing",
    "LearningRate",
    "MLflow",
    "Mixing",
    "Mixup",
    "MixupOrCutMix",
    "Penalty",
    "Progress",
    "Schedule",
    "TensorBoard",
    "Timing",
    "WandB",
    "WeightNoise",
]
