"""Korean small talk: a small Transformer answers a short question with a short answer.

task:   answer questions
data:   Korean chatbot pairs, 10,694 questions with answers, and 1,129 others to test on
expect: val_loss 3.63 (nats per piece of a word): answers are Korean, and often beside the point
time:   6 min
"""

from pathlib import Path

import narae.nn.functional as F
from narae.nn import Module
from narae.tensors import Tensor
from narae.text import Subwords
from narae.text.datasets import ChatbotKo
from narae.text.models.transformer import TranslationTransformer
from narae.train import Data, Settings

from .translate_de_en import IGNORED, count, forward, optimizer, schedule
from .translate_ko_en import loader

__all__ = ["count", "forward", "optimizer", "schedule"]
SETTINGS = Settings(epochs=12, clip=1.0)
TOKENS, LENGTH = 3000, 64


def data(folder: Path | None, batch_size: int = 32) -> Data:
    train, test = (ChatbotKo(folder, part, download=True) for part in ("train", "test"))
    tokenizer = Subwords.train([*train.sources, *train.targets], TOKENS)
    learnt, judged = (loader(part, tokenizer, batch_size, part is train) for part in (train, test))
    return Data(learnt, judged, tokenizer=tokenizer)


def model(width: int = 128, layers: int = 2, heads: int = 4, dropout: float = 0.2) -> Module:
    sizes = (TOKENS, width, layers, heads, 2 * width, LENGTH)
    return TranslationTransformer(*sizes, dropout, norm_first=True)


def loss(out: Tensor, target: Tensor) -> Tensor:  # nats of a subword
    return F.cross_entropy(out.flatten(0, 1), target.flatten(), ignore_index=IGNORED)
