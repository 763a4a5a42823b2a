"""P(x1, ..., xT) is a product of conditional probabilities, and no evidence is left over.

    python examples/sequences/chain_of_conditionals.py

Bayes' rule divides by the evidence: P(x2 | x1) = P(x1 | x2) P(x2) / P(x1). So why is there none
in P(x1, ..., xT) = P(x1) P(x2 | x1) ... P(xT | x1, ..., x(T-1))? Each conditional probability is
a joint one over its evidence, P(x1, ..., xt) / P(x1, ..., x(t-1)), and that evidence is the joint
probability that the factor before has just made: it cancels. The first evidence is P() = 1.
"""

from fractions import Fraction

from narae.text.models.ngram import NGram

# Weather of three days, r(ain) or s(un), written down ten times.
TOY_CORPUS = ("rrr", "rrs", "rrr", "rsr", "sss", "ssr", "sss", "rss", "ssr", "sss")
WORDS = "^rs"  # ^ stands before each sequence


def joint(sequence: str) -> Fraction:
    """P(x1, ..., xt): the share of the corpus that begins so."""
    begun = sum(text.startswith(sequence) for text in TOY_CORPUS)
    return Fraction(begun, len(TOY_CORPUS))


def conditional(token: str, before: str) -> Fraction:
    """P(xt | x1, ..., x(t-1)): of what begins so, the share that goes on so."""
    begun = [text for text in TOY_CORPUS if text.startswith(before)]
    return Fraction(sum(text.startswith(before + token) for text in begun), len(begun))


def posterior(token: str, before: str) -> Fraction:
    """The same by Bayes' rule: likelihood times prior over evidence.

    >>> posterior("s", "r")
    Fraction(2, 5)
    """
    place = len(before)
    with_token = [text for text in TOY_CORPUS if text[place] == token]
    prior = Fraction(len(with_token), len(TOY_CORPUS))
    likelihood = Fraction(sum(text.startswith(before) for text in with_token), len(with_token))
    evidence = joint(before)
    return likelihood * prior / evidence


def factors(sequence: str) -> list[tuple[Fraction, Fraction]]:
    """For each step: the joint probability that it makes, and the evidence that it divides by."""
    return [(joint(sequence[: t + 1]), joint(sequence[:t])) for t in range(len(sequence))]


def by_model(sequence: str, order: int) -> float:
    """The product of conditional probabilities of an n-gram model of the corpus."""
    model = NGram(order, len(WORDS), bos_id=0).fit([encoded(text) for text in TOY_CORPUS])
    product = 1.0
    for t in range(len(sequence)):
        context = [0] * (order - 1) + encoded(sequence[:t])
        product *= model.probability(WORDS.index(sequence[t]), context)
    return product


def encoded(sequence: str) -> list[int]:
    return [WORDS.index(token) for token in sequence]


def main() -> None:
    print("sequence  joint  = product of (joint so far / evidence)      3-gram  2-gram")
    for sequence in sorted(set(TOY_CORPUS)):
        steps, product = factors(sequence), Fraction(1)
        for t, (above, evidence) in enumerate(steps):
            assert above / evidence == conditional(sequence[t], sequence[:t])
            assert above / evidence == posterior(sequence[t], sequence[:t])
            assert t == 0 or evidence == steps[t - 1][0]  # the evidence is the factor before
            product *= above / evidence
        assert product == joint(sequence)
        shown = " · ".join(f"({above})/({evidence})" for above, evidence in steps)
        grams = f"{by_model(sequence, 3):6.3f}  {by_model(sequence, 2):6.3f}"
        print(f"{sequence:8} {joint(sequence)!s:>6}  = {shown:40}  {grams}")
    print("\nThree days need all two days before them: the 3-gram model is exact, a Markov chain")
    print("of single days (the 2-gram model) forgets the first day and is not.")


if __name__ == "__main__":
    main()
