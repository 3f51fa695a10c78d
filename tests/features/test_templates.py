"""Templates and pairs agree with transformers' own.

Hashed n-grams with a plain loop over fastText's formulas.
"""

from __future__ import annotations

from typing import Any

import pytest

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.features.ngrams import HashedNgrams, hash_bytes
from textkit.features.templates import IdTemplate, for_cnn, for_rnn, for_transformer, preset

FIRST = ["low lower", "", "new new new new new new", "a"]
SECOND = ["wide", "low", "", "wider wide wide wide wide"]
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "low", "lower", "new", "wide", "wider", "a"]


def bert() -> tuple[Any, Any]:
    from tokenizers import Tokenizer
    from tokenizers.processors import BertProcessing
    from transformers import PreTrainedTokenizerFast

    made = tokenizers.create("wordpiece", vocabulary=WORDS)
    backend = Tokenizer.from_str(made.json)  # type: ignore[attr-defined]
    backend.post_processor = BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    return made, PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="[PAD]")


@pytest.mark.parametrize("pairs", [None, SECOND])
@pytest.mark.parametrize("max_length", [None, 3, 4, 5, 6, 7, 8])
def test_ids_types_and_truncation_are_transformers(
    pairs: list[str] | None, max_length: int | None
) -> None:
    made, fast = bert()
    template = for_transformer(made)
    options = (
        {} if max_length is None else {"truncation": "longest_first", "max_length": max_length}
    )
    if pairs is not None and max_length == 3:
        options["max_length"] = max_length = 4
    expected = fast(FIRST, pairs, return_token_type_ids=True, **options)
    found = template.encode(made, FIRST, pairs, max_length=max_length)
    assert [len(row) for row in found.tokens] == [len(row) for row in expected["input_ids"]]
    if max_length is None or pairs is None:
        assert [row.tolist() for row in found.tokens] == expected["input_ids"]
        assert found.type_ids.tolist() == [
            type_ for row in expected["token_type_ids"] for type_ in row
        ]
    whole = template.encode(made, FIRST, pairs)
    lost = whole.tokens.lengths - found.tokens.lengths
    assert found.tokens.truncated.tolist() == lost.tolist()


def test_pairs_lose_the_longer_text_first() -> None:
    made, _ = bert()
    found = for_transformer(made).encode(made, ["a a a a a a"], ["low new"], max_length=7)
    assert made.decode(found.tokens[0].tolist()) == "[CLS] a a [SEP] low new [SEP]"
    assert found.tokens.truncated.tolist() == [4]


def test_presets_and_their_refusals() -> None:
    made, _ = bert()
    assert for_rnn(made) == IdTemplate()
    assert for_cnn(made).pad(for_cnn(made).encode(made, ["a"])).ids.shape == (1, 5)
    padded = for_cnn(made, min_length=7).pad(for_cnn(made).encode(made, ["a"]))
    assert padded.ids.tolist() == [[10, 0, 0, 0, 0, 0, 0]]
    with pytest.raises(UsageError, match="did you mean 'cnn'"):
        preset("cn", made)
    with pytest.raises(UsageError, match="neither"):
        for_transformer(tokenizers.create("word"))
    with pytest.raises(UsageError, match="template alone takes 3"):
        for_transformer(made).encode(made, ["a"], ["a"], max_length=2)
    with pytest.raises(UsageError, match="1 texts but 2 pairs"):
        for_transformer(made).encode(made, ["a"], ["a", "a"])


def character_ngrams(word: str, minn: int, maxn: int) -> list[bytes]:
    """Give the UTF-8 of the n-grams of `<word>`, by start and then by length.

    Single `<` and `>` are left out.
    """
    marked = f"<{word}>"
    n = len(marked)
    return [
        marked[start : start + size].encode("utf-8")
        for start in range(n)
        for size in range(max(minn, 1), min(maxn, n - start) + 1)
        if not (size == 1 and (start == 0 or start + size == n))
    ]


def naive_ids(source: HashedNgrams, text: str) -> list[int]:
    """fastText's Dictionary::getLine, word by word, in plain integers."""
    words, start = text.split(), len(source.words.vocabulary)
    ids, hashes = [], []
    for word in words:
        if word in source.words.vocabulary:
            ids.append(source.words.vocabulary[word])
        ids += [
            start + hash_bytes(gram) % source.buckets
            for gram in character_ngrams(word, source.minn, source.maxn)
        ]
        value = hash_bytes(word.encode())
        hashes.append(value - (1 << 32) if value >= 1 << 31 else value)
    for i in range(len(hashes)):
        running = hashes[i] % (1 << 64)
        for j in range(i + 1, min(len(hashes), i + source.word_ngrams)):
            running = (running * 116049371 + hashes[j]) % (1 << 64)
            ids.append(start + running % source.buckets)
    return ids


@pytest.mark.parametrize(
    ("minn", "maxn", "word_ngrams"), [(3, 6, 1), (0, 0, 3), (1, 2, 2), (2, 2, 5)]
)
def test_hashed_ngrams_match_the_plain_loop(minn: int, maxn: int, word_ngrams: int) -> None:
    words = tokenizers.create("whitespace", vocabulary=["low", "naïve"])
    source = HashedNgrams(words, minn=minn, maxn=maxn, word_ngrams=word_ngrams, buckets=1000)
    texts = ["low lower naïve 🙂 low", "", "word", "a b"]
    assert [row.tolist() for row in source.encode(texts)] == [
        naive_ids(source, text) for text in texts
    ]
    assert source.encode(texts).ids.max() < source.n_ids


@pytest.mark.parametrize("word", ["", "low", "naïve", "🙂", "हिन्दी", "<lo"])
def test_the_hash_is_fasttexts(word: str) -> None:
    """gensim carries fastText's hash, compiled from its formula.

    Signed bytes matter beyond ASCII.
    """
    from gensim.models.fasttext import ft_hash_bytes

    assert hash_bytes(word.encode()) == ft_hash_bytes(word.encode())


def test_bad_ngram_options_are_refused() -> None:
    with pytest.raises(UsageError, match="minn = 4, maxn = 3"):
        HashedNgrams(tokenizers.create("word"), minn=4, maxn=3)
    with pytest.raises(UsageError, match="buckets = 0"):
        HashedNgrams(tokenizers.create("word"), buckets=0)
