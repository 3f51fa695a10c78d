"""Foreign vocabularies -> an exact tokenizer: BERT's vocab.txt, GPT-2's vocab.json, .tiktoken.

In: the bytes of a vocabulary file. Out: a PipelineTokenizer that gives the ids its own library
gives. Each function raises ArtifactError with the file and, where there are lines, the line.
"""

from __future__ import annotations

import base64
import binascii
import itertools
import json

from tokenizers import models

from textkit.errors import ArtifactError
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.splitters import byte_level_backend, byte_names
from textkit.tokenizers.subword import create_bpe, create_wordpiece

# Number of mergeable ranks -> the split pattern that goes with them; a .tiktoken file does not say.
_SPLIT_OF_RANKS = {
    50_256: "gpt2",
    50_257: "gpt2",
    50_280: "gpt2",
    100_256: "cl100k",
    199_998: "o200k",
}


def from_vocab_txt(data: bytes, *, where: str) -> PipelineTokenizer:
    """Read BERT's vocab.txt, one piece a line.

    Lower-casing is told by the absence of capital letters.
    """
    tokens = _decode(data, where=where).split("\n")
    tokens = [token.removesuffix("\r") for token in (tokens[:-1] if tokens[-1] == "" else tokens)]
    if "[UNK]" not in tokens:
        raise ArtifactError("no [UNK] among the lines: not a BERT vocab.txt", where=where)
    seen: dict[str, int] = {}
    for line, token in enumerate(tokens, start=1):
        if token in seen:
            raise ArtifactError(
                f"{token!r} stands on line {seen[token]} already", where=f"{where}:{line}"
            )
        seen[token] = line
    lowercase = not any(token.lower() != token for token in tokens if not token.startswith("["))
    return create_wordpiece(vocabulary=tokens, lowercase=lowercase)


def from_vocab_and_merges(vocab: bytes, merges: bytes, *, where: str) -> PipelineTokenizer:
    """Read GPT-2's vocab.json and merges.txt: byte-level BPE."""
    try:
        table = json.loads(vocab)
    except ValueError as err:
        raise ArtifactError(f"not valid JSON: {err}", where=where) from err
    if not isinstance(table, dict) or not all(isinstance(i, int) for i in table.values()):
        raise ArtifactError("expected a JSON object of token: id", where=where)
    pairs = []
    for number, line in enumerate(_decode(merges, where="merges.txt").split("\n"), start=1):
        if not line.strip() or (number == 1 and line.startswith("#version")):
            continue
        first, _, second = line.removesuffix("\r").partition(" ")
        for part in (first, second, first + second):
            if part not in table:
                raise ArtifactError(
                    f"{part!r} is not in the vocabulary", where=f"merges.txt:{number}"
                )
        pairs.append((first, second))
    tokens = sorted(table, key=lambda token: table[token])
    if [table[token] for token in tokens] != list(range(len(tokens))):
        raise ArtifactError("ids are not 0 to n-1, each once", where=where)
    specials = [token for token in tokens if token.startswith("<|") and token.endswith("|>")]
    return create_bpe(vocabulary=tokens, merges=pairs, specials=specials)


def from_tiktoken(data: bytes, *, where: str) -> PipelineTokenizer:
    """Read a .tiktoken file: base64 of a token's bytes and its rank, a line each.

    The merges follow from the ranks.
    """
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            token, number_text = line.split()
            ranks[base64.b64decode(token, validate=True)] = int(number_text)
        except (ValueError, binascii.Error) as err:
            raise ArtifactError(
                f"expected base64 and a rank, found {line[:40]!r}", where=f"{where}:{number}"
            ) from err
    if sorted(ranks.values()) != list(range(len(ranks))):
        raise ArtifactError("ranks are not 0 to n-1, each once", where=where)
    names = byte_names()
    spelt = {token: "".join(names[byte] for byte in token) for token in ranks}
    vocabulary = {spelt[token]: rank for token, rank in ranks.items()}
    merges = []
    for token, rank in sorted(ranks.items(), key=lambda item: item[1]):
        if len(token) > 1:
            parts = _merge_below(token, ranks, rank)
            if len(parts) != 2:
                raise ArtifactError(
                    f"token of rank {rank} cannot be merged from lower ranks", where=where
                )
            merges.append((spelt[parts[0]], spelt[parts[1]]))
    # tiktoken takes a piece that is a token whole, before any merge.
    model = models.BPE(vocabulary, merges, ignore_merges=True)
    return PipelineTokenizer(
        byte_level_backend(model, split=_SPLIT_OF_RANKS.get(len(ranks), "cl100k")), kind="bpe"
    )


def _merge_below(token: bytes, ranks: dict[bytes, int], limit: int) -> list[bytes]:
    """Merge a token's bytes by the ranks below its own, lowest first: what is left are the two
    parts it is made of.
    """
    parts = [token[i : i + 1] for i in range(len(token))]
    while len(parts) > 2:
        found = [ranks.get(a + b, limit) for a, b in itertools.pairwise(parts)]
        lowest = min(found)
        if lowest >= limit:
            break
        at = found.index(lowest)
        parts[at : at + 2] = [parts[at] + parts[at + 1]]
    return parts


def _decode(data: bytes, *, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise ArtifactError(
            f"not UTF-8: byte 0x{data[err.start]:02X}", where=f"{where}:{line}"
        ) from err
