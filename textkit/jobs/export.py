"""Export a model: a sealed folder, or one .zip file, that predicts without torch, or that other
libraries open.

In: a model folder. Out: tokenizer, numbers or graph, labels, temperature and thresholds, and a
manifest that says how far it is from the original.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from textkit.classify import model_folder
from textkit.classify.certify import HARD_TEXTS, TOLERANCE, Certificate, certify
from textkit.classify.ensemble import EnsembleModel
from textkit.classify.fitted import Fitted
from textkit.classify.model_config import CONFIG
from textkit.embedders import exported, saving
from textkit.embedders.embedder import TextEmbedder, find_kind
from textkit.errors import ArtifactError, UsageError, require, unknown_name
from textkit.io import files, hub, zipped
from textkit.io.corpus import RowReader
from textkit.jobs.runs import find_model
from textkit.registry import is_whole
from textkit.watch import Watch

LAYOUTS = ("graph", "sentence-transformers")


@dataclass(frozen=True, kw_only=True)
class ExportOptions:
    """What is exported, and what it is checked on.

    - model: a model folder or a run folder. out: a folder, or a file that ends in .zip;
      overwrite: also where finished work lies, but for the model itself.
    - check: a file of texts on which both are compared, beside textkit's own hard texts.
      text_column, delimiter, format: how it is read; guessed where not given.
    - layout: "graph", which predicts without torch, or "sentence-transformers", what makes vectors
      of texts as that library, and others that read its folders, open it.
    - allow: each `package.module:Name` of the model that may be imported.
    """

    model: Path
    out: Path
    layout: str = "graph"
    check: Path | None = None
    text_column: str | None = None
    delimiter: str | None = None
    format: str | None = None
    overwrite: bool = False
    allow: Sequence[str] | None = None


@dataclass(frozen=True)
class ExportReport:
    """What was exported: where, what computes it, how far it is from the original, how large."""

    out: Path
    engine: str
    certificate: Certificate
    n_bytes: int

    def to_dict(self) -> dict[str, object]:
        """Give plain values for JSON."""
        return {
            "out": str(self.out),
            "engine": self.engine,
            "bytes": self.n_bytes,
            **self.certificate.to_dict(),
        }


def export_model(options: ExportOptions, *, watch: Watch = Watch()) -> ExportReport:
    """Export a model, and compare what was written with the original before it gets its name.

    Raises ArtifactError where they differ by more than 1e-5, UsageError for a network that cannot
    be exported, and where the model itself lies in the place.

    >>> from textkit import TextClassifier
    >>> texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    >>> TextClassifier(encoder="linear").fit(texts, labels).save("model")
    >>> report = export_model(ExportOptions(model=Path("model"), out=Path("out.zip")))
    >>> report.engine, report.certificate.difference
    ('numpy', 0.0)
    """
    # On the hub it may also be what makes vectors of texts.
    model = options.model if hub.is_name(options.model) else find_model(options.model)
    if options.out.resolve() in (model.resolve(), options.model.resolve()):
        raise UsageError(f"{options.out} is the model itself; choose another -o")
    texts = read_check_texts(options, watch=watch)
    kind, place = find_kind(model.as_posix())
    model = Path(place)
    if options.layout not in LAYOUTS:
        raise UsageError(unknown_name("layout", options.layout, LAYOUTS))
    if options.layout != "graph":
        return _save_embedder(replace(options, model=model), texts)
    if kind == "vectors":
        TextEmbedder.open(str(model))  # says so where it is nothing at all
        raise UsageError(f"{model}: vectors of words need no torch as they are")
    if kind == "transformer":
        return _export_embedder(replace(options, model=model), texts)
    original = model_folder.load(model, allow=options.allow or ())
    copy = _without_torch(original)
    with zipped.place_for(options.out, overwrite=options.overwrite) as folder:
        model_folder.write(copy, folder)
        config = files.read_json(folder / CONFIG)
        opened = model_folder.open_files(folder, config, allow=options.allow or ())
        certificate = certify(original, opened, texts)
        facts = {"certificate": certificate.to_dict()}
        model_folder.seal(copy, folder, facts=facts)
    return ExportReport(options.out, copy.model.engine, certificate, zipped.size_of(options.out))


def _without_torch(fitted: Fitted) -> Fitted:
    """Give a copy whose networks are graphs; of an ensemble, those of its members."""
    if isinstance(fitted.model, EnsembleModel):
        members = tuple(map(_without_torch, fitted.model.members))
        return replace(fitted, model=replace(fitted.model, members=members))
    if is_whole(fitted.recipe.encoder.name):
        return fitted
    require("torch", needed_by="an export of a network")
    from textkit.classify.exporting import export

    return export(fitted)


def _export_embedder(options: ExportOptions, texts: Sequence[str]) -> ExportReport:
    """Export what makes vectors of texts: a folder of transformers or sentence-transformers."""
    require("torch", needed_by="an export of a network")
    from textkit.embedders.contextual import ContextualTexts
    from textkit.embedders.exporting import write_exported

    backend = TextEmbedder.open(str(options.model), device="cpu", precision="float32").backend
    if not isinstance(backend, ContextualTexts):
        raise UsageError(f"{options.model}: no transformer, which alone has an export")
    every = [*HARD_TEXTS, *texts]
    with zipped.place_for(options.out, overwrite=options.overwrite) as folder:
        difference = write_exported(backend, folder, every, tolerance=TOLERANCE)
        certificate = Certificate(difference, len(every), 0)
        facts = {"certificate": certificate.to_dict()}
        files.write_manifest(folder, kind=exported.KIND, format=exported.FORMAT, facts=facts)
    return ExportReport(options.out, "onnxruntime", certificate, zipped.size_of(options.out))


def _save_embedder(options: ExportOptions, texts: Sequence[str]) -> ExportReport:
    """Write what makes vectors of texts in the layout of its own world."""
    if zipped.is_zipped(options.out):
        raise UsageError(f"{options.out}: {options.layout} opens folders, no .zip file; name one")
    original = TextEmbedder.open(str(options.model))
    every = [*HARD_TEXTS, *texts]
    with zipped.place_for(options.out, overwrite=options.overwrite) as folder:
        saving.write(original.backend, folder)
        one, other = (made.encode(every) for made in (original, TextEmbedder.open(folder)))
        difference = float(np.abs(one - other).max())
        if not difference <= TOLERANCE:
            raise ArtifactError(
                f"what was written differs by {difference:.1e} from the model; {TOLERANCE:.0e} is"
                " allowed",
                where=str(options.model),
            )
    certificate = Certificate(difference, len(every), 0)
    return ExportReport(options.out, options.layout, certificate, zipped.size_of(options.out))


def read_check_texts(options: ExportOptions, *, watch: Watch) -> list[str]:
    """Read the texts of `options.check`; none without it."""
    if options.check is None:
        return []
    reader = RowReader(
        options.check,
        text_column=options.text_column,
        delimiter=options.delimiter,
        format=options.format,
    )
    texts = [row.text for row in reader]
    for line in reader.notes():
        watch.note(line)
    return texts
