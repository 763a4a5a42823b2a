"""Data sets of text.

from narae.text.datasets import Multi30k

train = Multi30k(split="train", source="de", target="en")
"""

from .labelled import LabelledText
from .pairs import ChatbotKo, Multi30k, Tatoeba, TextPairs
from .shakespeare import TinyShakespeare

__all__ = ["ChatbotKo", "LabelledText", "Multi30k", "Tatoeba", "TextPairs", "TinyShakespeare"]
