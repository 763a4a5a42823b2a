"""Vocabularies and tokenizers."""

import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

import narae
from narae.base.errors import BoundsError, ConfigError, DataError, FileFormatError
from narae.text import (
    NO_SPECIALS,
    Characters,
    Jamo,
    Specials,
    Subwords,
    Syllables,
    Vocabulary,
    Whitespace,
    load_tokenizer,
    tokenizer_from_state_dict,
)

TEXTS = ["나는 학교에 간다.", "너는 GPT-2와 학교에 갔다!", "to be or not to be"]
KINDS = [Characters, Whitespace, Syllables, Jamo]


# ---------------------------------------------------------------------------------- vocabulary
def test_the_most_frequent_tokens_come_first_and_equal_ones_by_name():
    tokens = ["b", "a", "c", "c", "<unk>", "<unk>", "<unk>"]
    vocabulary = Vocabulary.of(tokens)
    assert vocabulary.tokens == ("<pad>", "<bos>", "<eos>", "<unk>", "c", "a", "b")
    assert (vocabulary.pad_id, vocabulary.bos_id, vocabulary.eos_id, vocabulary.unk_id) == (
        0,
        1,
        2,
        3,
    )
    assert Vocabulary.of(tokens, min_freq=2).tokens[4:] == ("c",)
    assert Vocabulary.of(tokens, max_size=6).tokens[4:] == ("c", "a")
    assert vocabulary["b"] == 6 and vocabulary["z"] == 3 and "b" in vocabulary


def test_unknown_tokens_are_counted_and_refused_without_unk():
    vocabulary = Vocabulary(["a"], Specials(unk=None))
    assert vocabulary.unknown("abcb") == {"b": 2, "c": 1}
    with pytest.raises(
        DataError, match=r"3 tokens are not in the vocabulary: 'b' \(2\), 'c' \(1\)"
    ):
        vocabulary.encode("abcb")
    with pytest.raises(DataError, match="3 tokens"):
        vocabulary.encode(iter("abcb"))
    with pytest.raises(DataError, match="1 of 2 tokens are left out"):
        Vocabulary.of("aab", min_freq=2, specials=NO_SPECIALS)


def test_vocabularies_that_are_refused(tmp_path):
    with pytest.raises(DataError, match="'a' comes 2 times"):
        Vocabulary("aba")
    with pytest.raises(DataError, match="is empty"):
        Vocabulary(["a", ""])
    with pytest.raises(DataError, match="no tokens"):
        Vocabulary.of([])
    with pytest.raises(ConfigError, match="max_size is 4"):
        Vocabulary.of("ab", max_size=4)
    with pytest.raises(BoundsError, match=r"no id -1; ids are 0 to 4"):
        Vocabulary("a").decode([-1])
    for damaged in ("", "[]", "{", "{}", '{"specials": {}, "tokens": [1]}', '{"specials": 3}'):
        path = tmp_path / "vocabulary.json"
        path.write_text(damaged)
        with pytest.raises(FileFormatError):
            Vocabulary.load(path)


def test_a_saved_vocabulary_is_the_same(tmp_path):
    vocabulary = Vocabulary.of(["나는", "나는", "너"], specials=Specials(bos=None, unk="[?]"))
    vocabulary.save(tmp_path / "vocabulary.json")
    assert Vocabulary.load(tmp_path / "vocabulary.json") == vocabulary
    assert vocabulary.bos_id is None and vocabulary.unk_id == 2


# ---------------------------------------------------------------------------------- tokenizers
@pytest.mark.parametrize("kind", KINDS)
def test_text_comes_back_and_a_saved_tokenizer_is_the_same(tmp_path, kind):
    tokenizer = kind.fit(TEXTS)
    tokenizer.save(tmp_path / "tokenizer.json")
    other = load_tokenizer(tmp_path / "tokenizer.json")
    again = tokenizer_from_state_dict(json.loads(json.dumps(tokenizer.state_dict())))
    for text in TEXTS:
        ids = tokenizer.encode(text, bos=True, eos=True)
        assert ids[0] == tokenizer.bos_id and ids[-1] == tokenizer.eos_id
        assert tokenizer.decode(ids) == text
        assert tokenizer.decode(narae.tensor(ids)) == text
        assert other.encode(text, True, True) == again.encode(text, True, True) == ids
    assert type(other) is kind and len(other) == len(tokenizer) > max(ids)
    assert tokenizer.encode_all(TEXTS) == [tokenizer.encode(text) for text in TEXTS]


