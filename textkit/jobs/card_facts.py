"""What a model card is made from: the model, the run that made it, and an evaluation.

In: places. Out: CardFacts, all of it checked to belong together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textkit.classify.model_config import CONFIG, check, read_calibration, read_recipe
from textkit.embedders.embedder import find_kind
from textkit.errors import ArtifactError, DataError, UsageError
from textkit.io import files, hub, zipped
from textkit.jobs import runs
from textkit.jobs.card_figures import Figures, of_evaluation, of_run, read_evaluation
from textkit.jobs.card_metadata import check_licence
from textkit.recipe import Recipe, list_code
from textkit.registry import is_whole

# The only places where a recipe names something on the machine that trained.
_PLACES = (
    ("tokenizer", "path"),
    ("embedding", "vectors"),
    ("encoder", "path"),
    ("encoder", "embedder"),
)
_EMBEDDER = "embedder"  # the folder inside a model on frozen vectors


@dataclass(frozen=True, kw_only=True)
class CardOptions:
    """What a card says that no file knows, and where the rest stands.

    - model: a model folder, a .zip file of one, or a run folder; run: the run that it came from,
      where it does not lie in it.
    - licence: under which others may use it. language: of its texts, as en. data: names of the
      data sets on the hub that it learnt from.
    - evaluation: the file that `textkit evaluate --json` wrote, or the `to_dict()` of its report.
    - name: USER/NAME of the model on the hub.
    """

    model: str | Path
    licence: str | None
    name: str = "USER/NAME"
    language: str | Sequence[str] | None = None
    data: str | Sequence[str] | None = None
    evaluation: str | Path | Mapping[str, Any] | None = None
    run: str | Path | None = None


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """All that a card says.

    - labels: the classes, or the names of the numbers; thresholds: of a multi-label model.
    - extras: that bring what it needs, beside textkit itself.
    - report, file, sha256: of the run and its training file; None where there is no run. options:
      those of the run that no recipe holds.
    - found: figures on rows of the run's own validation; measured: on those of the evaluation.
    """

    name: str
    licence: str
    language: Sequence[str]
    data: Sequence[str]
    recipe: Recipe
    labels: Sequence[str]
    temperature: float
    config: Mapping[str, Any]
    manifest: Mapping[str, Any]
    extras: Sequence[str]
    report: runs.TrainReport | None
    file: str | None
    sha256: str | None
    options: Sequence[str]
    found: Figures | None
    measured: Sequence[Figures]

    @property
    def task(self) -> str:
        """The task of the recipe."""
        return self.recipe.head.task

    @property
    def code(self) -> list[str]:
        """Each `package.module:Name` that opening the model imports."""
        return [name for _, name in list_code(self.recipe)]

    @property
    def base_model(self) -> str | None:
        """The name on the hub of the encoder that it starts from, if it has one."""
        named = [self.recipe.encoder.options.get(key) for key in ("path", "embedder")]
        names = [str(place) for place in named if place and hub.is_name(str(place))]
        return hub.split_name(names[0])[0] if names else None

    def told_recipe(self) -> dict[str, Any]:
        """Give the recipe as plain values; of a place on a machine the last name alone."""
        values = self.recipe.model_dump(mode="json", exclude_none=True)
        for section, key in _PLACES:
            if key in values.get(section, {}):
                values[section][key] = shorten(str(values[section][key]))
        return values


def shorten(place: str) -> str:
    """Give the last name of a path, and a name of the hub as it is.

    >>> shorten("/home/ann/glove.txt"), shorten("hf:user/model"), shorten("glove")
    ('glove.txt', 'hf:user/model', 'glove')
    """
    return place if hub.is_name(place) else place.replace("\\", "/").rstrip("/").rpartition("/")[2]


def list_places(recipe: Recipe) -> list[str]:
    """List what a recipe says of places on the machine that trained, as `section.key = place`."""
    values = recipe.model_dump(mode="json", exclude_none=True)
    named = [(f"{section}.{key}", values.get(section, {}).get(key)) for section, key in _PLACES]
    return [f"{key} = {place}" for key, place in named if place and shorten(place) != place]


def gather_facts(options: CardOptions) -> CardFacts:
    """Read the model, its run and the evaluation.

    Raises UsageError without a licence, ArtifactError for a model that is damaged, and DataError
    for an evaluation of another model.
    """
    licence = check_licence(options.licence)
    place = runs.find_model(options.model)
    with zipped.unzipped(place) as folder:
        config = check(folder)
        recipe = read_recipe(config, folder)
        temperature, _ = read_calibration(config, folder)
        manifest = files.read_json(folder / files.MANIFEST)
        extras = _extras(recipe, config, folder)
    labels = [str(label) for label in config["labels"]]
    run = place.parent if options.run is None else Path(options.run)
    report, data = _read_run(run, labels, is_asked=options.run is not None)
    measured: list[Figures] = []
    if options.evaluation is not None:
        values = read_evaluation(options.evaluation)
        _check_evaluation(values, labels, zipped.hash_manifest(place), place)
        measured = of_evaluation(values)
    return CardFacts(
        name=hub.split_name(options.name)[0],
        licence=licence,
        language=_listed(options.language),
        data=_listed(options.data),
        recipe=recipe,
        labels=labels,
        temperature=temperature,
        config=config,
        manifest=manifest,
        extras=extras,
        report=report,
        file=None if data is None else shorten(str(data.get("path", ""))),
        sha256=None if data is None else data.get("sha256"),
        options=[] if data is None else [key for key, value in data["start"].items() if value],
        found=None if report is None else of_run(report),
        measured=measured,
    )


def _listed(value: str | Sequence[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or ())


def _extras(recipe: Recipe, config: Mapping[str, Any], folder: Path) -> list[str]:
    """Name the extras that bring what the model needs."""
    encoder = recipe.encoder.name
    if "engine" in config:
        return ["onnx"] if config["engine"] == "onnxruntime" else []
    kind = find_kind(str(folder / _EMBEDDER))[0] if encoder == "frozen" else "vectors"
    if kind == "transformer" or encoder == "pretrained":
        return ["train", "transformers"]
    return [] if kind == "vectors" and is_whole(encoder) else ["train"]


def _read_run(
    run: Path, labels: Sequence[str], *, is_asked: bool
) -> tuple[runs.TrainReport | None, dict[str, Any] | None]:
    """Read a run folder; nothing where it is none and nobody named it."""
    if not (run / runs.REPORT).is_file() or not (run / runs.DATA).is_file():
        if is_asked:
            raise UsageError(f"{run} is no run folder that is finished", where="--run")
        return None, None
    config = files.read_json(runs.find_model(run) / CONFIG)
    if list(map(str, config["labels"])) != list(labels):
        if is_asked:
            raise UsageError(f"{run} has a model of other labels than this one", where="--run")
        return None, None
    report, data = runs.read_report(run), files.read_json(run / runs.DATA)
    if not isinstance(data, dict) or not isinstance(data.get("start"), dict):
        raise ArtifactError("it does not say what the run began with", where=str(run / runs.DATA))
    return report, data


def _check_evaluation(
    values: Mapping[str, Any], labels: Sequence[str], seal: str, place: Path
) -> None:
    """Refuse figures of another model: by its manifest, or by its labels where that is unknown."""
    known = values.get("measured", {}).get("manifest")
    reports = list(values["outputs"].values()) if "outputs" in values else [values]
    classes = {name for report in reports for name in report.get("classes", {})}
    if known is not None and known != seal:
        raise DataError(
            f"the evaluation is of another model; run textkit evaluate {place} TEST --json again"
        )
    if known is None and classes and not set(labels) <= classes:
        raise DataError(
            f"the evaluation is of a model with other labels: {', '.join(sorted(classes)[:5])}"
        )
