""".tiktoken files -> an exact tokenizer: the ids of `tiktoken.Encoding` over the same ranks.

In: the bytes of a file of base64 tokens and ranks, and the pattern by which its texts are split
where the file is none that is known. Out: a PipelineTokenizer.
"""

from __future__ import annotations

import base64
import binascii
import itertools

from tokenizers import models

from textkit.errors import ArtifactError
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.splitters import BYTES_OF_TEXT, byte_names, cut_before_bytes
from textkit.tokenizers.tiktoken_splits import choose_split

HIGHEST_RANK = (1 << 24) - 1


def from_tiktoken(data: bytes, *, where: str, pattern: str | None = None) -> PipelineTokenizer:
    """Read a .tiktoken file: base64 of a token's bytes and its rank, a line each.

    Ranks may have gaps, a token may be empty, and a token that no merge makes is taken where a
    whole piece equals it. pattern: how texts are split, by a name of `tiktoken_splits.PATTERNS` or
    a regular expression; where it is a guess, `engine_notes` of the result says so. Raises
    ArtifactError with the line of what is no token, and for a byte that has none.
    """
    ranks = _read_ranks(data, where=where)
    missing = [byte for byte in BYTES_OF_TEXT if bytes([byte]) not in ranks]
    if missing:
        raise ArtifactError(
            f"no token for the byte 0x{missing[0]:02X}, nor for {len(missing) - 1} others: texts"
            " that hold it would have no ids; the file is cut short or no .tiktoken file",
            where=where,
        )
    names = byte_names()
    spelt = {token: "".join(names[byte] for byte in token) for token in ranks}
    vocabulary = {spelt[token]: rank for token, rank in ranks.items()}
    merges = []
    for token in sorted(ranks, key=ranks.__getitem__):
        pair = _last_pair(token, ranks)
        if pair is not None:
            merges.append((spelt[pair[0]], spelt[pair[1]]))
    # tiktoken takes a piece that is a token whole, before any merge.
    split, notes = choose_split(ranks, data, pattern=pattern)
    model = models.BPE({**vocabulary, **split.special}, merges, ignore_merges=True)
    backend = cut_before_bytes(model, split.build())
    backend.add_special_tokens(list(split.special))
    return PipelineTokenizer(backend, kind="bpe", notes=notes)


def _read_ranks(data: bytes, *, where: str) -> dict[bytes, int]:
    ranks: dict[bytes, int] = {}
    lines: dict[bytes | int, int] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        place = f"{where}:{number}"
        token, rank = _read_line(line, where=place)
        for key, what in ((token, f"the token {token!r}"), (rank, f"the rank {rank}")):
            if key in lines:
                raise ArtifactError(f"{what} stands on line {lines[key]} already", where=place)
            lines[key] = number
        ranks[token] = rank
    return ranks


def _read_line(line: bytes, *, where: str) -> tuple[bytes, int]:
    try:
        encoded, rank_text = line.split()
        # Whisper's files write an empty token as a lone '='.
        token = b"" if encoded == b"=" else base64.b64decode(encoded, validate=True)
    except (ValueError, binascii.Error) as err:
        raise ArtifactError(
            f"expected base64 and a rank, found {line[:40]!r}", where=where
        ) from err
    if not rank_text.isdigit() or len(rank_text) > 8 or int(rank_text) > HIGHEST_RANK:
        shown = rank_text[:20].decode("utf-8", "replace")
        raise ArtifactError(
            f"the rank is {shown!r}, expected a number from 0 to {HIGHEST_RANK:,}", where=where
        )
    return token, int(rank_text)


def _last_pair(token: bytes, ranks: dict[bytes, int]) -> tuple[bytes, bytes] | None:
    """Merge a token's bytes by rank, and give the two parts that the last merge joins; None where
    merging ends in more.

    Within any text the bytes of the token come together in the very same order until something
    merges across its edge, so this pair is the only one that ever makes the token.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        known = [
            (rank, at)
            for at, (left, right) in enumerate(itertools.pairwise(parts))
            if (rank := ranks.get(left + right)) is not None
        ]
        if not known:
            return None
        _, at = min(known)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return (parts[0], parts[1]) if len(parts) == 2 else None
