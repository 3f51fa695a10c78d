"""A linear model on text vectors that are not trained: a frozen sentence encoder, or word vectors.

In: texts. Out: logits, each a weighted sum of a text's vector. The model folder holds what makes
the vectors, in `embedder/`, so that it works where nothing else lies. Vectors of training texts
are made once and kept, so that folds, costs and a fit that goes on share one pass.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file
from safetensors.numpy import save as save_arrays

from textkit.batch import cut_rows
from textkit.classify.machines import DenseFeatures, Machines, check_machines
from textkit.classify.model_config import FORMAT, KIND, WEIGHTS
from textkit.embedders.backend import TextVectors
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.errors import ArtifactError, UsageError
from textkit.io import files, hub
from textkit.recipe import Recipe
from textkit.vectors.vectors import Vectors

EMBEDDER = "embedder"
# Of length about 1, so that a cost means the same for every embedder. The last is the one that is
# taken where there is too much or too little to try.
COSTS = (0.3, 1.0, 10.0, 30.0, 3.0)
# Texts whose vectors are made between two writes of them.
_CHUNK_ROWS = 4096
# What changes how fast vectors are made, and not what they mean.
_MANNERS = ("batch_tokens", "device", "precision")
_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")


@dataclass(frozen=True, kw_only=True)
class FrozenOptions:
    """What a recipe says of a model on frozen vectors, under `encoder.`.

    embedder: what makes the vectors, as TextEmbedder.open takes it: a folder of a sentence encoder,
    a model that textkit trained, vectors of words such as "glove", or `hf:NAME`. loss, cost, refit:
    as of a linear model. max_length: tokens a text at most, 0 for as many as the embedder takes.
    windows: a longer text is read in pieces, whose mean is its vector; else it is cut.
    """

    embedder: str = "glove"
    loss: str = "logistic"
    cost: float | str = "auto"
    refit: bool = True
    max_length: int = 0
    windows: bool = False

    def __post_init__(self) -> None:
        check_machines(self.loss, self.cost)
        if not self.embedder:
            raise UsageError("embedder = ''; name a folder, vectors of words, or hf:NAME")

    @staticmethod
    def of(recipe: Recipe) -> FrozenOptions:
        """Read the options of a recipe."""
        names = {field.name for field in fields(FrozenOptions)}
        given = {key: value for key, value in recipe.encoder.options.items() if key in names}
        return FrozenOptions(**given)

    def open(self, place: Path | None = None) -> TextEmbedder:
        """Open what makes the vectors, or a copy of it that lies in a folder."""
        spec = self.embedder if place is None else str(place)
        device = "auto" if find_kind(spec)[0] == "vectors" else "cpu"  # the same numbers anywhere
        return TextEmbedder.open(spec, max_length=self.max_length or None, device=device)


@dataclass(frozen=True, eq=False)
class FrozenModel:
    """Texts -> vectors -> logits. source: what the embedder was opened from. windows: long texts
    are read in pieces.
    """

    seal: ClassVar = (KIND, FORMAT)

    embedder: TextEmbedder
    machines: Machines
    source: str
    windows: bool = False

    @property
    def engine(self) -> str:
        """What computes: numpy for vectors of words, else a network."""
        return "numpy" if self.embedder.backend.parallel else "transformers"

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt."""
        return self.machines.n_weights

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32 logits; of a regression the predicted numbers."""
        none = np.zeros((0, self.machines.n_outputs), dtype=np.float32)
        chunks = cut_rows(texts, n_rows=_CHUNK_ROWS)
        return np.concatenate([none, *(self._score(chunk) for chunk in chunks)])

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.machines.score(
            DenseFeatures(embed_texts(self.embedder, texts, windows=self.windows).vectors)
        )

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        return {"vocab_size": self.embedder.dim, "embedder": fingerprint(self.embedder)}

    def write(self, folder: Path) -> None:
        """Write the weights, and a copy of what makes the vectors."""
        arrays = {"weights": self.machines.weights, "bias": self.machines.bias}
        files.write_bytes(folder / WEIGHTS, save_arrays(arrays))
        _copy_embedder(self.source, folder / EMBEDDER)

    @staticmethod
    def open(folder: Path, config: dict[str, Any], recipe: Recipe) -> FrozenModel:
        """Open what `write` wrote; ArtifactError names what does not fit the config."""
        where = str(folder / WEIGHTS)
        try:
            arrays = load_file(folder / WEIGHTS)
            weights, bias = arrays["weights"], arrays["bias"]
        except SafetensorError as err:
            reason = " ".join(str(err).split())
            raise ArtifactError(f"weights do not fit the config: {reason}", where=where) from err
        except KeyError as err:
            raise ArtifactError(f"weight {err.args[0]} is missing", where=where) from err
        place = folder / EMBEDDER
        if not place.is_dir():
            raise ArtifactError("folder of what makes the vectors is missing", where=str(place))
        options = FrozenOptions.of(recipe)
        embedder = options.open(place)
        if fingerprint(embedder) != config.get("embedder"):
            raise ArtifactError(
                "it makes other vectors than those that the weights were learnt on; copy the"
                " folder again",
                where=str(place),
            )
        machines = Machines(weights, bias, len(config["labels"]))
        machines.check(embedder.dim, recipe.head.task, where=where)
        return FrozenModel(embedder, machines, str(place), options.windows)


@dataclass(frozen=True, eq=False, kw_only=True)
class KnownVectors(FrozenModel):
    """The same, for texts whose vectors were made already: `vectors` keeps all that it makes."""

    vectors: FrozenSource

    def _score(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return self.machines.score(DenseFeatures(self.vectors.embed(texts)))


@dataclass(frozen=True)
class _Scaled:
    """Vectors with their mean taken away, divided by their usual length."""

    source: FrozenSource
    mean: NDArray[np.float32]
    scale: float

    def encode(self, texts: Sequence[str]) -> DenseFeatures:
        return self.scaled(self.source.embed(texts))

    def scaled(self, vectors: NDArray[np.float32]) -> DenseFeatures:
        return DenseFeatures((vectors - self.mean) / np.float32(self.scale))

    def model(self, machines: Machines) -> FrozenModel:
        """Give the model of vectors as they are: what scales them goes into the weights."""
        weights = machines.weights / np.float32(self.scale)
        bias = (machines.bias - self.mean @ weights).astype(np.float32)
        whole = Machines(np.ascontiguousarray(weights), bias, machines.n_outputs)
        options = self.source.options
        return FrozenModel(self.source.embedder, whole, options.embedder, options.windows)


class FrozenSource:
    """Text vectors as features, each text's made once.

    folder: where they are kept, so that a fit which was stopped does not make them again.
    """

    def __init__(self, options: FrozenOptions, folder: Path | None = None) -> None:
        self.options = options
        self.loss, self.refit = options.loss, options.refit
        self.costs = COSTS if options.cost == "auto" else (float(options.cost),)
        self.embedder = options.open()
        self.path = None
        if folder is not None:
            manner = "-windows" if options.windows else ""
            name = f"vectors-{fingerprint(self.embedder)[:16]}{manner}.safetensors"
            self.path = folder / name
        self.n_cut = 0
        self._n_kept = 0
        self._known: dict[bytes, NDArray[np.float32]] = _read_vectors(self.path, self.embedder.dim)

    def prepare(self, texts: Sequence[str]) -> None:
        """Make the vectors of these texts."""
        self.embed(texts)

    def learn(self, texts: Sequence[str]) -> tuple[_Scaled, DenseFeatures]:
        """Learn mean and length of the vectors of training texts."""
        vectors = self.embed(texts)
        mean = vectors.mean(axis=0, dtype=np.float64).astype(np.float32)
        length = float(np.sqrt(((vectors - mean).astype(np.float64) ** 2).sum(axis=1).mean()))
        features = _Scaled(self, mean, length or 1.0)
        return features, features.scaled(vectors)

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Give the vectors of texts, (n, dim), those that are known from memory."""
        keys = [_key(text) for text in texts]
        missing = list({k: t for k, t in zip(keys, texts, strict=True) if k not in self._known})
        text_of = dict(zip(keys, texts, strict=True))
        for at in range(0, len(missing), _CHUNK_ROWS):
            chunk = missing[at : at + _CHUNK_ROWS]
            new = [text_of[key] for key in chunk]
            made = embed_texts(self.embedder, new, windows=self.options.windows)
            self.n_cut += int((made.truncated > 0).sum())
            self._known.update(zip(chunk, made.vectors, strict=True))
            # Each writing is of all: at sizes that double, and at last.
            if at + len(chunk) == len(missing) or len(self._known) >= 2 * self._n_kept:
                self._keep()
        none = np.zeros((0, self.embedder.dim), np.float32)
        return np.stack([self._known[key] for key in keys]) if keys else none

    def _keep(self) -> None:
        if self.path is None:
            return
        keys = np.frombuffer(b"".join(self._known), np.uint8).reshape(-1, 16)
        vectors = np.stack(list(self._known.values()))
        arrays: dict[str, NDArray[Any]] = {"keys": keys, "vectors": vectors}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(self.path, save_arrays(arrays))
        self._n_kept = len(self._known)


