"""A linear model on TF-IDF of words and characters: predicted with numpy alone, no torch and no
scikit-learn.

In: texts. Out: logits, each a weighted sum of a text's features. `model.safetensors` holds its
numbers and its n-grams; it has no tokenizer. How it is learnt stands in
textkit/classify/linear_fitting.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as save_arrays

from textkit.batch import cut_rows
from textkit.classify.compression import Compression, described, read_compression, seal_of
from textkit.classify.linear_packing import pack_arrays, unpack_arrays
from textkit.classify.machines import Machines, SparseFeatures, check_machines
from textkit.classify.model_config import CONFIG, FORMAT, KIND, WEIGHTS
from textkit.errors import ArtifactError, UsageError
from textkit.features.grams import GramTable
from textkit.features.tfidf import SparseRows, TfidfFeatures, TfidfOptions
from textkit.io import files
from textkit.recipe import Recipe
from textkit.runtime.quantized import Quantized, quantize

Arrays = dict[str, NDArray[Any]]

# Texts whose features are held at a time.
_CHUNK_ROWS = 4096
# Machines from which on a scale a row costs less than it gains.
_FEWEST_OF_A_ROW = 16


@dataclass(frozen=True, kw_only=True)
class LinearOptions(TfidfOptions):
    """What a recipe says of a linear model, under `encoder.`.

    loss: "squared_hinge" (a support vector machine) or "logistic"; a regression has the squared
    error. cost: what an error costs beside large weights; "auto" tries some and takes the best in a
    cross-validation of the training rows. refit: learn at last from the rows that were held out,
    too, once all is chosen; rows of a validation file are left alone.
    """

    loss: str = "squared_hinge"
    cost: float | str = "auto"
    refit: bool = True

    def __post_init__(self) -> None:
        super().__post_init__()
        check_machines(self.loss, self.cost)

    @staticmethod
    def of(recipe: Recipe) -> LinearOptions:
        """Read the options of a recipe."""
        names = {field.name for field in fields(LinearOptions)}
        given = {key: value for key, value in recipe.encoder.options.items() if key in names}
        return LinearOptions(**given)


@dataclass(frozen=True, eq=False)
class LinearModel:
    """Texts -> TF-IDF -> logits.

    stored: of a compressed model its weights as a file holds them; the machines' are what they
    stand for. compression: how it was made so.
    """

    engine: ClassVar[str] = "numpy"

    features: TfidfFeatures
    machines: Machines
    stored: Quantized | None = None
    compression: Compression | None = None

    @property
    def seal(self) -> tuple[str, int]:
        """The kind and the format of its folder."""
        return (KIND, FORMAT) if self.compression is None else seal_of(self.compression)

    @property
    def weights(self) -> NDArray[np.float32]:
        """What each feature counts for in each machine: (n_features, n_machines)."""
        return self.machines.weights

    @property
    def bias(self) -> NDArray[np.float32]:
        """What each machine says of a text without a feature: (n_machines,)."""
        return self.machines.bias

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt."""
        return self.machines.n_weights

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""
        none = np.zeros((0, self.machines.n_outputs), dtype=np.float32)
        chunks = cut_rows(texts, n_rows=_CHUNK_ROWS)
        return np.concatenate(
            [none, *(self.score(self.features.encode(chunk)) for chunk in chunks)]
        )

    def score(self, rows: SparseRows) -> NDArray[np.float32]:
        """Compute the same from features."""
        return self.machines.score(SparseFeatures(rows, self.features.n_features))

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        facts: dict[str, object] = {"vocab_size": self.features.n_features}
        return facts if self.compression is None else self._described(facts)

    def _described(self, facts: dict[str, object]) -> dict[str, object]:
        return {**facts, "engine": self.engine, **described(self.compression)}

    def compress(self, compression: Compression) -> LinearModel:
        """Store its weights as a compression says; it predicts with what they then stand for."""
        # Of few machines a scale for each row would be as long as what it scales.
        by_row = self.weights.shape[1] >= _FEWEST_OF_A_ROW
        stored = quantize(self.weights, compression.numbers, by_row=by_row)
        machines = replace(self.machines, weights=stored.floats())
        return replace(self, machines=machines, stored=stored, compression=compression)

    def keep(self, kept: NDArray[np.bool_]) -> LinearModel:
        """Keep some features, (n_features,) bool, with their weights."""
        features = self.features.keep(kept)
        return LinearModel(features, replace(self.machines, weights=self.weights[kept]))

    def write(self, folder: Path) -> None:
        """Write the weights, and the n-grams that they belong to."""
        features = self.features
        arrays: Arrays = {
            "weights": self.machines.weights,
            "bias": self.machines.bias,
            "row_counts": features.row_counts,
            "n_rows": np.array([features.n_rows]),
        }
        if features.words is not None:
            arrays |= _pack_grams("words", features.words)
            text = "\n".join(features.vocabulary).encode("utf-8")
            arrays["words.symbols"] = np.frombuffer(text, np.uint8)
        if features.characters is not None:
            arrays |= _pack_grams("characters", features.characters)
            arrays["characters.symbols"] = features.alphabet
        if self.stored is not None:
            arrays = pack_arrays(arrays, self.stored)
        files.write_bytes(folder / WEIGHTS, save_arrays(arrays))

    @staticmethod
    def open(folder: Path, config: dict[str, Any], recipe: Recipe) -> LinearModel:
        """Open what `write` wrote; ArtifactError names what does not fit the config."""
        where, stored = str(folder / WEIGHTS), None
        compression = read_compression(config, where=str(folder / CONFIG))
        try:
            arrays = load_file(folder / WEIGHTS)
            if compression is not None:
                arrays, stored = unpack_arrays(arrays)
            features = _unpack_features(arrays, LinearOptions.of(recipe))
            weights, bias = arrays["weights"], arrays["bias"]
        except (SafetensorError, UsageError, ValueError, OverflowError) as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(f"weights do not fit the config: {reason}", where=where) from err
        except KeyError as err:
            raise ArtifactError(f"weight {err.args[0]} is missing", where=where) from err
        machines = Machines(weights, bias, len(config["labels"]))
        machines.check(features.n_features, recipe.head.task, where=where)
        return LinearModel(features, machines, stored, compression)


