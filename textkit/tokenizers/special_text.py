"""Plain text that spells a special token: it is text, whatever a vocabulary makes of it.

In: texts and what an engine gave for them. Out: the ids that they have where no special token is
known by its name.

1. A list of words (WordLevel, WordPiece) holds a special token as a whole piece, which is unknown
   then: one number takes the place of another.
2. A unigram model and BPE that takes pieces whole hold it among the pieces, and T5's scores make
   `</s>` the best of all. Rows with such an id are encoded again by a model that lacks its name.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import tokenizers as hf
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.threads import computed_once
from textkit.tokenizers.description import Description, unknown_token
from textkit.tokenizers.engines.reference import ReferenceEngine


class SpecialText:
    """What a tokenizer.json makes of text that spells its special tokens, and what is right."""

    def __init__(
        self,
        description: Description,
        vocabulary: dict[str, int],
        *,
        unknown_id: int | None,
        reference: ReferenceEngine,
    ) -> None:
        self._description, self._reference = description, reference
        self._unknown_id = unknown_id
        self._n_ids = 1 + max(vocabulary.values(), default=-1)
        special = [token for token in description["added_tokens"] if token["special"]]
        self._special = {token["content"]: token["id"] for token in special}
        model = description["model"]
        self._is_word_list = model["type"] in ("WordLevel", "WordPiece")
        self._takes_whole = model["type"] == "Unigram" or (
            model["type"] == "BPE" and bool(model.get("ignore_merges"))
        )

    def as_text(self, texts: Sequence[str], batch: TokenBatch, *, spans: bool) -> TokenBatch:
        """Give the batch with plain ids where texts spell special tokens."""
        if not self._special or not len(batch.ids):
            return batch
        if self._is_word_list:
            return self._renumbered(batch)
        if not self._takes_whole or not len(rows := self._rows_to_redo(texts, batch)):
            return batch
        redone = self._without_names.encode(
            [texts[row] for row in rows.tolist()], spans=spans, words=batch.origins is not None
        )
        order = np.arange(len(batch))
        order[rows] = len(batch) + np.arange(len(rows))
        return TokenBatch.concatenate([batch, redone]).take(order)

    def _renumbered(self, batch: TokenBatch) -> TokenBatch:
        plain = self._plain_ids
        return batch if plain is None else replace(batch, ids=plain[batch.ids])

    @computed_once
    def _plain_ids(self) -> NDArray[np.int32] | None:
        """Give for every id the one that it has in plain text; None where that is the id itself."""
        if self._unknown_id is None:
            return None
        found = set(self._reference.encode(list(self._special), spans=False).ids.tolist())
        spelled = [i for i in self._special.values() if i in found and i != self._unknown_id]
        if not spelled:
            return None
        plain = np.arange(self._n_ids, dtype=np.int32)
        plain[spelled] = self._unknown_id
        return plain

    def _rows_to_redo(self, texts: Sequence[str], batch: TokenBatch) -> NDArray[np.int64]:
        """Give the rows that hold a special id; an unknown character is no unknown token."""
        held = self._is_special[batch.ids]
        if not held.any():
            return np.zeros(0, dtype=np.int64)
        tokens = np.flatnonzero(held)
        rows = np.searchsorted(batch.offsets, tokens, side="right") - 1
        is_unknown = batch.ids[tokens] == (-1 if self._unknown_id is None else self._unknown_id)
        wrong = set(rows[~is_unknown].tolist())
        names = [name for name, i in self._special.items() if i == self._unknown_id]
        for row in set(rows[is_unknown].tolist()) - wrong:
            spelled = self._reference.normalize(texts[row])
            if any(name in spelled for name in names):
                wrong.add(row)
        return np.array(sorted(wrong), dtype=np.int64)

    @computed_once
    def _is_special(self) -> NDArray[np.bool_]:
        """(n_ids,) whether an id is that of a special token."""
        known = np.zeros(self._n_ids, dtype=bool)
        known[list(self._special.values())] = True
        return known

    @computed_once
    def _without_names(self) -> ReferenceEngine:
        """The reference engine with special tokens named as no text is."""
        description = copy.deepcopy(self._description)
        model = description["model"]
        names = {name: f"\U0010ffff{i}\U0010fffe" for name, i in self._special.items()}
        unknown = unknown_token(description)
        if model["type"] == "Unigram":
            model["vocab"] = [(names.get(name, name), score) for name, score in model["vocab"]]
        else:
            model["vocab"] = {names.get(name, name): i for name, i in model["vocab"].items()}
            if unknown is not None:
                model["unk_token"] = names.get(unknown, unknown)
        description["added_tokens"] = [
            token for token in description["added_tokens"] if not token["special"]
        ]
        backend = hf.Tokenizer.from_str(json.dumps(description))
        return ReferenceEngine(backend, self._reference.clock)
