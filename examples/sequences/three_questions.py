"""Three questions about the Transformer, answered by looking into one: python three_questions.py

1. How can an encoder read all words at once, when there may be any number of them?
2. What passes from the encoder to the decoder?
3. How does the decoder write a sentence?

`--page FILE` writes the attention of the answers as a page in which you can point at tokens.
"""

import argparse
from pathlib import Path

import narae
from narae.explain.attention_maps import attention_maps
from narae.nn.cached_attention import joined, queries_keys_values
from narae.nn.functional import scaled_dot_product_attention
from narae.text.generation.beam_search import beam_search
from narae.text.generation.stepping import Stepper
from narae.text.models.transformer import TranslationTransformer

WORDS = ["<pad>", "<bos>", "<eos>", "ich", "bin", "ein", "Student", "I", "am", "a", "student"]
BOS, EOS = 1, 2
SOURCE, TARGET = ["ich", "bin", "ein", "Student", "<eos>"], ["<bos>", "I", "am", "a", "student"]


def ids(words: list[str]) -> narae.Tensor:
    """(1, words), int64."""
    return narae.tensor([[WORDS.index(word) for word in words]])


def trained_model() -> TranslationTransformer:
    """A small Transformer that learned one sentence by heart."""
    narae.manual_seed(0)
    model = TranslationTransformer(len(WORDS), 32, 2, 4, 64, length=12, dropout=0.0)
    optimizer = narae.optim.Adam(model.parameters(), lr=3e-3)
    source, target = ids(SOURCE), ids([*TARGET, "<eos>"])

    @narae.compile
    def step(source: narae.Tensor, target: narae.Tensor) -> narae.Tensor:
        out = model(source, target[:, :-1])  # (1, time, words)
        loss = narae.nn.functional.cross_entropy(out.flatten(0, 1), target[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.detach()

    for _ in range(60):
        step(source, target)
    return model.eval()


def how_many_at_once(model: TranslationTransformer) -> None:
    """The weights are shared by all positions; only the table of scores grows with the words."""
    print("1. n words at once: no weight knows n; each word asks all the others.")
    for count in (2, 5):
        words = SOURCE[:count]
        x = model._embedded(ids(words))  # (1, n, width)
        z = model.transformer.encoder(x)
        scores = attention_maps(model.transformer.encoder, x)["layers.0.self_attn"][0, 0]
        attention = model.transformer.encoder.layers[0].self_attn
        q, k, v = queries_keys_values(attention, x)  # (1, heads, n, head_dim)
        alone = [scaled_dot_product_attention(q[:, :, i : i + 1], k, v) for i in range(count)]
        one_by_one = joined(attention, narae.cat(alone, 2))  # (1, n, width)
        print(f"   {count} words: in {tuple(x.shape)}, out {tuple(z.shape)}, scores {scores.shape}")
        assert narae.allclose(one_by_one, attention(x, x, x)[0], atol=1e-5)
    print(f"   {sum(p.numel() for p in model.parameters()):,} parameters in both cases")


def what_passes(model: TranslationTransformer) -> None:
    """The encoder's result becomes keys and values of each decoder layer, once for a sentence."""
    print("2. From encoder to decoder: keys and values, one pair for each layer and source word.")
    _, _, *caches = model.start(ids(SOURCE))
    for layer in range(2):
        keys, values = caches[4 * layer + 2 : 4 * layer + 4]
        print(f"   layer {layer}: keys {tuple(keys.shape)}, values {tuple(values.shape)}")
    other = model(ids(["Student", *SOURCE[1:]]), ids(TARGET))
    change = (other - model(ids(SOURCE), ids(TARGET))).abs().max().item()
    print(f"   another first word changes the logits by up to {change:.2f}")


def how_it_writes(model: TranslationTransformer) -> None:
    """Token by token: each logits' likeliest is what is read next, until the end comes."""
    print("3. Writing: one token a step, fed back, from <bos> to <eos>.")
    stepper, read, written = Stepper(model), BOS, []
    state = stepper.start(ids(SOURCE))
    while read != EOS and len(written) < 8:
        logits, state = stepper.step([read], state)
        before, read = read, int(logits.argmax())
        written.append(read)
        print(f"   reads {WORDS[before]:<8} writes {WORDS[read]}")
    found = beam_search(stepper, stepper.start(ids(SOURCE)), BOS, EOS, 8, beams=3)[0][0]
    print(f"   beam search: {' '.join(WORDS[token] for token in found.tokens)}")
    assert [*found.tokens, EOS] == written


def main(page: Path | None = None) -> None:
    """Answer all three."""
    model = trained_model()
    with narae.no_grad():
        how_many_at_once(model)
        what_passes(model)
        how_it_writes(model)
    if page is not None:
        attention_maps(model, ids(SOURCE), ids(TARGET)).write(page, TARGET, SOURCE)
        print(f"attention maps: {page}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--page", type=Path)
    main(parser.parse_args().page)
