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
        expected = [
            (token.idx, token.idx + len(token))
            for token in nlp.make_doc(clean)
            if not token.is_space
        ]
        assert [tuple(span) for span in batch.row_spans(row).tolist()] == expected
    assert batch.n_replaced == 1
    assert made.unknown_id not in batch.ids


@pytest.mark.slow
@pytest.mark.parametrize("mark", ["_", "1"])
def test_a_long_run_is_cut(mark: str) -> None:
    """spaCy makes a token of each underscore, and one of all digits: then a token ends at each
    cut.
    """
    texts = ["one two", f"see {mark * 1200} there, {mark * 3}", "", f"{mark * 1100}end"]
    made = tokenizers.train("spacy", texts)
    batch = made.encode(texts, spans=True)
    nlp = spacy.blank("en")
    for row, text in enumerate(texts):
        own = [
            (token.idx, token.idx + len(token))
            for token in nlp.make_doc(text)
            if not token.is_space
        ]
        found = [(start, end) for start, end in batch.row_spans(row).tolist()]
        cut = {0: None, 1: 4 + 1024, 2: None, 3: 1024}[row]
        assert [span for span in found if span in own] == [
            span for span in own if not span[0] < (cut or 0) < span[1]
        ]
        assert sum(end - start for start, end in found) == sum(end - start for start, end in own)
        assert all(cut in (start, end) for start, end in found if (start, end) not in own)
        assert [made.vocabulary[text[start:end]] for start, end in found] == batch[row].tolist()


def test_saved_and_loaded_is_the_same() -> None:
    made = tokenizers.train("spacy", TEXTS, lowercase=True)
    made.save("tok")
    loaded = tokenizers.load("tok")
    assert loaded.encode(TEXTS).ids.tolist() == made.encode(TEXTS).ids.tolist()
    assert loaded.fingerprint == made.fingerprint
    assert [path.name for path in sorted(Path("tok").iterdir())] == [
        "manifest.json",
        "spacy_words.json",
    ]


def test_an_unknown_language_is_one_line() -> None:
    with pytest.raises(UsageError, match="spaCy knows no language or pipeline 'zz'"):
        tokenizers.create("spacy", language="zz")


def test_a_smaller_vocabulary_is_that_of_a_smaller_training() -> None:
    large, small = (tokenizers.train("spacy", [*TEXTS, "stop stop"], size=n) for n in (9, 4))
    assert large.shrink(4).fingerprint == small.fingerprint
    with pytest.raises(UsageError, match="size is 10, but only 9 tokens were learnt"):
        large.shrink(10)


def test_what_only_a_list_of_words_can_do_is_refused() -> None:
    made = tokenizers.create("spacy", vocabulary=["stop"])
    with pytest.raises(UsageError, match="a 'spacy' tokenizer is no list of words"):
        made.extend(["more"])
    assert (made.tokens([2]), made.splitter(), made.around) == (["stop"], None, ((), ()))
    assert (len(made), made.has_vocabulary, made.special_ids) == (3, True, {0, 1})
