"""The model whose vectors an index holds: opened to build it, and again for its queries.

In: a spec with options of `TextEmbedder.open`, or an open TextEmbedder. Out: embedders of texts and
of queries, and a fingerprint by which an index knows the vectors that are of its kind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from textkit.embedders.embedder import TextEmbedder
from textkit.errors import ArtifactError, UsageError
from textkit.tokenizers.formats import open_tokenizer

# What may differ between the vectors of texts and of queries, or with the machine.
_NOT_OF_THE_KIND = ("prompt", "batch_tokens", "device", "precision")
# What an index says of how its model is opened.
_REMEMBERED = (
    "pooling",
    "normalize",
    "max_length",
    "tokenizer",
    "prompt",
    "prompt_name",
    "query_prompt",
    "query_prompt_name",
)


@dataclass(frozen=True, kw_only=True)
class SearchModel:
    """What makes the vectors of texts and queries.

    spec: what `TextEmbedder.open` takes; pooling to batch_tokens, and allow, are its options.
    query_prompt, query_prompt_name: of queries, where not that of texts.
    """

    spec: str
    pooling: str | Sequence[str] | None = None
    normalize: bool | None = None
    max_length: int | None = None
    tokenizer: str | None = None
    prompt: str | None = None
    prompt_name: str | None = None
    query_prompt: str | None = None
    query_prompt_name: str | None = None
    device: str = "auto"
    precision: str = "auto"
    batch_tokens: int | None = None
    allow: Sequence[str] = ()

    def open(self) -> TextEmbedder:
        """Open it for texts."""
        return self._open(self.prompt, self.prompt_name)

    def open_for_queries(self) -> TextEmbedder:
        """Open it for queries."""
        if self.query_prompt is None and self.query_prompt_name is None:
            return self.open()
        return self._open(self.query_prompt, self.query_prompt_name)

    def _open(self, prompt: str | None, prompt_name: str | None) -> TextEmbedder:
        return TextEmbedder.open(
            self.spec,
            pooling=self.pooling,
            normalize=self.normalize,
            max_length=self.max_length,
            tokenizer=None if self.tokenizer is None else open_tokenizer(self.tokenizer),
            prompt=prompt,
            prompt_name=prompt_name,
            device=self.device,
            precision=self.precision,
            batch_tokens=self.batch_tokens,
            allow=self.allow,
        )

    def describe(self) -> dict[str, object]:
        """Say how it is opened, as JSON: the spec, and what was chosen."""
        chosen = {name: getattr(self, name) for name in _REMEMBERED}
        return {"spec": self.spec, **{k: v for k, v in chosen.items() if v is not None}}

    @classmethod
    def remembered(cls, told: Mapping[str, object], *, spec: str | None, where: str) -> SearchModel:
        """Take up what an index says of its model; `spec` goes before the one that it names.

        An index may come from anywhere: by itself it opens what lies on this machine, and never
        asks a network.
        """
        named = told.get("spec")
        if spec is None and not (isinstance(named, str) and _is_here(named)):
            shown = f"'{named}'" if named else "an embedder that was open"
            raise UsageError(
                f"the vectors of {where} are of {shown}, which is not opened by itself from here;"
                " name the model with --model (in Python model=), or search by words alone"
            )
        options = {name: told[name] for name in _REMEMBERED if told.get(name) is not None}
        try:
            return replace(cls(spec=spec or str(named)), **options)  # type: ignore[arg-type]
        except TypeError as err:
            raise ArtifactError(f"bad options of its model: {err}", where=where) from err


def _is_here(spec: str) -> bool:
    return spec == "glove" or Path(spec).exists()


def fingerprint(embedder: TextEmbedder) -> str:
    """Hash all that decides the vectors of an embedder, but for prompts and the machine: hex
    digits.
    """
    told = {k: v for k, v in embedder.describe().items() if k not in _NOT_OF_THE_KIND}
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()


def check_fingerprint(embedder: TextEmbedder, wanted: str, *, where: str) -> TextEmbedder:
    """Give the embedder where its vectors are of the kind that an index holds.

    Raises ArtifactError for another: its cosines with the index's would mean nothing.
    """
    found = fingerprint(embedder)
    if found != wanted:
        raise ArtifactError(
            f"its vectors are of fingerprint {wanted[:12]}, the model's of {found[:12]}: another"
            " model, or other options; name the model that it was built with, or build it again",
            where=where,
        )
    return embedder
