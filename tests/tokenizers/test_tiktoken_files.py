""".tiktoken files give the ids of `tiktoken.Encoding` over the same ranks."""

from __future__ import annotations

import base64
import itertools
import random
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.splitters import SPLITS

BYTES = [bytes([byte]) for byte in range(256)]


def write(ranks: dict[bytes, int], *, end: bytes = b"\n") -> PipelineTokenizer:
    lines = [
        (base64.b64encode(token) or b"=") + b" %d" % rank + end for token, rank in ranks.items()
    ]
    Path("made.tiktoken").write_bytes(b"".join(lines))
    loaded = tokenizers.load("made.tiktoken")
    assert isinstance(loaded, PipelineTokenizer)
    return loaded


def made_ranks(seed: int) -> dict[bytes, int]:
    """Draw tokens of two letters and a space, most of which no merge of lower ranks makes; ranks
    with gaps, and an empty token.
    """
    generator = random.Random(seed)
    tokens = {
        "".join(generator.choices("ab ", k=generator.randrange(2, 7))).encode() for _ in range(30)
    }
    drawn = [*BYTES, *generator.sample(sorted(tokens), len(tokens)), b""]
    numbers = sorted(generator.sample(range(400), len(drawn)))
    return dict(zip(drawn, numbers, strict=True))


def by_hand(piece: bytes, ranks: dict[bytes, int]) -> list[int]:
    """Encode a piece as tiktoken's own documents say: whole where it is a token, otherwise the
    pair of the lowest rank is joined, the leftmost of equals.
    """
    if piece in ranks:
        return [ranks[piece]]
    parts = [piece[i : i + 1] for i in range(len(piece))]
    while True:
        pairs = [
            (ranks[left + right], at)
            for at, (left, right) in enumerate(itertools.pairwise(parts))
            if left + right in ranks
        ]
        if not pairs:
            return [ranks[part] for part in parts]
        _, at = min(pairs)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]


@pytest.mark.parametrize("seed", range(12))
def test_any_ranks_give_the_ids_of_the_documented_merge(seed: int) -> None:
    ranks, generator = made_ranks(seed), random.Random(seed)
    ours = write(ranks)
    words = ["".join(generator.choices("ab", k=generator.randrange(1, 14))) for _ in range(200)]
    for word, row in zip(words, ours.encode(words), strict=True):
        assert row.tolist() == by_hand(word.encode(), ranks), word
        assert ours.decode(row) == word


@pytest.mark.parametrize("seed", range(6))
def test_any_ranks_give_the_ids_of_tiktoken_itself(seed: int) -> None:
    tiktoken = pytest.importorskip("tiktoken")
    ranks, generator = made_ranks(seed), random.Random(seed)
    theirs = tiktoken.Encoding(
        "made", pat_str=SPLITS["cl100k"], mergeable_ranks=ranks, special_tokens={}
    )
    texts = ["".join(generator.choices("aab \n1é", k=40)) for _ in range(200)]
    batch = write(ranks, end=b"\r\n").encode(texts, spans=True)
    for text, row in zip(texts, batch, strict=True):
        assert row.tolist() == theirs.encode_ordinary(text), ascii(text)


def test_a_token_that_no_merge_makes_is_taken_where_a_piece_equals_it() -> None:
    ours = write({token: i for i, token in enumerate([*BYTES, b"bc", b"abcd"])})
    assert [row.tolist() for row in ours.encode(["abcd", "abc"])] == [[257], [97, 256]]


def test_ranks_with_a_gap_and_an_empty_token_survive_saving() -> None:
    ours = write({**{token: i for i, token in enumerate(BYTES)}, b"ab": 300, b"": 999})
    ours.save("tok")
    again = tokenizers.load("tok")
    assert again.fingerprint == ours.fingerprint
    assert again.encode(["ab"])[0].tolist() == ours.encode(["ab"])[0].tolist() == [300]
    assert again.decode([300, 999]) == "ab"


def test_a_guessed_split_is_said() -> None:
    (note,) = write({token: i for i, token in enumerate(BYTES)}).engine_notes
    assert "split pattern is taken to be cl100k's" in note
