"""Foreign vocabularies -> an exact tokenizer: BERT's vocab.txt, GPT-2's vocab.json.

In: the bytes of a vocabulary file. Out: a PipelineTokenizer that gives the ids its own library
gives. Each function raises ArtifactError with the file and, where there are lines, the line.
"""

from __future__ import annotations

import json

from textkit.errors import ArtifactError
from textkit.tokenizers.pipeline import PipelineTokenizer
from textkit.tokenizers.subword import create_bpe, create_wordpiece


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


def _decode(data: bytes, *, where: str) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as err:
        line = data.count(b"\n", 0, err.start) + 1
        raise ArtifactError(
            f"not UTF-8: byte 0x{data[err.start]:02X}", where=f"{where}:{line}"
        ) from err