def embed_texts(embedder: TextEmbedder, texts: Sequence[str], *, windows: bool) -> TextVectors:
    """Make the vectors of texts; with `windows` a text that is too long is halved, at the white
    space next to its middle, until no piece is: its vector is the mean of theirs, of their length.
    """
    made = embedder.embed(texts)
    long = np.flatnonzero(made.truncated > 0) if windows else np.zeros(0, np.int64)
    halves = [_halve(texts[at]) for at in long.tolist()]
    long = long[[all(pair) for pair in halves]] if len(long) else long
    pieces = [piece for pair in halves if all(pair) for piece in pair]
    if not pieces:
        return made
    inner = embed_texts(embedder, pieces, windows=True)
    shares = np.array([len(piece) for piece in pieces], np.float32).reshape(-1, 2, 1)
    pairs = inner.vectors.reshape(len(long), 2, -1)
    mean = (pairs * shares).sum(axis=1) / shares.sum(axis=1)
    lengths = np.linalg.norm(pairs, axis=2).mean(axis=1) / np.maximum(
        np.linalg.norm(mean, axis=1), np.float32(1e-12)
    )
    vectors, truncated = made.vectors.copy(), made.truncated.copy()
    vectors[long] = mean * lengths[:, None]
    truncated[long] = inner.truncated.reshape(-1, 2).sum(axis=1)
    return TextVectors(vectors, truncated)


