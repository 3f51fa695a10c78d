"""Text that spells a special token is text, in every kind of vocabulary that holds the token."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
import tokenizers as hf
from tokenizers import Regex, decoders, models, normalizers, pre_tokenizers

from textkit import tokenizers
from textkit.tokenizers.pipeline import PipelineTokenizer

SPECIALS = ["<pad>", "</s>", "<unk>", "[CLS]", "ab"]
PIECES = {"▁": -2.0, "▁a": -3.0, "a": -4.0, "b": -4.5, "s": -5.0, ">": -5.0, "</": -6.0, "/": -7.0}
PIECES |= {"unk": -5.5, "k": -6.5, "▁ba": -3.2}
NORMALIZERS = {
    "as it stands": None,
    "nfkc": normalizers.NFKC(),
    "folded": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()]),
}


def unigram(
    scores: dict[str, float], *, specials: list[str], normalizer: Any = None
) -> hf.Tokenizer:
    vocab = list(scores.items())
    unknown = list(scores).index("<unk>")
    backend = hf.Tokenizer(models.Unigram(vocab, unk_id=unknown))
    if normalizer is not None:
        backend.normalizer = normalizer
    backend.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    backend.decoder = decoders.Metaspace(prepend_scheme="always")
    backend.add_special_tokens(specials)
    return backend


def made_texts() -> list[str]:
    generator = random.Random(0)
    parts = [*SPECIALS, "a", "b", " ", "<", "é", "＜/s＞", "<UNK>", "ba", "unk", "🙂"]
    drawn = ["".join(generator.choices(parts, k=generator.randrange(1, 9))) for _ in range(400)]
    return ["", *SPECIALS, *drawn]


@pytest.mark.parametrize("score", [0.0, -3.0, -10_000.0])
@pytest.mark.parametrize("name", NORMALIZERS)
def test_a_special_piece_is_never_read_from_text(name: str, score: float) -> None:
    """The ids are those of a model that has other names, which no text spells, in its place."""
    scores = dict.fromkeys(SPECIALS, score) | PIECES
    backend = unigram(scores, specials=SPECIALS, normalizer=NORMALIZERS[name])
    ours = PipelineTokenizer(backend, kind="unigram")
    hidden = {
        f"\U0010ffff{i}" if i < len(SPECIALS) else p: s for i, (p, s) in enumerate(scores.items())
    }
    vocab = list(hidden.items())
    oracle = hf.Tokenizer(models.Unigram(vocab, unk_id=SPECIALS.index("<unk>")))
    if NORMALIZERS[name] is not None:
        oracle.normalizer = NORMALIZERS[name]
    oracle.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    texts = made_texts()
    for spans in (False, True):
        batch = ours.encode(texts, spans=spans)
        for row, text in enumerate(texts):
            expected = oracle.encode(text)
            assert batch[row].tolist() == expected.ids, ascii(text)
            if spans:
                assert [tuple(s) for s in batch.row_spans(row).tolist()] == expected.offsets


def test_special_pieces_are_read_where_they_are_allowed() -> None:
    scores = dict.fromkeys(SPECIALS, 0.0) | PIECES
    ours = PipelineTokenizer(unigram(scores, specials=SPECIALS), kind="unigram")
    ids = ours.encode(["a</s>"], allow_special=True)[0].tolist()
    assert ids[-1] == SPECIALS.index("</s>")


def test_unknown_characters_are_still_unknown() -> None:
    scores = dict.fromkeys(SPECIALS, 0.0) | PIECES
    ours = PipelineTokenizer(unigram(scores, specials=SPECIALS), kind="unigram")
    texts = ["a é b", "<unk> é"]
    plain, spelled = ours.encode(texts)
    assert plain.tolist().count(ours.unknown_id) == 1
    assert spelled.tolist().count(ours.unknown_id) == 2  # '<' and 'é'


def test_scores_of_t5_stay_in_the_saved_file() -> None:
    scores = dict.fromkeys(SPECIALS, 0.0) | PIECES
    ours = PipelineTokenizer(unigram(scores, specials=SPECIALS), kind="unigram")
    ours.save("tok")
    saved = json.loads(Path("tok/tokenizer.json").read_text(encoding="utf-8"))
    assert saved["model"]["vocab"][1] == ["</s>", 0.0]
    again = tokenizers.load("tok")
    assert again.fingerprint == ours.fingerprint
    assert again.encode(["a</s>"])[0].tolist() == ours.encode(["a</s>"])[0].tolist()


def test_bpe_that_takes_pieces_whole_reads_no_special_token_from_text() -> None:
    vocab = {token: i for i, token in enumerate(["<", "e", "o", "t", ">", "eo", "<eot>", "unk"])}
    bpe = models.BPE(vocab, [("e", "o")], ignore_merges=True)
    backend = hf.Tokenizer(bpe)
    backend.pre_tokenizer = pre_tokenizers.Split(Regex(r"\S+|\s+"), "isolated")
    backend.add_special_tokens(["<eot>"])
    ours = PipelineTokenizer(backend, kind="bpe")
    assert ours.encode(["<eot>"])[0].tolist() == [0, 5, 3, 4]
    assert ours.encode(["<eot>"], allow_special=True)[0].tolist() == [6]


@pytest.mark.parametrize("text", ["<pad>", "<unk>", "<unk> low", "low <pad>"])
def test_a_trained_vocabulary_reads_no_special_token_from_text(text: str) -> None:
    ours = tokenizers.train("unigram", ["low lower lowest"] * 5, size=30)
    (row,) = ours.encode([text])
    assert ours.vocabulary["<pad>"] not in row
    assert len(row) > 1
