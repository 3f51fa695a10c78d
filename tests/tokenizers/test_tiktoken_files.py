""".tiktoken files give the ids of `tiktoken.Encoding` over the same ranks."""

from __future__ import annotations

import base64
import gzip
import itertools
import random
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.errors import UsageError
from textkit.tokenizers import splitters, tiktoken_splits
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.splitters import SPLITS
from textkit.tokenizers.tiktoken_splits import Split, choose_split

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
    (note,) = write(RANKS).engine_notes
    assert "split pattern is taken to be cl100k's" in note


RANKS = {token: i for i, token in enumerate([*BYTES, b"12", b"34", b"1234", b" a", b"ab", b" ab"])}
TEXTS = [
    "",
    "1234 ab  ab\n\n it's IT'S",
    "a1b22c333d4444",
    " \t\n a \r\n\r\n",
    "naïve ПРИВЕТ 中文字 ١٢٣٤ e\u0301",
    "foo/bar//\n??!! __x__ 🙂🙂",
    "<|endoftext|> <|fim_prefix|>",
]


def made_texts() -> list[str]:
    generator = random.Random(0)
    letters = "aab1234  \n\r\t'sST.,/é中١\u0301\u2028🙂_"
    return TEXTS + ["".join(generator.choices(letters, k=30)) for _ in range(300)]


@pytest.mark.parametrize("name", ["r50k_base", "p50k_base", "cl100k_base", "o200k_base"])
def test_a_published_encoding_has_tiktokens_split_and_special_tokens(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """tiktoken's own table of encodings says the hash, the pattern and the special tokens."""
    tiktoken = pytest.importorskip("tiktoken")
    public = pytest.importorskip("tiktoken_ext.openai_public")
    hashes: list[str] = []
    monkeypatch.setattr(
        public, "load_tiktoken_bpe", lambda url, expected_hash: hashes.append(expected_hash) or {}
    )
    encoding = public.ENCODING_CONSTRUCTORS[name]()
    known = tiktoken_splits._PUBLISHED[hashes[0]]
    assert known.special == encoding["special_tokens"]
    theirs = tiktoken.Encoding(
        "made", pat_str=encoding["pat_str"], mergeable_ranks=RANKS, special_tokens={}
    )
    write(RANKS)
    for pattern in (name, name.removesuffix("_base"), encoding["pat_str"], known.pattern):
        ours = tokenizers.load("made.tiktoken", pattern=pattern)
        assert not ours.engine_notes
        for text, row in zip(made_texts(), ours.encode(made_texts()), strict=True):
            assert row.tolist() == theirs.encode_ordinary(text), (pattern, ascii(text))


@pytest.mark.slow
def test_special_tokens_of_cl100k_are_known_and_never_read_from_text(shared: Path) -> None:
    ours = tokenizers.load(shared / "conformance/tokenizers/cl100k_base.tiktoken.gz")
    special = {"<|endoftext|>": 100257, "<|fim_prefix|>": 100258, "<|endofprompt|>": 100276}
    assert special.items() <= ours.vocabulary.items()
    assert ours.decode(list(special.values())) == "".join(special)
    assert ours.special_ids >= set(special.values())
    assert ours.pad_id == 100257
    text = "a<|endoftext|>b <|fim_prefix|>"
    plain = ours.encode([text])[0]
    assert max(plain) < 100256
    assert ours.decode(plain) == text
    assert ours.encode(["a<|endoftext|>"], allow_special=True)[0].tolist() == [64, 100257]
    assert ours.lossless
    assert not ours.engine_notes
    ours.save("tok")
    assert tokenizers.load("tok").fingerprint == ours.fingerprint


QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@pytest.mark.parametrize(
    ("given", "pattern"),
    [
        ("qwen", QWEN),
        (QWEN, QWEN),
        ("llama3", SPLITS["cl100k"]),
        ("whisper", SPLITS["gpt2"]),
        ("llama4", SPLITS["o200k"]),
        (r"\p{L}+|\d", r"\p{L}+|\d"),
        (r"[a-z]+(?=1)|(?i:AB)|\s+", r"[a-z]+(?=1)|(?i:AB)|\s+"),
        (r"(?>\p{N}{1,2})|\S", r"(?>\p{N}{1,2})|\S"),
    ],
)
def test_a_pattern_that_is_asked_for_cuts_as_in_tiktoken(given: str, pattern: str) -> None:
    """What no match of a pattern holds has no ids there either."""
    tiktoken = pytest.importorskip("tiktoken")
    theirs = tiktoken.Encoding("made", pat_str=pattern, mergeable_ranks=RANKS, special_tokens={})
    write(RANKS)
    ours = tokenizers.load("made.tiktoken", pattern=given)
    assert not ours.engine_notes
    for spans in (False, True):
        batch = ours.encode(made_texts(), spans=spans)
        for text, row in zip(made_texts(), batch, strict=True):
            assert row.tolist() == theirs.encode_ordinary(text), ascii(text)
    ours.save("tok")
    assert tokenizers.load("tok").encode(TEXTS).ids.tolist() == ours.encode(TEXTS).ids.tolist()


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("cl100", "unknown split pattern 'cl100'; did you mean 'cl100k'?"),
        ("", "unknown split pattern ''"),
        (r"\s+$|\S+", "the pattern has '$', which tiktoken and tokenizers read otherwise"),
        (r"\p{N}{1,3}+|\S", "the pattern has '{1,3}+', which tiktoken"),
        (r"\d{2}?|\D+", "the pattern has '{2}?', which tiktoken"),
        (r"(?s:.)+", "the pattern has '(?s', which tiktoken"),
        (r"(a|", "the pattern '(a|' cannot be read: "),
    ],
)
def test_a_pattern_that_cannot_be_meant_is_refused_by_name(pattern: str, message: str) -> None:
    write(RANKS)
    with pytest.raises(UsageError) as caught:
        tokenizers.load("made.tiktoken", pattern=pattern)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_dollar_within_a_class_is_a_dollar() -> None:
    write(RANKS)
    ours = tokenizers.load("made.tiktoken", pattern=r"[$^]|\$|[^a]")
    assert ours.encode(["a$^"])[0].tolist() == [36, 94]