def _halve(text: str) -> tuple[str, str]:
    """Cut a text at the white space next to its middle, or where there is none in the middle."""
    middle = len(text) // 2
    before, after = text.rfind(" ", 0, middle), text.find(" ", middle)
    near = [at for at in (before, after) if 0 < at < len(text) - 1]
    at = min(near, key=lambda place: abs(place - middle)) if near else middle
    return text[:at], text[at:]


def fingerprint(embedder: TextEmbedder) -> str:
    """Hash all that decides the vectors of an embedder: hex digits."""
    facts = {key: v for key, v in embedder.describe().items() if key not in _MANNERS}
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:16]


def _read_vectors(path: Path | None, dim: int) -> dict[bytes, NDArray[np.float32]]:
    """Read vectors that were kept; a file that is not whole, or of another width, holds none."""
    if path is None or not path.is_file():
        return {}
    try:
        arrays = load_file(path)
        keys, vectors = arrays["keys"], arrays["vectors"]
    except (SafetensorError, KeyError):
        return {}
    if vectors.shape != (len(keys), dim) or not np.isfinite(vectors).all():
        return {}
    return {bytes(key): vector for key, vector in zip(keys, vectors, strict=True)}


def _copy_embedder(spec: str, folder: Path) -> None:
    """Copy what makes vectors: the files of a folder, or a table of words."""
    kind, place = find_kind(spec)
    if kind == "vectors" and not Path(place).is_dir():
        Vectors.open(place).save(folder)
        return
    assert not place.startswith(hub.PREFIX)  # find_kind gives the folder of these
    found = {path for pattern in _FILES for path in Path(place).rglob(pattern)}
    for path in sorted(found):
        inside = path.relative_to(place)
        if path.is_file() and inside.parts[0] not in ("onnx", "openvino"):
            files.write_bytes(folder / inside, path.read_bytes())
