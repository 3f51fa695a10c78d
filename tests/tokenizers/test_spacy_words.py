"""The `spacy` kind gives spaCy's own tokens, without its white space."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import spacy

from textkit import tokenizers
from textkit.errors import ArtifactError, UsageError
from textkit.io import files

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


def plant(folder: Path, *, entry_point: bool) -> None:
    """Install a distribution `planted_words` into a folder: a pipeline that leaves a mark."""
    info = folder / "planted_words-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Name: planted_words\nVersion: 1.0\n", encoding="utf-8")
    points = "[spacy_models]\nplanted_words = planted_words\n" if entry_point else ""
    (info / "entry_points.txt").write_text(points, encoding="utf-8")
    code = (
        "import spacy\nopen('imported', 'w').close()\ndef load():\n    return spacy.blank('de')\n"
    )
    (folder / "planted_words.py").write_text(code, encoding="utf-8")


def change_saved(**values: object) -> None:
    """Change what a saved tokenizer says, as the author of a folder could."""
    path = Path("tok/spacy_words.json")
    files.write_json(path, files.read_json(path) | values)
    files.write_manifest(Path("tok"), kind="tokenizer", format=1)


@pytest.mark.parametrize(
    "language",
    [
        "planted_words",
        "pipeline",
        "./pipeline",
        "en.examples",
        "..en",
        "",
        "EN",
        "blank:en",
        3,
        None,
        ["en"],
        {"en": 1},
    ],
)
def test_a_saved_tokenizer_opens_no_package_and_no_folder(
    language: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend("site")
    plant(Path("site"), entry_point=False)
    spacy.blank("en").to_disk("pipeline")
    tokenizers.train("spacy", TEXTS).save("tok")
    change_saved(language=language)
    with pytest.raises(ArtifactError, match=r"^tok/spacy_words.json: language is "):
        tokenizers.load("tok")
    assert not Path("imported").exists()
    assert "planted_words" not in sys.modules


def test_a_saved_tokenizer_opens_an_installed_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend("site")
    plant(Path("site"), entry_point=True)
    tokenizers.train("spacy", TEXTS, language="planted_words").save("tok")
    expected = tokenizers.train("spacy", TEXTS, language="de").encode(TEXTS).ids
    assert tokenizers.load("tok").encode(TEXTS).ids.tolist() == expected.tolist()
    monkeypatch.delitem(sys.modules, "planted_words")


def test_a_language_code_names_no_folder_of_the_present_one() -> None:
    Path("en").mkdir()
    assert tokenizers.create("spacy", language="en").tokens([1]) == ["[UNK]"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"format": 2}, "format 2 is newer"),
        ({"format": "1"}, "format is '1', expected 1"),
        ({"format": True}, "format is 'True'"),
        ({"format": None}, "format is 'None'"),
        ({"vocabulary": "abc"}, "vocabulary is no list of words"),
        ({"vocabulary": ["a", 1]}, "vocabulary is no list of words"),
        ({"lowercase": "no"}, "lowercase is neither true nor false"),
    ],
)
def test_a_saved_value_of_another_type_is_refused(values: dict[str, object], said: str) -> None:
    tokenizers.train("spacy", TEXTS).save("tok")
    change_saved(**values)
    with pytest.raises(ArtifactError, match=f"^tok/spacy_words.json: .*{said}"):
        tokenizers.load("tok")
