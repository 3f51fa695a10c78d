"""Which engine serves a tokenizer's texts: the fastest that is found equal to the reference.

In: the parsed tokenizer.json, its vocabulary (token -> id, added tokens included) and the reference
engine. Out: an engine, chosen and certified at the first texts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from textkit.errors import ArtifactError
from textkit.threads import SharedLock
from textkit.tokenizers.description import Description
from textkit.tokenizers.engines.guard import GuardedEngine, certify
from textkit.tokenizers.engines.reference import Engine, ReferenceEngine, native_errors

EngineChoice = Literal["auto", "table", "reference"]


@dataclass(frozen=True)
class FastEngine:
    """An engine that is still to be certified, and whether it can give spans."""

    engine: GuardedEngine
    with_spans: bool


class Engines:
    """The engines of one tokenizer; each is made when it is first asked for."""

    def __init__(
        self,
        description: Description,
        vocabulary: dict[str, int],
        reference: ReferenceEngine,
        *,
        choice: EngineChoice,
    ) -> None:
        self._description, self._vocabulary = description, vocabulary
        self._reference = reference
        self._makers = _MAKERS[choice]
        # With or without spans -> the engine, chosen and certified at the first texts.
        self._chosen: dict[bool, Engine] = {}
        self._made: dict[Maker, FastEngine | None] = {}
        self._notes: list[str] = []
        self._choosing = SharedLock()

    def choose(self, texts: Sequence[str], *, spans: bool) -> Engine:
        """Give the fastest engine that agrees with the reference on a sample of the first texts."""
        if spans not in self._chosen:
            with self._choosing:  # one thread chooses for all
                if spans not in self._chosen:
                    self._chosen[spans] = self._certified(texts, spans=spans)
        return self._chosen[spans]

    def _certified(self, texts: Sequence[str], *, spans: bool) -> Engine:
        for make in self._makers:
            fast = self._make(make)
            if fast is None or (spans and not fast.with_spans):
                continue
            problem = certify(fast.engine, self._reference, texts, spans=spans)
            if problem is None:
                return fast.engine
            self._notes.append(f"{problem}; it is not used")
        return self._reference

    def _make(self, make: Maker) -> FastEngine | None:
        """Make an engine when it is first asked for; None where there is none for this
        tokenizer.
        """
        if make not in self._made:
            try:
                with native_errors("no fast engine"):
                    self._made[make] = make(self._description, self._vocabulary, self._reference)
            except (ArtifactError, ImportError) as err:
                self._made[make] = None
                self._notes.append(f"{err}; another engine is used")
        return self._made[make]

    @property
    def notes(self) -> list[str]:
        """Why a fast engine was not taken, and when it failed on texts."""
        failures = [
            note for fast in self._made.values() if fast is not None for note in fast.engine.notes
        ]
        return [*self._notes, *failures]


def _native(
    description: Description, vocabulary: dict[str, int], reference: ReferenceEngine
) -> FastEngine | None:
    """Make the engine of a list of words; those that stand between spaces are looked up."""
    if description["model"]["type"] != "WordLevel":
        return None
    from textkit.tokenizers.engines.native import native_engine
    from textkit.tokenizers.engines.word_table import table_before

    native = native_engine(description, reference=reference)
    if native is None:
        return None
    if not native.has_clock:
        native = table_before(native, description, reference=reference) or native
    return FastEngine(_guard(native, description, reference, specials=False), with_spans=True)


def _splintr(
    description: Description, vocabulary: dict[str, int], reference: ReferenceEngine
) -> FastEngine | None:
    """Make splintr's engine of a subword tokenizer."""
    if description["model"]["type"] == "WordLevel":
        return None
    from textkit.tokenizers.engines.splintr_layouts import encodes_alike, words_beyond_merges

    if not encodes_alike(description):
        return None
    from textkit.tokenizers.engines.splintr import SplintrEngine, piece_bytes

    n_bytes = piece_bytes(description, vocabulary)
    splintr = SplintrEngine(description, piece_bytes=n_bytes, reference=reference)
    # Not every backend of splintr takes the text of a special token for plain text.
    whole = words_beyond_merges(description["model"], reference)
    if whole is None:
        return None
    fast: Engine = splintr
    if n_bytes is None:
        from textkit.tokenizers.engines.tiled import tiled_before
        from textkit.tokenizers.engines.word_table import table_before

        others = table_before(reference, description, reference=reference) or reference
        tiled = tiled_before(splintr, others, description, vocabulary, reference)
        fast = tiled or splintr
    guarded = _guard(fast, description, reference, specials=True, words=whole)
    return FastEngine(guarded, with_spans=n_bytes is not None or fast is not splintr)


def _table(
    description: Description, vocabulary: dict[str, int], reference: ReferenceEngine
) -> FastEngine | None:
    """Put a table of words before the reference, where the ids of a text are those of its words."""
    from textkit.tokenizers.engines.word_table import table_before

    table = table_before(reference, description, reference=reference)
    if table is None:
        return None
    return FastEngine(_guard(table, description, reference, specials=False), with_spans=True)


Maker = Callable[[Description, dict[str, int], ReferenceEngine], FastEngine | None]
# What may be used -> makers of engines, from the fastest on. Each gives an engine, still to be
# certified, or None; it raises what the engine's own loader raises.
_MAKERS: dict[EngineChoice, tuple[Maker, ...]] = {
    "auto": (_native, _splintr, _table),
    "table": (_table,),
    "reference": (),
}


def _guard(
    fast: Engine,
    description: Description,
    reference: ReferenceEngine,
    *,
    specials: bool,
    words: Sequence[str] = (),
) -> GuardedEngine:
    """Give rows that hold added tokens, or one of `words` when normalised, to the reference.

    Those that hold special ones too, if `specials`.
    """
    added = description["added_tokens"]
    plain = [token for token in added if not token["special"]]
    looked_for = [token["content"] for token in (added if specials else plain)]
    if not description["normalizer"]:
        return GuardedEngine(fast, reference, raw=[*looked_for, *words], normalized=[])
    normalized = [reference.normalize(token["content"]) for token in plain if token["normalized"]]
    return GuardedEngine(fast, reference, raw=looked_for, normalized=[*normalized, *words])
