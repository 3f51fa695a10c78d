"""Open what is served: a classifier, an embedder, word vectors, a tokenizer or a search index, by
what its folder says; torch is imported only where a model is a network.

In: a name and a place. Out: a ServedModel: its works, its tokenizer where it has one, and what
`/info` tells of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from textkit import tokenizers
from textkit.classify import opening
from textkit.classify.exported import BagModel, GraphModel
from textkit.classify.fitted import Fitted, TokenModel
from textkit.data.targets import Label, Task
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.embedders.exported import GraphTexts
from textkit.embedders.sentence_folder import read_sentence_folder
from textkit.embedders.static import StaticTexts
from textkit.errors import ArtifactError, TextkitError
from textkit.io import files, hub
from textkit.search.building import is_index
from textkit.search.index import SearchIndex
from textkit.serve import works
from textkit.serve.works import Work
from textkit.threads import computed_once
from textkit.tokenizers.protocol import MANIFEST_KIND, name_ids

if TYPE_CHECKING:
    from textkit.tokenizers import Tokenizer

Kind = Literal["classifier", "embedder", "tokenizer", "index"]
WorkName = Literal["predict", "embed"]
VERBS = ("predict", "explain", "embed", "search", "tokenize", "decode")
# Short, empty and longer than most models read.
WARM_TEXTS = ("A text that warms the model up.", "", "word " * 600)


@dataclass(frozen=True)
class ServedModel:
    """A model that is open.

    works: what it does with texts. labels, task, thresholds: of a classifier. version: changes with
    the model's files. facts: what else `/info` tells. fitted: of a classifier, to be explained.
    index: texts to be searched.
    """

    name: str
    place: str
    kind: Kind
    works: dict[WorkName, Work]
    tokenizer: Tokenizer | None = None
    task: Task | None = None
    labels: tuple[Label, ...] = ()
    thresholds: tuple[float, ...] = ()
    max_length: int | None = None
    version: str = ""
    facts: dict[str, object] = field(default_factory=dict)
    fitted: Fitted | None = None
    index: SearchIndex | None = None

    @computed_once
    def known_ids(self) -> frozenset[int]:
        """The ids of the tokenizer."""
        vocabulary = {} if self.tokenizer is None else self.tokenizer.vocabulary
        return frozenset(vocabulary.values())

    @computed_once
    def _names(self) -> dict[int, str]:
        vocabulary = {} if self.tokenizer is None else self.tokenizer.vocabulary
        return {i: name for name, i in vocabulary.items()}

    def token_names(self, ids: Sequence[int]) -> list[str]:
        """Name ids as the vocabulary spells them."""
        return name_ids(self._names, ids)

    def can(self, verb: str) -> bool:
        """Tell whether the model has what a route asks for."""
        if verb in ("tokenize", "decode"):
            return self.tokenizer is not None
        if verb == "explain":
            return self.fitted is not None
        if verb == "search":
            return self.index is not None
        return verb in self.works

    def describe(self) -> dict[str, object]:
        """Give what `/info` tells."""
        verbs = [verb for verb in VERBS if self.can(verb)]
        told: dict[str, object] = {
            "name": self.name,
            "kind": self.kind,
            "can": verbs,
            "version": self.version,
        }
        if self.task is not None:
            told |= {"task": self.task, "labels": list(self.labels)}
        if self.thresholds:
            told["thresholds"] = list(self.thresholds)
        if self.tokenizer is not None:
            told["tokenizer"] = {"kind": self.tokenizer.kind, "size": len(self.tokenizer)}
        if "embed" in self.works:
            told["dim"] = self.works["embed"].width
        return told | {"max_length": self.max_length} | self.facts

    def warm(self) -> None:
        """Run everything once, so that the first request is as quick as the next."""
        for work in self.works.values():
            work.run(WARM_TEXTS)
        if self.tokenizer is not None:
            self.tokenizer.encode(WARM_TEXTS, spans=True)
        if self.index is not None:
            self.index.query(WARM_TEXTS)


_WEIGHTS = ("*.safetensors", "*.bin", "*.onnx")


def open_model(name: str, place: str, *, allow: Sequence[str] = ()) -> ServedModel:
    """Open a model of any kind; ArtifactError names the file and what is wrong."""
    version = read_version(place)
    if hub.is_name(place):
        place = find_kind(place)[1]  # what is opened now is served until it is opened again
    if _manifest_kind(place) == MANIFEST_KIND:
        return _open_tokenizer(name, place, version)
    if is_index(Path(place)):
        return _open_index(name, place, version)
    try:
        found = opening.load(place, allow=allow)
    except TextkitError as no_model:
        # A file or folder of another program may be a tokenizer alone; a model that is damaged is
        # never served as what is left of it.
        if any(Path(place).glob(pattern) for pattern in _WEIGHTS):
            raise
        try:
            return _open_tokenizer(name, place, version)
        except TextkitError:
            raise no_model from None
    if isinstance(found, TextEmbedder):
        return _open_embedder(name, place, version, found)
    return _open_classifier(name, place, version, found.fitted_)


def read_version(place: str) -> str:
    """Tell one state of a model's files from another: a hash of the manifest, else of the names,
    sizes and times of its files.
    """
    import hashlib

    path = Path(place)
    try:
        if (path / files.MANIFEST).is_file():
            return files.sha256(path / files.MANIFEST)[:16]
        found = sorted(path.rglob("*")) if path.is_dir() else [path]
        stats = [(str(file), file.stat()) for file in found if file.is_file()]
    except OSError:
        return "changing"  # a file went while it was looked at
    told = repr([(name, stat.st_size, stat.st_mtime_ns) for name, stat in stats])
    return hashlib.sha256(told.encode("utf-8", "surrogateescape")).hexdigest()[:16]


def _manifest_kind(place: str) -> object:
    manifest = Path(place) / files.MANIFEST
    found = files.read_json(manifest) if manifest.is_file() else None
    return found.get("kind") if isinstance(found, dict) else None


def _open_tokenizer(name: str, place: str, version: str) -> ServedModel:
    from textkit.tokenizers.formats import open_tokenizer

    tokenizer = open_tokenizer(place)
    return ServedModel(name, place, "tokenizer", {}, tokenizer, version=version)


def _open_index(name: str, place: str, version: str) -> ServedModel:
    """Open an index, and the model that makes the vectors of queries."""
    index = SearchIndex.open(place)
    facts: dict[str, object] = {
        "rows": len(index),
        "method": index.method,
        "columns": index.columns,
        "graph": index.config.get("graph"),
    }
    return ServedModel(name, place, "index", {}, version=version, facts=facts, index=index)


def _open_classifier(name: str, place: str, version: str, fitted: Fitted) -> ServedModel:
    told: dict[WorkName, Work] = {"predict": works.classify(fitted)}
    tokenizer, max_length, model = None, None, fitted.model
    if isinstance(model, TokenModel):
        tokenizer, max_length = model.text_input.tokenizer, model.text_input.max_length
    if isinstance(model, GraphModel | BagModel):
        told["embed"] = works.exported(model)
    elif isinstance(model, TokenModel):
        told["embed"] = _embed_by(fitted, place)
    return ServedModel(
        name,
        place,
        "classifier",
        told,
        tokenizer,
        task=fitted.task,
        labels=tuple(fitted.classes.tolist()),
        thresholds=tuple(fitted.thresholds.tolist()),
        max_length=max_length,
        version=version,
        facts={
            "encoder": fitted.recipe.encoder.name,
            "engine": model.engine,
            "weights": model.n_weights,
        },
        fitted=fitted,
    )


def _embed_by(fitted: Fitted, place: str) -> Work:
    """Make vectors by the network of a classifier, of its one copy."""
    from textkit.classify.texts import pool_texts
    from textkit.embedders.backend import EmbedderOptions

    source = fitted.text_input
    template = source.template
    return works.contextual(
        pool_texts(fitted, place, EmbedderOptions(normalize=True)),
        source.tokenizer,
        max_length=source.max_length,
        around=((), ()) if template is None else (template.before, template.after),
        reads_ids=source.ngrams is None,
    )


def _open_embedder(name: str, place: str, version: str, embedder: TextEmbedder) -> ServedModel:
    backend = embedder.backend
    facts: dict[str, object] = {"notes": list(embedder.notes)} if embedder.notes else {}
    if isinstance(backend, GraphTexts) and backend.source is not None:
        tokenizer, max_length = backend.source.tokenizer, backend.source.max_length
        work = works.contextual(backend, tokenizer, max_length=max_length, around=tokenizer.around)
    elif isinstance(backend, StaticTexts):
        work, tokenizer = works.static(backend), backend.tokenizer
        max_length = backend.max_length
        facts["pooling"] = backend.pooling
    else:
        # Loaded by the embedder already.
        from textkit.embedders.contextual import ContextualTexts

        if not isinstance(backend, ContextualTexts):
            raise ArtifactError("no model that makes vectors of tokens", where=place)
        folder = Path(find_kind(place)[1])
        tokenizer = tokenizers.load(read_sentence_folder(folder).model)
        longest = backend.facts.get("max_length")
        max_length = longest if isinstance(longest, int) else None
        work = works.contextual(backend, tokenizer, max_length=max_length, around=tokenizer.around)
    return ServedModel(
        name,
        place,
        "embedder",
        {"embed": work},
        tokenizer,
        max_length=max_length,
        version=version,
        facts=facts,
    )