@given(st.text())
def test_characters_and_jamo_give_any_text_back(text):
    for kind in (Characters, Jamo):
        if text:
            tokenizer = kind.fit(text, specials=NO_SPECIALS)
            found = tokenizer.decode(tokenizer.encode(text))
            assert found == (text if kind is Characters else unicodedata.normalize("NFC", text))


def test_korean_pieces():
    """C5: Korean text as syllables and as jamo; letters that macOS writes apart are joined."""
    text = "우리는 LSTM을 배운다!"
    assert Syllables.cut(text) == ["▁우", "리", "는", "▁LSTM", "을", "▁배", "운", "다", "!"]
    assert Syllables.cut(unicodedata.normalize("NFD", text)) == Syllables.cut(text)
    assert Syllables.cut(" \n") == []
    # 값 is ㄱ + ㅏ + ㅄ: (0 * 21 + 0) * 28 + 18 after U+AC00.
    lead, vowel, tail = Jamo.cut("값")
    index = ((ord(lead) - 0x1100) * 21 + ord(vowel) - 0x1161) * 28 + ord(tail) - 0x11A7
    assert chr(0xAC00 + index) == "값"
    jamo = Jamo.fit(["각난닫랄맘밥삿앙"], specials=Specials(unk=None))
    assert jamo.decode(jamo.encode("강남")) == "강남"  # no such syllable was learnt


def test_unknown_pieces_are_counted():
    tokenizer = Whitespace.fit(["To be"], lower=True)
    assert tokenizer.encode("to BE free") == [5, 4, 3]
    assert tokenizer.unknown("to be free free") == {"free": 2}
    assert tokenizer.decode([5, 3, 4]) == "to be"
    assert tokenizer.decode([5, 3, 4], skip_specials=False) == "to <unk> be"


def test_ends_that_do_not_exist_are_refused():
    tokenizer = Characters.fit("ab", specials=NO_SPECIALS)
    with pytest.raises(ConfigError, match=r"bos=True, but there is no bos token"):
        tokenizer.encode("a", bos=True)
    with pytest.raises(DataError, match="'z'"):
        tokenizer.encode("az")


@pytest.mark.parametrize("state", [{}, {"tokenizer": "words"}, {"tokenizer": "characters"}])
def test_states_that_are_refused(state):
    with pytest.raises(FileFormatError):
        tokenizer_from_state_dict(state)


# ------------------------------------------------------------------------------------ subwords
WORDS = ["low lower lowest new newer newest wide wider widest"] * 5 + [
    "낮은 낮게 새로운 새롭게"
] * 5


@pytest.mark.parametrize("model", ["bpe", "wordpiece", "unigram"])
def test_subwords(tmp_path, model):
    library = pytest.importorskip("tokenizers")
    tokenizer = Subwords.train(WORDS, vocab_size=300 if model == "bpe" else 60, model=model)
    text = "lower newest 낮은"
    ids = tokenizer.encode(text, bos=True, eos=True)
    assert ids[0] == 1 and ids[-1] == 2 and tokenizer.decode(ids) == text
    assert tokenizer.encode_all([text], True, True) == [ids]
    assert len(tokenizer.tokenize(text)) == len(ids) - 2

    tokenizer.save(tmp_path / "narae.json")
    assert load_tokenizer(tmp_path / "narae.json").encode(text, True, True) == ids
    tokenizer.export(tmp_path / "tokenizer.json")
    assert load_tokenizer(tmp_path / "tokenizer.json").encode(text, True, True) == ids
    theirs = library.Tokenizer.from_file(str(tmp_path / "tokenizer.json"))
    assert theirs.encode(text).ids == ids[1:-1]
    again = Subwords.train(WORDS, vocab_size=len(tokenizer), model=model)
    assert len(again) == len(tokenizer)


def test_bpe_merges_the_most_frequent_pairs():
    """The example of Sennrich et al., 2016, Figure 1: its first merges."""
    pytest.importorskip("tokenizers")
    words = ["low"] * 5 + ["lowest"] * 2 + ["newer"] * 6 + ["wider"] * 3
    tokenizer = Subwords.train(words, vocab_size=260 + 3, specials=Specials())
    learnt = set(tokenizer.inner.get_vocab(with_added_tokens=False))
    assert {"er", "lo", "low"} <= learnt  # er 9 times, lo 7, then low 7


def test_no_text_is_unknown_to_bpe():
    pytest.importorskip("tokenizers")
    tokenizer = Subwords.train(WORDS, vocab_size=280, specials=Specials(unk=None))
    for text in ("  two  blanks\n", "뷁 😀 \x00", "Ünïcode"):
        assert tokenizer.decode(tokenizer.encode(text)) == text


