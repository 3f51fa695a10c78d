"""How the texts of a .tiktoken file are split before its merges, which the file does not say.

In: the ranks and the bytes of the file, and a pattern that a person may have given. Out: the split,
the special tokens that are known to belong to the file, and a note where the split is a guess.

1. OpenAI's files are told by their SHA-256, and have their special tokens.
2. Llama 3's file goes on where cl100k's ends, with as many tokens; Qwen's has its number of tokens,
   and its numbers for words in three scripts.
3. Any other is taken for the encoding of its size, and the note says so.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from tokenizers import Regex, pre_tokenizers

from textkit.errors import UsageError, unknown_name
from textkit.tokenizers.splitters import QWEN, SPLITS

_GPT2, _CL100K, _O200K = SPLITS["gpt2"], SPLITS["cl100k"], SPLITS["o200k"]
# A name that a person may give -> the pattern.
PATTERNS = {
    "gpt2": _GPT2,
    "r50k": _GPT2,
    "p50k": _GPT2,
    "whisper": _GPT2,
    "cl100k": _CL100K,
    "llama3": _CL100K,
    "o200k": _O200K,
    "llama4": _O200K,
    "qwen": QWEN,
}
# The same patterns as tiktoken writes them, with possessive quantifiers; they cut every text alike.
_AS_TIKTOKEN_WRITES = {
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s": _GPT2,
    r"'(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+": _GPT2,
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
    r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s": _CL100K,
}
_END, _PROMPT = "<|endoftext|>", "<|endofprompt|>"
_FIM = ("<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>")


@dataclass(frozen=True)
class Split:
    """A pattern, and what else is known of the file that is split by it.

    covers: whether the pattern's matches are all of every text; what lies between them is dropped
    otherwise, as tiktoken drops it. special: token -> id.
    """

    pattern: str
    covers: bool = True
    special: Mapping[str, int] = field(default_factory=dict)

    def build(self) -> pre_tokenizers.PreTokenizer | None:
        """Give the splitter; None for GPT-2's, which cutting into bytes brings along."""
        if self.pattern == _GPT2:
            return None
        if self.covers:
            return pre_tokenizers.Split(Regex(self.pattern), "isolated")
        return pre_tokenizers.Split(Regex(self.pattern), "removed", invert=True)


# SHA-256 of a published file -> its encoding, as tiktoken has it.
_CL100K_SHA = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_PUBLISHED = {
    "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930": Split(
        _GPT2, special={_END: 50_256}
    ),  # r50k_base
    "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069": Split(
        _GPT2, special={_END: 50_256}
    ),  # p50k_base
    _CL100K_SHA: Split(
        _CL100K,
        special={
            _END: 100_257,
            **{name: 100_258 + i for i, name in enumerate(_FIM)},
            _PROMPT: 100_276,
        },
    ),
    "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d": Split(
        _O200K, special={_END: 199_999, _PROMPT: 200_018}
    ),
}
_N_CL100K, _N_LLAMA3 = 100_256, 128_000
_N_QWEN = 151_643
_WORDS_OF_QWEN = {"!": 0, "Hello": 9_707, " world": 1_879, "你好": 108_386}
# Number of tokens -> the split of the published files of that size.
_NAME_OF_SIZE = {
    50_256: "gpt2",
    50_257: "gpt2",
    50_280: "gpt2",
    100_256: "cl100k",
    199_998: "o200k",
}


def choose_split(
    ranks: Mapping[bytes, int], data: bytes, *, pattern: str | None
) -> tuple[Split, list[str]]:
    """Give the split of a file and, where it had to be guessed, the note that says so."""
    known = _PUBLISHED.get(hashlib.sha256(data).hexdigest())
    if pattern is not None:
        special = {} if known is None else known.special
        chosen, covers = _read_pattern(pattern)
        return Split(chosen, covers=covers, special=special), []
    if known is not None:
        return known, []
    if _is_llama3(ranks):
        return Split(_CL100K), []
    if _is_qwen(ranks):
        return Split(QWEN), []
    guessed = _NAME_OF_SIZE.get(len(ranks), "cl100k")
    return Split(PATTERNS[guessed]), [
        f"the file is none of OpenAI's, Llama 3's or Qwen's and does not say how texts are split:"
        f" the split pattern is taken to be {guessed}'s, and ids differ where its authors use"
        f" another; pattern= names it"
    ]


def _is_llama3(ranks: Mapping[bytes, int]) -> bool:
    if len(ranks) != _N_LLAMA3 or max(ranks.values()) != _N_LLAMA3 - 1:
        return False
    first = sorted(ranks, key=ranks.__getitem__)[:_N_CL100K]
    lines = (base64.b64encode(token) + b" %d\n" % rank for rank, token in enumerate(first))
    return hashlib.sha256(b"".join(lines)).hexdigest() == _CL100K_SHA


def _is_qwen(ranks: Mapping[bytes, int]) -> bool:
    return len(ranks) == _N_QWEN and all(
        ranks.get(word.encode()) == rank for word, rank in _WORDS_OF_QWEN.items()
    )


def _read_pattern(pattern: str) -> tuple[str, bool]:
    """Give the pattern that a person means, by its name or as it stands, and whether it is known
    to match all of every text.
    """
    name = pattern.removesuffix("_base")
    known = PATTERNS.get(name) or _AS_TIKTOKEN_WRITES.get(pattern)
    if known is None and pattern in PATTERNS.values():
        known = pattern
    if known is not None:
        return known, True
    if re.fullmatch(r"[\w.-]*", pattern):
        raise UsageError(unknown_name("split pattern", pattern, PATTERNS))
    bare = re.sub(r"\\.|\[(?:\\.|\[[^\]]*\]|[^\]])*\]", "x", pattern, flags=re.DOTALL)
    for found, instead in (
        (r"[$^]", r"'\z' or '\A'"),
        (r"\{\d+(?:,\d*)?\}\+", "'(?>...)' around what is possessive"),
        (r"\{\d+\}\?", "it without the '?'"),
        (r"\(\?[a-z]*[msxU]", "the pattern without such a flag"),
    ):
        if match := re.search(found, bare):
            raise UsageError(
                f"the pattern has {match[0]!r}, which tiktoken and tokenizers read otherwise; write"
                f" {instead}"
            )
    try:
        Regex(pattern)
    # tokenizers raises bare Exception for what is no pattern.
    except Exception as err:
        reason = " ".join(str(err).split())
        raise UsageError(f"the pattern {pattern!r} cannot be read: {reason}") from err
    return pattern, False
