"""Dates as people write them into dates as machines do: python dates.py [--steps 600]

    "07 march 1998" -> "1998-03-07"

A small Transformer learns it from examples; the table shows how many of 500 new dates are right.
"""

import argparse
import datetime
import random

import narae
import narae.nn.functional as F
from narae.text import Characters
from narae.text.generation.translate import translate
from narae.text.models.transformer import TranslationTransformer

FORMS = ("%d %B %Y", "%B %d, %Y", "%d/%m/%Y", "%d %b %y")


def pairs(count: int, seed: int) -> list[tuple[str, str]]:
    """Random dates from 1970 to 2029, written by people and by machines."""
    draw = random.Random(seed)
    first = datetime.date(1970, 1, 1).toordinal()
    days = [datetime.date.fromordinal(first + draw.randrange(21_900)) for _ in range(count)]
    return [(day.strftime(draw.choice(FORMS)).lower(), day.isoformat()) for day in days]


def rows(texts: list[str], tokenizer: Characters, length: int, bos: bool) -> narae.Tensor:
    """(texts, length), int64, filled up with 0."""
    ids = tokenizer.encode_all(texts, bos=bos, eos=True)
    return narae.tensor([row + [0] * (length - len(row)) for row in ids])


def train(steps: int, batch: int = 64) -> TranslationTransformer:
    """A model that has seen so many batches of dates."""
    narae.manual_seed(0)
    known = pairs(20_000, seed=0)
    tokenizer = Characters.fit([text for pair in known for text in pair])
    model = TranslationTransformer(
        len(tokenizer), 64, 2, 4, 128, length=24, dropout=0.0, norm_first=True
    )
    model.tokenizer = tokenizer
    optimizer = narae.optim.AdamW(model.parameters(), lr=2e-3)
    schedule = narae.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, steps)

    @narae.compile
    def step(source: narae.Tensor, target: narae.Tensor) -> narae.Tensor:
        out = model(source, target[:, :-1])  # (batch, time, characters)
        loss = F.cross_entropy(out.flatten(0, 1), target[:, 1:].flatten(), ignore_index=0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    sources, targets = (list(column) for column in zip(*known, strict=True))
    source = rows(sources, tokenizer, 24, bos=False)
    target = rows(targets, tokenizer, 12, bos=True)
    for number in range(steps):
        chosen = narae.randint(0, len(known), (batch,))
        loss = step(source[chosen], target[chosen])
        schedule.step()
        if number % 100 == 99:
            print(f"step {number + 1}: loss {loss.item():.4f}", flush=True)
    return model.eval()


def share_right(model: TranslationTransformer, count: int = 500) -> float:
    """How many new dates are written exactly as they should be."""
    sources, wanted = zip(*pairs(count, seed=1), strict=True)
    found = translate(model, sources, beams=1, max_tokens=12, batch_size=250)
    for source, text, right in list(zip(sources, found, wanted, strict=True))[:5]:
        print(f"  {source:<20} {text}  {'' if text == right else 'wrong: ' + right}".rstrip())
    return sum(text == right for text, right in zip(found, wanted, strict=True)) / count


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=600)
    share = share_right(train(parser.parse_args().steps))
    print(f"{share:.1%} of 500 new dates are right")
