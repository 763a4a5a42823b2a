"""Tatoeba, Korean to English: what a small Transformer can learn from 800 short sentences.

task:   translate
data:   Tatoeba, 904 pairs of short sentences, a tenth of them to test on
expect: val_bleu 1.6: so few pairs teach phrases and no language
time:   2 min
"""

from pathlib import Path

from narae.data import DataLoader
from narae.nn import Module
from narae.text import LengthBuckets, Padded, Subwords, TokenDataset, length_bounds
from narae.text.datasets import Tatoeba, TextPairs
from narae.text.models.transformer import TranslationTransformer
from narae.train import Data, Settings

from .translate_de_en import count, evaluate, forward, loss, optimizer, schedule

__all__ = ["count", "evaluate", "forward", "loss", "optimizer", "schedule"]
SETTINGS = Settings(epochs=40, clip=1.0, validate_every=5)
TOKENS, LENGTH = 1000, 96


def data(folder: Path | None, batch_size: int = 32) -> Data:
    train, test = (Tatoeba(folder, part, "ko", "en", download=True) for part in ("train", "test"))
    tokenizer = Subwords.train([*train.sources, *train.targets], TOKENS)
    learnt = loader(train, tokenizer, batch_size, True)
    return Data(learnt, loader(test, tokenizer, batch_size, False), tokenizer=tokenizer)


def loader(pairs: TextPairs, tokenizer: Subwords, batch_size: int, train: bool) -> DataLoader:
    sources = tokenizer.encode_all(pairs.sources, eos=True)
    dataset = TokenDataset(sources, tokenizer.encode_all(pairs.targets, bos=True, eos=True))
    bounds = length_bounds(dataset.lengths, buckets=2)
    batches = LengthBuckets(dataset.lengths, bounds, batch_size, shuffle=train, drop_last=train)
    return DataLoader(dataset, batch_sampler=batches, collate_fn=Padded(bounds))


def model(width: int = 128, layers: int = 2, heads: int = 4, dropout: float = 0.3) -> Module:
    sizes = (TOKENS, width, layers, heads, 2 * width, LENGTH)
    return TranslationTransformer(*sizes, dropout, norm_first=True)
