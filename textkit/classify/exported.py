"""Models that left torch: a graph that onnxruntime computes, or a bag that numpy does.

In: texts. Out: logits, the same as the network's that was exported. How one is made stands in
textkit/classify/exporting.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as save_arrays

from textkit.batch import TokenBatch, cut_rows
from textkit.classify.compression import Compression, described, read_compression, seal_of
from textkit.classify.model_config import (
    CONFIG,
    ENGINES,
    GRAPH,
    KEPT,
    PACKED_KEPT,
    WEIGHTS,
)
from textkit.errors import ArtifactError, UsageError
from textkit.features.text_input import TextInput
from textkit.io import files
from textkit.io.integers import pack_ascending, unpack_ascending
from textkit.recipe import Recipe
from textkit.runtime.bag import Bag
from textkit.runtime.graph import Graph, read_graph
from textkit.tokenizers import formats

# Texts whose tokens are held at a time.
_CHUNK_ROWS = 4096

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class GraphModel:
    """Texts -> text_input -> graph -> logits.

    scores: the graph's output that predicts, `logits`, or `values` of a regression.
    """

    engine: ClassVar[str] = "onnxruntime"

    text_input: TextInput
    graph: Graph
    scores: str
    n_weights: int
    compression: Compression | None = None

    @property
    def seal(self) -> tuple[str, int]:
        """The kind and the format of its folder."""
        return seal_of(self.compression)

    @property
    def longest_row(self) -> int | None:
        """Tokens of the longest row that it takes, None for any."""
        return self.graph.longest

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""
        none = np.zeros((0, self.graph.width(self.scores)), np.float32)
        chunks = cut_rows(texts, n_rows=_CHUNK_ROWS)
        return np.concatenate([none, *(self.score(self.text_input.encode(c)) for c in chunks)])

    def score(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute the same from encoded rows."""
        return self.graph.run(tokens, output=self.scores)

    def pool(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute what the heads see of each row: (n_rows, width) float32."""
        return self.graph.run(tokens, output="pooled")

    def hash(self) -> str:
        """Hash all numbers of it: hex digits."""
        return hashlib.sha256(self.graph.data).hexdigest()

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        return {
            **_describe(self.text_input, self.engine),
            "n_weights": self.n_weights,
            "longest_row": self.graph.longest,
            **described(self.compression),
        }

    def write(self, folder: Path) -> None:
        """Write the graph and the tokenizer's files."""
        files.write_bytes(folder / GRAPH, self.graph.data)
        kept = _kept_buckets(self.text_input, self.compression)
        if kept:
            files.write_bytes(folder / WEIGHTS, save_arrays(kept))
        self.text_input.tokenizer.write(folder)


@dataclass(frozen=True, eq=False)
class BagModel:
    """Texts -> text_input -> mean of vectors -> logits."""

    engine: ClassVar[str] = "numpy"

    text_input: TextInput
    bag: Bag
    n_outputs: int
    longest_row: None = None
    compression: Compression | None = None

    @property
    def seal(self) -> tuple[str, int]:
        """The kind and the format of its folder."""
        return seal_of(self.compression)

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt."""
        return self.bag.n_weights

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""
        none = np.zeros((0, self.n_outputs), np.float32)
        chunks = cut_rows(texts, n_rows=_CHUNK_ROWS)
        return np.concatenate([none, *(self.score(self.text_input.encode(c)) for c in chunks)])

    def score(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute the same from encoded rows."""
        return self.bag.score(tokens)

    def pool(self, tokens: TokenBatch) -> NDArray[np.float32]:
        """Compute what the heads see of each row: (n_rows, width) float32."""
        return np.tile(self.bag.pool(tokens), len(self.bag.heads))

    def hash(self) -> str:
        """Hash all numbers of it: hex digits."""
        return hashlib.sha256(save_arrays(self.bag.to_arrays())).hexdigest()

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        return {**_describe(self.text_input, self.engine), **described(self.compression)}

    def write(self, folder: Path) -> None:
        """Write the arrays and the tokenizer's files."""
        arrays = self.bag.to_arrays() | _kept_buckets(self.text_input, self.compression)
        files.write_bytes(folder / WEIGHTS, save_arrays(arrays))
        self.text_input.tokenizer.write(folder)


def open_exported(folder: Path, config: dict[str, Any], recipe: Recipe) -> GraphModel | BagModel:
    """Open what was exported; ArtifactError names what does not fit the config."""
    engine = config["engine"]
    if engine not in ENGINES:
        raise ArtifactError(
            f"engine is {str(engine)[:40]!r}, expected {' or '.join(ENGINES)}",
            where=str(folder / CONFIG),
        )
    tokenizer = formats.read_files(folder)
    if tokenizer.fingerprint != config.get("tokenizer_fingerprint"):
        raise ArtifactError(
            f"the tokenizer's fingerprint is {tokenizer.fingerprint[:12]}, {CONFIG} says"
            f" {str(config.get('tokenizer_fingerprint'))[:12]}; it is not the one that the model"
            " learnt with",
            where=str(folder),
        )
    compression = read_compression(config, where=str(folder / CONFIG))
    arrays = _read_arrays(folder / WEIGHTS)
    where, n_outputs = str(folder / WEIGHTS), len(config["labels"])
    try:
        text_input = TextInput.make(recipe, tokenizer, kept=_take_kept(arrays))
        if engine == BagModel.engine:
            head = recipe.head
            bag = Bag.of_arrays(
                arrays,
                n_heads=recipe.encoder.members,
                widths=[recipe.embedding.dim, *head.hidden, n_outputs],
                norm=head.norm,
                activation=head.activation,
            )
            if len(bag.table) != text_input.n_ids:
                raise ValueError(f"table has {len(bag.table)} rows for {text_input.n_ids} ids")
            return BagModel(text_input, bag, n_outputs, compression=compression)
    except KeyError as err:
        raise ArtifactError(f"array {err.args[0]} is missing", where=where) from err
    except (UsageError, ValueError, IndexError, OverflowError) as err:
        reason = " ".join(str(err).split())
        raise ArtifactError(f"weights do not fit the config: {reason}", where=where) from err
    return replace(_open_graph(folder, config, recipe, text_input), compression=compression)


def _open_graph(
    folder: Path, config: dict[str, Any], recipe: Recipe, text_input: TextInput
) -> GraphModel:
    longest, n_weights = config.get("longest_row"), config.get("n_weights")
    for name, value in (("longest_row", longest or 1), ("n_weights", n_weights)):
        if type(value) is not int or value < 0:
            raise ArtifactError(f"{name} is {str(value)[:40]!r}", where=str(folder / CONFIG))
    if not (folder / GRAPH).is_file():
        raise ArtifactError("file is missing", where=str(folder / GRAPH))
    graph = read_graph(folder / GRAPH, pad_id=text_input.tokenizer.pad_id or 0, longest=longest)
    scores = "values" if recipe.head.task == "regression" else "logits"
    if graph.width(scores) != len(config["labels"]):
        raise ArtifactError(
            f"the graph gives {graph.width(scores)} {scores} for {len(config['labels'])} labels",
            where=str(folder / GRAPH),
        )
    return GraphModel(text_input, graph, scores, int(n_weights or 0))


def _describe(text_input: TextInput, engine: str) -> dict[str, object]:
    tokenizer = text_input.tokenizer
    return {
        "vocab_size": tokenizer.n_ids,
        "tokenizer_fingerprint": tokenizer.fingerprint,
        "engine": engine,
    }


def _kept_buckets(text_input: TextInput, compression: Compression | None) -> Arrays:
    ngrams = text_input.ngrams
    if ngrams is None or ngrams.kept is None:
        return {}
    return (
        {KEPT: ngrams.kept} if compression is None else {PACKED_KEPT: pack_ascending(ngrams.kept)}
    )


def _take_kept(arrays: Arrays) -> NDArray[np.int32] | None:
    """Take the buckets in use out of the arrays of a file."""
    packed = arrays.pop(PACKED_KEPT, None)
    kept = arrays.pop(KEPT, None)
    if packed is None:
        return kept
    buckets = unpack_ascending(packed)
    if len(buckets) and buckets.max() > np.iinfo(np.int32).max:
        raise ValueError("a bucket in use is no number of 32 bits")
    return buckets.astype(np.int32)


def _read_arrays(path: Path) -> Arrays:
    if not path.is_file():
        return {}
    try:
        return dict(load_file(path))
    except (SafetensorError, ValueError) as err:
        reason = " ".join(str(err).split())
        raise ArtifactError(f"not readable as safetensors: {reason}", where=str(path)) from err
