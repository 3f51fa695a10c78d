"""Vectors of texts without torch: a graph that onnxruntime computes, as an embedder.

In: a folder that `textkit export` wrote of a transformer. Out: the backend of a TextEmbedder,
registered as the embedder "exported". Pooling and normalising are in the graph, the tokenizer and
the prompt beside it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textkit.batch import TokenBatch
from textkit.embedders.backend import EmbedderOptions, TextVectors, embed_blocks, not_fitted
from textkit.errors import ArtifactError
from textkit.features.templates import IdTemplate
from textkit.io import files, zipped
from textkit.runtime.graph import Graph, read_graph
from textkit.tokenizers import Tokenizer, formats
from textkit.tokenizers.protocol import (
    EXPORTED_TEXTS_FORMAT,
    EXPORTED_TEXTS_KIND,
    TOKENIZER_FILES,
    check_texts,
)
from textkit.vectors.neighbours import unit
from textkit.version import __version__

KIND, FORMAT = EXPORTED_TEXTS_KIND, EXPORTED_TEXTS_FORMAT
CONFIG, GRAPH, OUTPUT = "config.json", "model.onnx", "vectors"
MODEL_TYPE = "textkit-embedder"
BATCH_TOKENS, BATCH_PADDING = 2048, 64
_BLOCK_ROWS, _BLOCK_CHARACTERS = 16384, 16 << 20


@dataclass(frozen=True)
class SentenceInput:
    """Texts -> ids with special tokens around them, cut to the model's length."""

    tokenizer: Tokenizer
    max_length: int | None = None
    lowercase: bool = False

    def encode(self, texts: Sequence[str]) -> TokenBatch:
        """Encode texts, one row a text."""
        cased = [text.lower() for text in texts] if self.lowercase else texts
        template = IdTemplate(*self.tokenizer.around)
        return template.encode(self.tokenizer, cased, max_length=self.max_length).tokens


@dataclass(frozen=True)
class GraphTexts:
    """Texts to vectors without torch.

    encode: texts -> ids. pool: TokenBatch -> (n, dim) float32. facts: all that decides the vectors.
    normalize: scale them to length 1, where the graph does not. source: what encodes, where that is
    an embedder's own.
    """

    parallel: ClassVar[bool] = False
    batch_padding: ClassVar[int] = BATCH_PADDING
    dim: int
    encode: Callable[[Sequence[str]], TokenBatch]
    pool: Callable[[TokenBatch], NDArray[np.float32]]
    facts: dict[str, object]
    prompt: str = ""
    normalize: bool = False
    batch_tokens: int = BATCH_TOKENS
    notes: tuple[str, ...] = ()
    source: SentenceInput | None = None

    def embed(self, texts: Sequence[str]) -> TextVectors:
        """Give the vectors of texts; one row a text, in order."""
        return embed_blocks(
            check_texts(texts),
            self._embed_block,
            dim=self.dim,
            n_rows=_BLOCK_ROWS,
            n_characters=_BLOCK_CHARACTERS,
        )

    def _embed_block(self, texts: Sequence[str]) -> TextVectors:
        tokens = self.encode_prompted(texts)
        return TextVectors(self.embed_tokens(tokens), tokens.truncated)

    def encode_prompted(self, texts: Sequence[str]) -> TokenBatch:
        """Encode texts behind the prompt, where there is one."""
        return self.encode([self.prompt + text for text in texts] if self.prompt else texts)

    def embed_tokens(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Give the vectors of encoded texts: (n, dim) float32, in their order."""
        pooled = self.pool(tokens)
        return unit(pooled) if self.normalize else pooled

    def fit(self, texts: Iterable[str], *, n_components: int = 1) -> GraphTexts:
        """Refuse: a model's vectors are as it was trained."""
        raise not_fitted()

    def describe(self) -> dict[str, object]:
        """Say all that decides the vectors."""
        return {**self.facts, "prompt": self.prompt, "normalize": self.normalize}


def write(
    folder: Path, source: SentenceInput, graph: Graph, *, prompt: str, facts: dict[str, object]
) -> None:
    """Write the files of an exported embedder; a manifest then closes the folder."""
    config = {
        "model_type": MODEL_TYPE,
        "textkit_version": __version__,
        "engine": "onnxruntime",
        "dim": graph.width(OUTPUT),
        "max_length": source.max_length,
        "lowercase": source.lowercase,
        "prompt": prompt,
        "longest_row": graph.longest,
        "tokenizer_fingerprint": source.tokenizer.fingerprint,
        **facts,
    }
    files.write_json(folder / CONFIG, config)
    files.write_bytes(folder / GRAPH, graph.data)
    source.tokenizer.write(folder)


def open_texts(place: str, options: EmbedderOptions) -> GraphTexts:
    """Open an exported embedder; ArtifactError names what is missing, changed or foreign."""
    options.refuse(
        *("tokenizer", "lowercase", "pooling", "prompt_name", "max_length", "precision", "allow"),
        *("device",),
        spec=place,
        what="an exported model, which has its own",
    )
    with zipped.unzipped(place) as folder:
        files.check_manifest(
            folder, kind=KIND, format=FORMAT, reads=(CONFIG, GRAPH, *TOKENIZER_FILES)
        )
        return open_files(folder, options)


def open_files(folder: Path, options: EmbedderOptions = EmbedderOptions()) -> GraphTexts:
    """Open the files of an exported embedder that are checked."""
    config = _read_config(folder)
    tokenizer = formats.read_files(folder)
    if tokenizer.fingerprint != config["tokenizer_fingerprint"]:
        raise ArtifactError(
            "the tokenizer is not the one that the model was exported with", where=str(folder)
        )
    graph = read_graph(folder / GRAPH, pad_id=tokenizer.pad_id or 0, longest=config["longest_row"])
    budget = options.batch_tokens or BATCH_TOKENS

    def pool(tokens: TokenBatch) -> NDArray[np.float32]:
        return graph.run(tokens, output=OUTPUT, batch_tokens=budget)

    source = SentenceInput(tokenizer, config["max_length"], config["lowercase"])
    return GraphTexts(
        graph.width(OUTPUT),
        source.encode,
        pool,
        {
            "graph": files.sha256(folder / GRAPH),
            "tokenizer": tokenizer.fingerprint,
            "max_length": config["max_length"],
        },
        prompt=config["prompt"] if options.prompt is None else options.prompt,
        normalize=bool(options.normalize),
        batch_tokens=budget,
        source=source,
    )


def _read_config(folder: Path) -> dict[str, Any]:
    config = files.read_json(folder / CONFIG)
    where = str(folder / CONFIG)
    if not isinstance(config, dict) or config.get("model_type") != MODEL_TYPE:
        raise ArtifactError(f"model_type is not '{MODEL_TYPE}'", where=where)
    kinds = {
        "max_length": (int, type(None)),
        "longest_row": (int, type(None)),
        "lowercase": (bool,),
        "prompt": (str,),
        "tokenizer_fingerprint": (str,),
    }
    for name, known in kinds.items():
        if type(config.get(name, ...)) not in known:
            raise ArtifactError(f"{name} is {str(config.get(name))[:40]!r}", where=where)
    return config
