"""What `auto` may choose from: recipes by name, from cheap to dear, and which are worth their time.

In: the recipe of an `auto` fit and the size of its rows. Out: the candidates' recipes. Which are
tried depends on the data's size and on nothing that a clock says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from textkit.classify.board import Bounds
from textkit.data.targets import Task
from textkit.embedders.packaged import find_packaged, place_of
from textkit.errors import UsageError, unknown_name
from textkit.io.files import MANIFEST
from textkit.io.hub import PREFIX
from textkit.recipe import Recipe, complete_recipe, make_recipe

# fastText's idea; see pipelines/ngram-bag.toml.
_BAG = {
    "tokenizer": {"name": "word", "lowercase": True, "min_frequency": 1},
    "ngrams": {"word_ngrams": 2},
    "embedding": {"dim": 32, "dropout": 0.0},
    "encoder": {"name": "bag"},
    "head": {"pooling": ["mean"], "dropout": 0.0},
    "training": {
        "epochs": 8,
        "batch_size": 256,
        "lr": 0.05,
        "schedule": "linear",
        "weight_decay": 0.0,
        "patience": 8,
        "average": 0.0,
    },
    "augment": {"word_dropout": 0.0},
}
# See pipelines/contrastive.toml.
_CONTRASTIVE = {
    "tokenizer": {"special": True, "max_length": 128},
    "encoder": {"name": "pretrained"},
    "head": {"pooling": ["mean"], "dropout": 0.0},
    "contrast": {},
    "augment": {"word_dropout": 0.0},
}
CANDIDATES: Mapping[str, Mapping[str, Any]] = {
    "linear": {"encoder": {"name": "linear"}},
    "linear-logistic": {"encoder": {"name": "linear", "loss": "logistic"}},
    "linear-words": {"encoder": {"name": "linear", "characters": []}},
    "linear-balanced": {"encoder": {"name": "linear"}, "training": {"class_weights": "balanced"}},
    "frozen": {"encoder": {"name": "frozen"}},
    "ngram-bag": _BAG,
    "lstm": {"encoder": {"name": "lstm"}},
    "contrastive": _CONTRASTIVE,
}
# On the training rows of six sets `linear-logistic` was .3 to 7.7 points below `linear`, in twice
# its time, and the networks 1.7 to 3.3 (docs/classify.md): they are tried where they are named.
USUAL = ("linear", "linear-words", "linear-balanced", "ngram-bag", "frozen")
# A network has too few steps on fewer rows, and takes minutes on more characters than these.
FEWEST_OF_A_NETWORK = 1000
NETWORKS = {"ngram-bag": 20_000_000, "lstm": 3_000_000}
# A sentence encoder on two cores takes about 90 s for so many.
MOST_CHARACTERS_OF_AN_ENCODER = 3_000_000


@dataclass(frozen=True, kw_only=True)
class AutoOptions:
    """What a recipe says of the choice of a model, under `encoder.`.

    candidates: names of what may be chosen, tried in the order of CANDIDATES. embedder: what makes
    text vectors for `frozen`, as TextEmbedder.open takes it; without one a sentence encoder that a
    package brought, and without that it is no candidate. ensemble: the candidates together may be
    chosen, too. size: the most bytes of the model's files, latency: the most milliseconds of the
    prediction of one text, as measured here; 0 for no bound.
    """

    candidates: Sequence[str] = USUAL
    embedder: str = ""
    ensemble: bool = True
    size: int = 0
    latency: float = 0.0

    def __post_init__(self) -> None:
        if isinstance(self.candidates, str) or not self.candidates:
            raise UsageError(f"candidates = {self.candidates!r}; expected a list of names")
        for name in self.candidates:
            if name not in CANDIDATES:
                raise UsageError(unknown_name("candidate", str(name), list(CANDIDATES)))
        if self.size < 0 or self.latency < 0:
            raise UsageError(f"size = {self.size}, latency = {self.latency:g}; expected 0 or more")
        if self.candidates == ["frozen"] and not self.find_embedder():
            raise UsageError("candidate 'frozen' needs encoder.embedder")

    @property
    def bounds(self) -> Bounds:
        """What the model may cost."""
        return Bounds(self.size, self.latency)

    def find_embedder(self) -> str:
        """Give what makes text vectors; nothing where there is nothing."""
        return self.embedder or find_packaged()

    @staticmethod
    def of(recipe: Recipe) -> AutoOptions:
        """Read the options of a recipe."""
        names = {field.name for field in fields(AutoOptions)}
        given = {key: value for key, value in recipe.encoder.options.items() if key in names}
        return AutoOptions(**given)


@dataclass(frozen=True)
class Left:
    """Candidates to try, and why others are not: name -> reason."""

    recipes: dict[str, Recipe]
    reasons: dict[str, str]


def list_candidates(recipe: Recipe, *, metric: str, n_rows: int, n_characters: int) -> Left:
    """Give the recipes of the candidates of an `auto` recipe for data of a size.

    >>> auto = complete_recipe(make_recipe(encoder="auto"))
    >>> left = list_candidates(auto, metric="accuracy", n_rows=100, n_characters=9000)
    >>> list(left.recipes)
    ['linear', 'linear-words']
    >>> left.reasons["ngram-bag"]
    '100 rows are too few for a network'
    """
    options, recipes, reasons = AutoOptions.of(recipe), {}, {}
    for name in CANDIDATES:
        if name not in options.candidates:
            continue
        reason = _reason_against(name, recipe.head.task, options, metric)
        if name in NETWORKS and n_rows < FEWEST_OF_A_NETWORK:
            reason = f"{n_rows:,} rows are too few for a network"
        elif n_characters > NETWORKS.get(name, n_characters):
            reason = f"{n_characters:,} characters would take a network minutes"
        elif name == "frozen" and _takes_long(options, n_characters) and not reason:
            reason = f"{n_characters:,} characters would take a sentence encoder minutes"
        if reason:
            reasons[name] = reason
        else:
            recipes[name] = make_candidate(name, recipe)
    if not recipes:
        raise UsageError(
            "no candidate is left: " + "; ".join(f"{k}: {why}" for k, why in reasons.items())
        )
    return Left(recipes, reasons)


def _takes_long(options: AutoOptions, n_characters: int) -> bool:
    """Tell whether an encoder that nobody named would take too long."""
    return not options.embedder and n_characters > MOST_CHARACTERS_OF_AN_ENCODER


def make_candidate(name: str, recipe: Recipe) -> Recipe:
    """Give the whole recipe of a candidate: what `auto` was told goes before its own values."""
    told = recipe.model_dump(exclude={"encoder"}, exclude_defaults=True)
    values = _join(CANDIDATES[name], {"seed": recipe.seed, **told})
    values.get("training", {}).pop("time_limit", None)
    if name == "frozen":
        values["encoder"] = {"name": name, "embedder": AutoOptions.of(recipe).find_embedder()}
    elif name == "contrastive":
        place = _transformer(AutoOptions.of(recipe))
        values["tokenizer"] = {**values["tokenizer"], "path": place}
        values["encoder"] = {**values["encoder"], "path": place}
    return complete_recipe(make_recipe(values))


def _transformer(options: AutoOptions) -> str:
    """Give the place of the transformer that makes text vectors; nothing where none does."""
    embedder = options.find_embedder()
    place = place_of(embedder) or embedder
    is_open = place.startswith(PREFIX) or (Path(place) / "config.json").is_file()
    return place if is_open and not (Path(place) / MANIFEST).exists() else ""


def _reason_against(name: str, task: Task, options: AutoOptions, metric: str) -> str:
    if name == "frozen" and not options.find_embedder():
        return "no sentence encoder is named (encoder.embedder) or installed"
    if name == "contrastive" and not _transformer(options):
        return "no transformer is named (encoder.embedder) or installed"
    if name == "contrastive" and task != "single-label":
        return "it needs one label a text"
    if name in NETWORKS and find_spec("torch") is None:
        return "torch is not installed"
    if name == "linear-balanced" and (task != "single-label" or metric != "macro_f1"):
        return "for training.metric = macro_f1"
    if name == "linear-logistic" and task == "regression":
        return "a regression has one loss"
    return ""


def _join(low: Mapping[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(low)
    for key, value in high.items():
        known = joined.get(key)
        both = isinstance(value, dict) and isinstance(known, Mapping)
        joined[key] = _join(known, value) if both else value  # type: ignore[arg-type]
    return joined
