"""An ensemble of whole models, of any kinds: the weighted mean of what its members say.

In: texts. Out: logits: of one label a text, or of several, the weighted mean of the members'
logarithms of probabilities, or of their logits, each at its own temperature; of a regression the
weighted mean of the numbers. A folder of each member lies in the model's, under `members/`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from textkit.classify.compression import Compression, described, read_compression
from textkit.classify.fitted import Fitted
from textkit.classify.model_config import FORMAT, KIND
from textkit.data.targets import Task
from textkit.errors import ArtifactError, UsageError
from textkit.recipe import Recipe, complete_recipe, make_recipe
from textkit.registry import is_number

MEMBERS = "members"


@dataclass(frozen=True, kw_only=True)
class EnsembleOptions:
    """What a recipe says of an ensemble, under `encoder.`.

    recipes: of its members, each a whole recipe; seed, task, validation and machine are those of
    the ensemble. weights: one a member, above 0; without any, all alike.
    """

    recipes: Sequence[Mapping[str, Any]] = ()
    weights: Sequence[float] = ()

    def __post_init__(self) -> None:
        n = len(self.recipes)
        if n < 2:
            raise UsageError(f"recipes = {n}; an ensemble has two members or more")
        if not all(isinstance(recipe, Mapping) for recipe in self.recipes):
            raise UsageError("recipes; expected a list of recipes")
        fits = len(self.weights) in (0, n) and all(is_number(w) and w > 0 for w in self.weights)
        if not fits:
            raise UsageError(f"weights = {list(self.weights)}; expected {n} numbers above 0")

    @staticmethod
    def of(recipe: Recipe) -> EnsembleOptions:
        """Read the options of a recipe."""
        names = {field.name for field in fields(EnsembleOptions)}
        given = {key: value for key, value in recipe.encoder.options.items() if key in names}
        return EnsembleOptions(**given)

    @property
    def shares(self) -> tuple[float, ...]:
        """The weights, which are 1 together."""
        weights = [float(weight) for weight in self.weights] or [1.0] * len(self.recipes)
        return tuple(weight / sum(weights) for weight in weights)

    def members(self, recipe: Recipe) -> list[Recipe]:
        """Give the members' recipes, with what the ensemble's recipe says for all of them."""
        training = recipe.training
        told = {
            "seed": recipe.seed,
            "head__task": recipe.head.task,
            "training__validation": training.validation,
            "training__class_weights": training.class_weights,
            "training__metric": training.metric,
            "training__device": training.device,
            "training__threads": training.threads,
        }
        found = [complete_recipe(make_recipe(dict(own), **told)) for own in self.recipes]
        for each in found:
            if each.encoder.name in ("ensemble", "auto"):
                raise UsageError(f"a member of an ensemble is '{each.encoder.name}'; name a model")
        return found


@dataclass(frozen=True, eq=False)
class EnsembleModel:
    """Texts -> what each member says -> logits. shares: of the members, 1 together.

    compression: how its members were compressed.
    """

    seal: ClassVar = (KIND, FORMAT)
    engine: ClassVar[str] = "ensemble"

    members: tuple[Fitted, ...]
    shares: tuple[float, ...]
    compression: Compression | None = None

    @property
    def n_weights(self) -> int:
        """Number of weights that were learnt, of all members."""
        return sum(member.model.n_weights for member in self.members)

    def logits(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Compute (n_texts, n_outputs) float32."""
        said = [normalize(m.task, m.logits(texts), m.temperature) for m in self.members]
        return combine(said, self.shares)

    def describe(self) -> dict[str, object]:
        """Give what the config of a model folder says of it."""
        said = [member.model.describe() for member in self.members]
        sizes = [each["vocab_size"] for each in said]
        n_features = sum(size for size in sizes if isinstance(size, int))
        return {"vocab_size": n_features, **described(self.compression)}

    def write(self, folder: Path) -> None:
        """Write nothing: the members' folders hold everything."""

    @staticmethod
    def places(folder: Path, n: int) -> list[Path]:
        """Give the folders of n members."""
        return [folder / MEMBERS / str(place) for place in range(n)]

    @staticmethod
    def join(
        members: Sequence[Fitted], config: dict[str, Any], recipe: Recipe, *, where: str
    ) -> EnsembleModel:
        """Put opened members together; ArtifactError where they do not fit the whole."""
        for member in members:
            if member.classes.tolist() != config["labels"] or member.task != recipe.head.task:
                raise ArtifactError(
                    "a member has other labels, or another task, than the ensemble", where=where
                )
        compression = read_compression(config, where=where)
        return EnsembleModel(tuple(members), EnsembleOptions.of(recipe).shares, compression)


def normalize(task: Task, logits: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Make outputs of several models comparable: logarithms of probabilities of one label a text,
    else what they are at their temperature.

    >>> normalize("single-label", np.array([[2.0, 2.0]]), 1.0).round(3).tolist()
    [[-0.693, -0.693]]
    """
    scaled = logits.astype(np.float64) / temperature
    if task != "single-label":
        return scaled
    scaled = scaled - scaled.max(axis=1, keepdims=True, initial=-np.inf)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True)))


def combine(outputs: Sequence[NDArray[np.float64]], shares: Sequence[float]) -> NDArray[np.float32]:
    """Give the weighted mean of outputs (n, n_outputs) of each of the members.

    >>> combine([np.array([[1.0]]), np.array([[2.0]])], [0.75, 0.25]).tolist()
    [[1.25]]
    """
    mean = sum(share * each for share, each in zip(shares, outputs, strict=True))
    return np.asarray(mean, dtype=np.float32)