def _pack_grams(name: str, table: GramTable) -> Arrays:
    """Give the arrays of a table of n-grams: keys and columns, level after level."""
    arrays: Arrays = {f"{name}.columns.1": table.columns[0]}
    for n, (keys, columns) in enumerate(zip(table.keys, table.columns[1:], strict=True), start=2):
        arrays |= {f"{name}.keys.{n}": keys, f"{name}.columns.{n}": columns}
    return arrays


def _unpack_grams(
    arrays: Arrays, name: str, gram_range: Sequence[int], *, whole: bool
) -> GramTable:
    """Read a table of n-grams; ValueError for one that is none."""
    shortest, longest = gram_range
    columns = tuple(_take(arrays, f"{name}.columns.{n}", np.int32) for n in range(1, longest + 1))
    keys = tuple(_take(arrays, f"{name}.keys.{n}", np.int64) for n in range(2, longest + 1))
    table = GramTable(len(columns[0]), shortest, longest, keys, columns, whole)
    problem = table.problem()
    if problem is not None:
        raise ValueError(f"{name}: {problem}")
    return table


def _unpack_features(arrays: Arrays, options: LinearOptions) -> TfidfFeatures:
    """Read the features; ValueError where their parts do not belong together."""
    words = characters = None
    vocabulary: list[str] = []
    alphabet: NDArray[np.uint32] = np.zeros(0, np.uint32)
    if len(options.words):
        words = _unpack_grams(arrays, "words", options.words, whole=False)
        text = _take(arrays, "words.symbols", np.uint8).tobytes().decode("utf-8")
        vocabulary = text.split("\n") if text else []
        if len(vocabulary) != words.n_symbols or len(set(vocabulary)) != words.n_symbols:
            raise ValueError("words: symbols and n-grams differ in number")
    if len(options.characters):
        characters = _unpack_grams(arrays, "characters", options.characters, whole=True)
        alphabet = _take(arrays, "characters.symbols", np.uint32)
        if len(alphabet) != characters.n_symbols or (np.diff(alphabet.astype(np.int64)) <= 0).any():
            raise ValueError("characters: symbols do not ascend, or are not as many as n-grams say")
    row_counts, n_rows = _take(arrays, "row_counts", np.int64), _take(arrays, "n_rows", np.int64)
    n = sum(table.n_columns for table in (words, characters) if table is not None)
    is_count = n_rows.shape == (1,) and row_counts.shape == (n,)
    if not is_count or (row_counts < 1).any() or (row_counts > n_rows).any():
        raise ValueError(f"row_counts are not {n} counts of at most n_rows rows")
    return TfidfFeatures(
        words,
        tuple(vocabulary),
        characters,
        alphabet,
        row_counts,
        int(n_rows[0]),
        lowercase=options.lowercase,
        sublinear=options.sublinear,
    )


def _take(arrays: Arrays, name: str, dtype: type[np.generic]) -> NDArray[Any]:
    """Give an array of one dimension and a type; KeyError or ValueError where it is none."""
    array = arrays[name]
    if array.dtype != dtype or array.ndim != 1:
        raise ValueError(f"{name} is {array.dtype} {array.shape}, expected a row of {dtype}")
    return array
