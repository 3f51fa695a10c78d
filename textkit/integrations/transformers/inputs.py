"""Texts <-> rows of ids: the one agreement of the tokenizer and the model.

A model that reads tokens gets the ids of its own text input. One that reads texts (linear, frozen,
an exported graph) gets the bytes of the text, each plus 1, and 0 is padding: what goes in comes out
again as the text, so that any model stands behind a tensor of ids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from textkit.classify.fitted import Fitted
from textkit.classify.network_model import NetworkModel
from textkit.features.text_input import TextInput
from textkit.threads import computed_once


class Inputs(Protocol):
    """What turns texts into ids, and back."""

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token -> id."""

    @property
    def n_ids(self) -> int:
        """Number of ids: all are below it."""

    @property
    def pad_token(self) -> str:
        """The token that stands where there is none."""

    @property
    def longest(self) -> int | None:
        """Ids of the longest row that the model looks at; None where it reads texts."""

    def encode(
        self, texts: Sequence[str], *, max_length: int | None, special: bool
    ) -> list[list[int]]:
        """Encode texts, one row a text; special: with the special tokens of the model's own."""

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into a text."""


@dataclass(frozen=True)
class TokenInputs:
    """The ids that a network reads."""

    text_input: TextInput

    @property
    def vocabulary(self) -> dict[str, int]:
        """Token -> id; the buckets of hashed n-grams, which come after, are no tokens."""
        return self.text_input.tokenizer.vocabulary

    @property
    def n_ids(self) -> int:
        """Number of tokens, and of buckets of n-grams."""
        return self.text_input.n_ids

    @computed_once
    def pad_token(self) -> str:
        """The tokenizer's own, else the token of id 0, which the mask hides."""
        pad_id = self.text_input.tokenizer.pad_id or 0
        return next(token for token, i in self.vocabulary.items() if i == pad_id)

    @property
    def longest(self) -> int:
        """The recipe's tokenizer.max_length."""
        return self.text_input.max_length

    def encode(
        self, texts: Sequence[str], *, max_length: int | None, special: bool
    ) -> list[list[int]]:
        """Encode texts as the network reads them, cut to `max_length` where it is less than the
        recipe's.
        """
        changed = self.text_input
        if max_length is not None and max_length < changed.max_length:
            changed = replace(changed, max_length=max_length)
        if not special:
            changed = replace(changed, template=None)
        return [row.tolist() for row in changed.encode(texts)]

    def decode(self, ids: Sequence[int]) -> str:
        """Turn ids into a text; buckets of n-grams are of no text."""
        n_tokens = len(self.text_input.tokenizer)
        return self.text_input.tokenizer.decode([i for i in ids if i < n_tokens])


@dataclass(frozen=True)
class ByteInputs:
    """The bytes of a text in UTF-8, each plus 1.

    >>> inputs = ByteInputs()
    >>> inputs.encode(["né"], max_length=2, special=True)
    [[111]]
    >>> inputs.decode([111, 0])
    'n'
    """

    n_ids: int = 257
    pad_token: str = "<pad>"  # noqa: S105
    longest: None = None

    @computed_once
    def vocabulary(self) -> dict[str, int]:
        """<0x41> -> 66, as sentencepiece names bytes."""
        return {self.pad_token: 0} | {f"<0x{byte:02X}>": byte + 1 for byte in range(256)}

    def encode(
        self, texts: Sequence[str], *, max_length: int | None, special: bool
    ) -> list[list[int]]:
        """Give the bytes, cut between two characters; a half of a surrogate pair is kept."""
        del special
        rows = [text.encode("utf-8", "surrogatepass")[:max_length] for text in texts]
        if max_length is not None:
            rows = [_cut(row) for row in rows]
        return [[byte + 1 for byte in row] for row in rows]

    def decode(self, ids: Sequence[int]) -> str:
        """Give the text of bytes; padding is of no text."""
        return bytes(i - 1 for i in ids if i).decode("utf-8", "surrogatepass")


def inputs_of(fitted: Fitted) -> Inputs:
    """Give what a model is fed with."""
    is_network = isinstance(fitted.model, NetworkModel)
    return TokenInputs(fitted.text_input) if is_network else ByteInputs()


def _cut(row: bytes) -> bytes:
    """Drop the first bytes of a character whose last are gone."""
    start = len(row)
    while start and row[start - 1] & 0xC0 == 0x80:
        start -= 1
    if not start or row[start - 1] < 0x80:
        return row
    first = row[start - 1]
    wanted = 4 if first >= 0xF0 else 3 if first >= 0xE0 else 2
    return row if len(row) - start + 1 == wanted else row[: start - 1]