@pytest.mark.parametrize("name", ["tok", "tok/tokenizer.json", "vocab.txt"])
def test_a_pattern_for_a_file_that_says_its_own_is_refused(name: str) -> None:
    tokenizers.create("byte").save("tok")
    Path("vocab.txt").write_text("[UNK]\na\n")
    with pytest.raises(UsageError, match=r"pattern= is for a \.tiktoken file; .* says by itself"):
        tokenizers.load(name, pattern="cl100k")


def read_cl100k(shared: Path) -> list[bytes]:
    with gzip.open(shared / "conformance/tokenizers/cl100k_base.tiktoken.gz") as file:
        return [base64.b64decode(line.split()[0]) for line in file]


def test_llama3_is_told_by_what_it_begins_with(shared: Path) -> None:
    first = read_cl100k(shared)
    more = [b"\xff%d" % i for i in range(128_000 - len(first))]
    ranks = {token: i for i, token in enumerate([*first, *more])}
    assert choose_split(ranks, b"", pattern=None) == (Split(SPLITS["cl100k"]), [])
    swapped = {**ranks, first[500]: 600, first[600]: 500}
    assert choose_split(swapped, b"", pattern=None)[1]


def test_qwen_is_told_by_its_size_and_words() -> None:
    words = {b"!": 0, b"Hello": 9_707, b" world": 1_879, "你好".encode(): 108_386}
    others = (i for i in range(151_643) if i not in words.values())
    ranks = words | {b"\xff%d" % i: i for i in others}
    assert choose_split(ranks, b"", pattern=None) == (Split(splitters.QWEN), [])
    assert choose_split({**ranks, b"Hello": 5, b"\xff5": 9_707}, b"", pattern=None)[1]
