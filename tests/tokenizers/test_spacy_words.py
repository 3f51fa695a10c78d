"""The `spacy` kind gives spaCy's own tokens, without its white space."""

from __future__ import annotations

from pathlib import Path

import pytest
import spacy

from textkit import tokenizers
from textkit.errors import UsageError

TEXTS = ["Don't stop, U.K.!  Two  spaces", "", "\n\n", "日本語 🙂 e.g. Ünder", "a\ud800b"]


@pytest.mark.parametrize("language", ["en", "de", "xx"])
def test_tokens_are_spacys_own(language: str) -> None:
    made = tokenizers.train("spacy", TEXTS, language=language)
    batch = made.encode(TEXTS, spans=True)
    nlp = spacy.blank(language)
    for row, text in enumerate(TEXTS):
        clean = text.replace("\ud800", "\ufffd")
        expected = [(token.idx, token.idx + len(token)) for token in nlp.make_doc(clean) if not token.is_space]
        assert [tuple(span) for span in batch.row_spans(row).tolist()] == expected
    assert batch.n_replaced == 1
    assert made.unknown_id not in batch.ids


def test_saved_and_loaded_is_the_same() -> None:
    made = tokenizers.train("spacy", TEXTS, lowercase=True)
    made.save("tok")
    loaded = tokenizers.load("tok")
    assert loaded.encode(TEXTS).ids.tolist() == made.encode(TEXTS).ids.tolist()
    assert loaded.fingerprint == made.fingerprint
    assert [path.name for path in sorted(Path("tok").iterdir())] == ["manifest.json", "spacy_words.json"]


def test_an_unknown_language_is_one_line() -> None:
    with pytest.raises(UsageError, match="spaCy knows no language or pipeline 'zz'"):
        tokenizers.create("spacy", language="zz")
