"""A pattern that can read far ahead and then fail ends with one line, whichever way it came in."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from textkit import tokenizers
from textkit.errors import ArtifactError, LimitError
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.engines import clock
from textkit.tokenizers.splitters import AT_THE_ENDS, META, META_AT_THE_END

SLOW = r"[a-z]+@|."
# So many letters take Oniguruma half a second, and splintr four.
LETTERS = "a" * 6_000


def open_json(**steps: object) -> Tokenizer:
    """Open a tokenizer.json of bytes with other steps, as a stranger may write it."""
    made = json.loads(tokenizers.create("byte").json)  # type: ignore[attr-defined]
    Path("tokenizer.json").write_text(json.dumps({**made, **steps}), encoding="utf-8")
    return tokenizers.load("tokenizer.json")


def split_slowly() -> Tokenizer:
    split = {"type": "Split", "pattern": {"Regex": SLOW}, "behavior": "Isolated", "invert": False}
    letters = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": False}
    letters["trim_offsets"] = True
    return open_json(pre_tokenizer={"type": "Sequence", "pretokenizers": [split, letters]})


def normalize_slowly() -> Tokenizer:
    step = {"type": "Replace", "pattern": {"Regex": "[a-z]+@"}, "content": "x"}
    return open_json(normalizer={"type": "Sequence", "normalizers": [step]})


def open_tiktoken() -> Tokenizer:
    tokens = (base64.b64encode(bytes([byte])) + b" %d\n" % byte for byte in range(256))
    Path("x.tiktoken").write_bytes(b"".join(tokens))
    return tokenizers.load("x.tiktoken", pattern=SLOW)


def match_by_reference() -> Tokenizer:
    tokenizers.train("regex", ["ab"], pattern="[a-z]+@").save("folder")
    return tokenizers.load("folder", engine="reference")


USES: list[Callable[[Tokenizer, str], object]] = [
    lambda tok, text: tok.encode([text]),
    lambda tok, text: tok.encode([text], spans=True),
    lambda tok, text: tok.encode([text], words=True),
    lambda tok, text: tok.encode([text], allow_special=True),
    lambda tok, text: tok.normalize(text),
    lambda tok, text: cut(tok, text),
]


def cut(tokenizer: Tokenizer, text: str) -> list[str]:
    splitter = tokenizer.splitter()
    return [] if splitter is None else splitter.find(text)


@pytest.mark.parametrize(
    ("make", "use"),
    [
        *((split_slowly, use) for use in (*USES[:4], USES[5])),
        (normalize_slowly, USES[0]),
        (normalize_slowly, USES[4]),
        (open_tiktoken, USES[0]),
        (match_by_reference, USES[0]),
    ],
)
def test_a_slow_pattern_is_stopped_wherever_it_stands(
    make: Callable[[], Tokenizer],
    use: Callable[[Tokenizer, str], object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tokenizer = make()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "LIMIT_SECONDS", 0.05)
        patch.setattr(clock, "CHARACTERS_A_SECOND", 1_000_000)
        with pytest.raises(LimitError, match=r"the pattern .* of this tokenizer takes more than"):
            use(tokenizer, LETTERS)
    use(tokenizer, "ab@ c")  # what is quick goes on


def test_a_slow_pattern_of_a_decoder_is_refused() -> None:
    decoder = {"type": "Replace", "pattern": {"Regex": "[a-z]+@"}, "content": "x"}
    with pytest.raises(ArtifactError, match=r"the decoder has the pattern '\[a-z\]\+@'"):
        open_json(decoder=decoder)


@pytest.mark.parametrize(
    ("pattern", "text"), [(AT_THE_ENDS, " "), (META_AT_THE_END, META)], ids=["spaces", "meta"]
)
def test_a_run_of_spaces_within_a_text_is_read_once(pattern: str, text: str) -> None:
    """Written without the look back, these 300,000 take quarter of an hour."""
    from tokenizers import Regex, normalizers

    step = normalizers.Replace(Regex(pattern), "")
    assert step.normalize_str(f"a{text * 300_000}a{text * 3}") == f"a{text * 300_000}a"