def test_published_files_with_unusual_names(tmp_path):
    pytest.importorskip("tokenizers")
    specials = Specials(pad="[PAD]", bos="[CLS]", eos="[SEP]", unk="[UNK]")
    tokenizer = Subwords.train(WORDS, 60, "wordpiece", specials=specials)
    tokenizer.export(tmp_path / "tokenizer.json")
    assert Subwords.from_file(tmp_path / "tokenizer.json").specials == specials
    with pytest.raises(ConfigError, match="no token '<s>'"):
        Subwords.from_file(tmp_path / "tokenizer.json", Specials(bos="<s>", pad=None))


def test_subwords_that_are_refused(tmp_path):
    pytest.importorskip("tokenizers")
    with pytest.raises(ConfigError, match="one of bpe, wordpiece, unigram"):
        Subwords.train(WORDS, 300, "words")
    with pytest.raises(ConfigError, match="at least 260: every byte"):
        Subwords.train(WORDS, 200)
    with pytest.raises(ConfigError, match="without an unk token"):
        Subwords.train(WORDS, 60, "wordpiece", specials=Specials(unk=None))
    with pytest.raises(DataError, match="no text"):
        Subwords.train([" "], 300)
    for wrong in ([9999, 5], [5, -1], [1 << 40]):
        with pytest.raises(BoundsError, match="there is no id"):
            Subwords.train(WORDS, 280).decode(wrong)
    for model in ("wordpiece", "unigram"):
        with pytest.raises(ConfigError, match=r"vocab_size is 12.*all characters"):
            Subwords.train(WORDS, 12, model)
    path = tmp_path / "tokenizer.json"
    path.write_text('{"model": {"type": "Nothing"}}')
    with pytest.raises(FileFormatError, match="is no tokenizer"):
        load_tokenizer(path)


def test_nothing_is_cut_off_or_padded(tmp_path):
    """Published tokenizer.json often cut texts off and fill them up; a model's own rules count."""
    pytest.importorskip("tokenizers")
    tokenizer = Subwords.train(WORDS, 280)
    text = "low new wide " * 20
    ids = tokenizer.encode(text)
    tokenizer.inner.enable_truncation(4)
    tokenizer.inner.enable_padding(length=8)
    tokenizer.export(tmp_path / "tokenizer.json")
    assert len(tokenizer.inner.encode(text).ids) == 8
    read = load_tokenizer(tmp_path / "tokenizer.json")
    assert read.encode(text) == read.encode_all([text])[0] == ids
    assert len(read.encode("low")) < 8


def test_ids_with_gaps_are_decoded(tmp_path):
    """A published vocabulary may leave numbers out: the highest id is not the number of tokens."""
    pytest.importorskip("tokenizers")
    tokenizer = Subwords.train(WORDS, 280)
    state = json.loads(tokenizer.inner.to_str())
    vocab = state["model"]["vocab"]
    last = max(vocab, key=vocab.get)
    vocab[last] += 20
    path = tmp_path / "tokenizer.json"
    path.write_text(json.dumps(state), "utf-8")
    gaps = Subwords.from_file(path)
    assert gaps.decode([vocab[last]]) == tokenizer.decode([vocab[last] - 20])
    with pytest.raises(BoundsError, match=f"there is no id {vocab[last] - 20}"):
        gaps.decode([vocab[last] - 20])


@pytest.mark.parametrize("kind", [Characters, Subwords])
def test_one_text_where_several_belong(kind):
    """A text is a sequence of texts of one character: nothing must be learnt or encoded so."""
    if kind is Subwords:
        pytest.importorskip("tokenizers")
        text = WORDS[0]
        assert len(Subwords.train(text, 280)) == len(Subwords.train([text], 280)) > 260
        tokenizer = Subwords.train(text, 280)
    else:
        tokenizer = Characters.fit(WORDS[0])
    with pytest.raises(DataError, match=r"texts is one text.*\[text\]"):
        tokenizer.encode_all("low")


@pytest.mark.parametrize("ids", [[[1, 2]], narae.tensor([[1, 2]]), 5, [1.5], "ab", [[1], [2, 3]]])
def test_ids_that_are_no_row_of_numbers(ids):
    with pytest.raises(DataError, match="integers"):
        Characters.fit("abc").decode(ids)
    pytest.importorskip("tokenizers")
    with pytest.raises(DataError, match="integers"):
        Subwords.train(WORDS, 280).decode(ids)
    assert Characters.fit("abc").decode(iter([4, 5])) == "ab"
