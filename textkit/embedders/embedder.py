"""The one front door to text vectors: TextEmbedder opens vectors of words, transformers and our own
models alike.

In: a spec. Out: an object that turns texts into an array (n, dim) float32. Vectors of words need
numpy alone; torch is imported only for a model.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textkit import registry
from textkit.embedders import exported, packaged
from textkit.embedders.backend import Backend, EmbedderOptions, Opener, TextVectors
from textkit.errors import ArtifactError, UsageError, require
from textkit.io import files, hub, zipped
from textkit.io.tables import TextData, take_texts
from textkit.tokenizers import Tokenizer
from textkit.tokenizers.protocol import EXPORTED_KIND, SENTENCE_KIND, check_texts
from textkit.vectors.table import Floats

if TYPE_CHECKING:
    from textkit.embedders.mteb_model import MtebModel

# Of the hub: weights in safetensors at the top and in the modules' folders; not the exports to
# other engines.
_HUB_FILES = ("*.json", "*.txt", "*.model", "*.safetensors")
_OTHER_ENGINES = ("onnx/*", "openvino/*")
# Models that are asked for by a short name -> as the hub has them. Nothing is fetched for it: an
# error that asks for a spec names it.
_ON_THE_HUB = {
    "all-MiniLM-L12-v2": "sentence-transformers/all-MiniLM-L12-v2",
    "all-MiniLM-L6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "all-mpnet-base-v2": "sentence-transformers/all-mpnet-base-v2",
    "bge-base-en-v1.5": "BAAI/bge-base-en-v1.5",
    "bge-m3": "BAAI/bge-m3",
    "bge-small-en-v1.5": "BAAI/bge-small-en-v1.5",
    "e5-base-v2": "intfloat/e5-base-v2",
    "e5-small-v2": "intfloat/e5-small-v2",
    "gte-small": "thenlper/gte-small",
    "multilingual-e5-small": "intfloat/multilingual-e5-small",
    "paraphrase-multilingual-MiniLM-L12-v2": (
        "sentence-transformers/paraphrase-multilingual-MiniLM-L12-v2"
    ),
    "potion-base-8M": "minishlab/potion-base-8M",
}
# What the manifest of a folder says -> the embedder that opens it.
_EXPORTED = {EXPORTED_KIND: "exported-classifier", exported.KIND: "exported"}


class TextEmbedder:
    """Texts in, one vector a text out, in order.

    `n_texts` and `n_truncated` count what `encode` has seen.

    >>> import numpy as np
    >>> from textkit import Vectors
    >>> Vectors(["king", "queen"], np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)).save("v")
    >>> embedder = TextEmbedder.open("v")
    >>> embedder.encode(["the king and the queen", "a king"]).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """

    def __init__(self, backend: Backend) -> None:
        self.backend = backend
        self.n_texts = 0
        self.n_truncated = 0

    @classmethod
    def open(
        cls,
        spec: str | Path,
        *,
        pooling: str | Sequence[str] | None = None,
        normalize: bool | None = None,
        prompt: str | None = None,
        prompt_name: str | None = None,
        max_length: int | None = None,
        tokenizer: Tokenizer | None = None,
        lowercase: bool | None = None,
        device: str = "auto",
        precision: str = "auto",
        batch_tokens: int | None = None,
        allow: Sequence[str] = (),
    ) -> TextEmbedder:
        """Open whatever makes vectors of texts.

        spec: vectors of words, as `Vectors.open` takes them; a folder of transformers,
        sentence-transformers or model2vec; a model folder that textkit trained; or `hf:NAME`, which
        asks the hub. For vectors: pooling "mean", "sif" or "max", tokenizer, lowercase. For models:
        pooling "mean", "cls", "last", "max" or several, prompt, prompt_name, device, precision,
        batch_tokens. For a model folder that textkit trained: allow, each `package.module:Name` of
        the model that may be imported. An option that is not of the kind at hand is refused.
        """
        options = EmbedderOptions(
            pooling=pooling,
            normalize=normalize,
            prompt=prompt,
            prompt_name=prompt_name,
            max_length=max_length,
            tokenizer=tokenizer,
            lowercase=lowercase,
            device=device,
            precision=precision,
            batch_tokens=batch_tokens,
            allow=allow,
        )
        kind, place = find_kind(str(spec))
        _refuse_nothing(kind, place)
        if kind in ("classifier", "transformer"):
            if batch_tokens is not None and batch_tokens < 1:
                raise UsageError(f"batch_tokens is {batch_tokens}, expected at least 1")
            require("torch", needed_by=f"model '{spec}'")
        opener: Opener = registry.resolve("embedder", kind)
        return cls(opener(place, options))

    @property
    def dim(self) -> int:
        """Width of a vector."""
        return self.backend.dim

    @property
    def notes(self) -> tuple[str, ...]:
        """What was chosen without being asked."""
        return self.backend.notes

    def encode(self, texts: TextData, *, text: str | None = None) -> Floats:
        """Give the vectors of texts: (n, dim) float32, a row a text.

        text: the column of a table that holds them. What was cut is counted in `n_truncated`.
        """
        made = self.embed(check_texts(take_texts(texts, column=text)))
        self.n_texts += len(made.truncated)
        self.n_truncated += int((made.truncated > 0).sum())
        return made.vectors

    def embed(self, texts: Sequence[str]) -> TextVectors:
        """Give the vectors and the number of tokens cut from each text, and change nothing."""
        return self.backend.embed(texts)

    def fit(self, texts: Iterable[str], *, n_components: int = 1) -> TextEmbedder:
        """Give an embedder of pooling "sif" whose word frequencies and common components come
        from these texts.
        """
        return TextEmbedder(self.backend.fit(texts, n_components=n_components))

    def save(self, folder: str | Path, *, overwrite: bool = False) -> None:
        """Write what makes the vectors as a folder that its own world opens with the same numbers:
        a transformer as sentence-transformers lays it out, vectors of pieces as model2vec does.

        Pooling, normalize, prompt and max_length are as they were opened. Raises UsageError for
        what has no such layout, and where the folder holds finished work, unless `overwrite`.
        """
        from textkit.embedders.saving import save

        save(self.backend, folder, overwrite=overwrite)

    def as_mteb(self, *, queries: TextEmbedder | None = None, name: str | None = None) -> MtebModel:
        """Give this embedder as the benchmarks of mteb run models: `mteb.evaluate(model, tasks)`.

        queries: the same model with the prompt of queries, where that differs. name: OWNER/MODEL,
        by which results are filed. Needs mteb, which no extra brings.
        """
        from textkit.embedders.mteb_model import MtebModel

        other = None if queries is None else queries.backend
        return MtebModel(self.backend, queries=other, name=name)

    def describe(self) -> dict[str, object]:
        """Say all that decides the vectors, as JSON: two embedders of one description give the
        same vectors.
        """
        return self.backend.describe()


def find_kind(spec: str) -> tuple[str, str]:
    """Tell what a spec names, and where it is: a name of the registry's embedders, and a place.

    >>> find_kind("glove")
    ('vectors', 'glove')
    """
    spec = packaged.place_of(spec) or spec
    if spec.startswith(hub.PREFIX):
        fetched = hub.fetch(spec, patterns=_HUB_FILES, ignore=_OTHER_ENGINES)
        is_sealed = (fetched / files.MANIFEST).is_file()
        spec = str(hub.fill(fetched, spec) if is_sealed else fetched)
    folder = Path(spec)
    if zipped.is_zipped(folder) and folder.is_file() and zipped.has_file(folder, files.MANIFEST):
        with zipped.unzipped(folder) as opened:
            return find_kind(str(opened))[0], spec
    if not folder.is_dir():
        if Path(spec).suffix == ".safetensors":
            raise ArtifactError("name the folder of a model, not its weights", where=spec)
        return "vectors", spec
    config = files.read_json(folder / "config.json") if (folder / "config.json").is_file() else {}
    model_type = config.get("model_type") if isinstance(config, dict) else None
    if (folder / files.MANIFEST).is_file():
        manifest = files.read_json(folder / files.MANIFEST)
        kind = manifest.get("kind") if isinstance(manifest, dict) else None
        if kind == "tokenizer":
            raise ArtifactError(
                "a tokenizer, which makes no vectors; name vectors or a model", where=spec
            )
        if kind in _EXPORTED:
            return _EXPORTED[kind], spec
        if kind == SENTENCE_KIND:
            return "transformer", spec
        return (
            ("classifier", spec)
            if kind == "model" or model_type == "textkit"
            else ("vectors", spec)
        )
    if model_type == "textkit":
        return "classifier", spec
    is_static = model_type == "model2vec" or "StaticEmbedding" in _text_of(folder / "modules.json")
    if (folder / "modules.json").is_file() or model_type is not None:
        return ("vectors" if is_static else "transformer"), spec
    return "vectors", spec


def _refuse_nothing(kind: str, spec: str) -> None:
    """Refuse a spec that is a short name of a known model, or close to one, and names nothing
    here.

    >>> _refuse_nothing("vectors", "all-minilm-l6-v2")
    Traceback (most recent call last):
    textkit.errors.ArtifactError: all-minilm-l6-v2: no such file or folder; did you mean
    hf:sentence-transformers/all-MiniLM-L6-v2, which the hub has?
    """
    import difflib

    if kind != "vectors" or Path(spec).exists() or ":" in spec:
        return
    wanted = spec.rpartition("/")[2].lower()
    known = {name.lower(): place for name, place in _ON_THE_HUB.items()}
    close = difflib.get_close_matches(wanted, known, n=1, cutoff=0.85)
    if close:
        raise ArtifactError(
            f"no such file or folder; did you mean {hub.PREFIX}{known[close[0]]}, which the hub"
            " has?",
            where=spec,
        )


def _text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
