"""What every TextEncoder keeps to, be it a tokenizer, a template, n-grams or a TextInput."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.features.ngrams import HashedNgrams
from textkit.features.templates import BoundTemplate, IdTemplate
from textkit.features.text_encoder import BoundTokenizer, TextEncoder, bind
from textkit.features.text_input import TextInput

TEXTS = ["low lower low", "", "a word never seen", "low"]
WORDS = tokenizers.create("whitespace", vocabulary=["low", "lower", "word"])
NGRAMS = HashedNgrams(WORDS, minn=2, maxn=3, word_ngrams=2, buckets=50)
ENCODERS: dict[str, TextEncoder] = {
    "tokenizer": BoundTokenizer(WORDS),
    "cut tokenizer": BoundTokenizer(WORDS, 2),
    "template": BoundTemplate(WORDS, IdTemplate((2,), (3,)), 4),
    "other template": BoundTemplate(WORDS, IdTemplate((3,), (2,)), 4),
    "ngrams": NGRAMS,
    "cut ngrams": replace(NGRAMS, max_length=2),
    "kept ngrams": NGRAMS.keep(NGRAMS.encode(TEXTS))[0],
    "input": TextInput(WORDS, 3),
    "input of ngrams": TextInput(WORDS, 3, replace(NGRAMS, buckets=51)),
}


@pytest.mark.parametrize("name", ENCODERS)
def test_rows_are_texts_and_ids_are_below_their_number(name: str) -> None:
    encoder = ENCODERS[name]
    assert isinstance(encoder, TextEncoder)
    batch = encoder.encode(TEXTS)
    assert len(batch) == len(TEXTS) and len(encoder.encode([])) == 0
    assert batch.ids.min() >= 0 and batch.ids.max() < encoder.n_ids
    alone = [encoder.encode([text]) for text in TEXTS]
    assert [row.tolist() for row in batch] == [one.ids.tolist() for one in alone]
    assert batch.truncated.tolist() == [int(one.truncated[0]) for one in alone]
    if name.startswith("cut"):
        assert batch.lengths.max() == 2 and batch.truncated.max() > 0


def test_descriptions_are_json_and_differ_where_ids_do() -> None:
    written = {json.dumps(encoder.describe()) for encoder in ENCODERS.values()}
    assert len(written) == len(ENCODERS)


def test_a_cut_is_a_tokenizers_and_other_encoders_have_their_own() -> None:
    assert np.array_equal(bind(WORDS, max_length=2).encode(TEXTS).lengths, [2, 0, 2, 1])
    assert bind(NGRAMS) is NGRAMS
    with pytest.raises(UsageError, match="a HashedNgrams has a max_length of its own"):
        bind(NGRAMS, max_length=2)
