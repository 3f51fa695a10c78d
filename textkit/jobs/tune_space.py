"""What a search may change in which recipes: keys, and the values of each.

In: recipes by name, and perhaps a TOML file of keys. Out: a Space; for values of its keys it makes
the whole recipe of a trial. A key of the file is either a list of values, or a range:

    [training]
    lr = {low = 1e-4, high = 1e-1, log = true}
    epochs = {low = 2, high = 10}

    [encoder]
    dim = [64, 128, 256]

Every value is checked against the recipe's schema before the first trial. A file stands in the
place of the usual space, which is made around a recipe's own values.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from textkit.data.targets import Task
from textkit.errors import StorageError, UsageError
from textkit.recipe import Recipe, complete_recipe, flatten, make_recipe
from textkit.registry import is_number, is_whole

Value = bool | int | float | str | None
_ENDS = {"low", "high", "log"}


@dataclass(frozen=True)
class Choices:
    """A few values of a key, as the JSON of each, so that a list is a value like any other.

    >>> Choices.of([[1, 2], "auto"]).values
    ('[1, 2]', '"auto"')
    """

    values: tuple[str, ...]

    @classmethod
    def of(cls, values: list[Any]) -> Choices:
        return cls(tuple(dict.fromkeys(json.dumps(value) for value in values)))

    def read(self, value: Value) -> object:
        """Turn what was drawn into the recipe's value."""
        return json.loads(str(value))

    def find(self, value: object) -> Value:
        """Turn a recipe's value into what would be drawn; None where it is none of these."""
        text = json.dumps(value)
        return text if text in self.values else None

    def ends(self) -> list[object]:
        """Give the values that have to be checked: all."""
        return [json.loads(value) for value in self.values]

    def to_toml(self) -> str:
        """Write what a file says: a list of JSON values is one of TOML values."""
        return f"[{', '.join(self.values)}]"


@dataclass(frozen=True)
class Range:
    """All numbers from low to high, whole ones where both ends are; log: each factor alike.

    >>> Range(1, 8).is_whole, Range(1e-3, 1.0, log=True).find(0.5)
    (True, 0.5)
    """

    low: int | float
    high: int | float
    log: bool = False

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise UsageError(f"low = {self.low:g} is not below high = {self.high:g}")
        if self.log and self.low <= 0:
            raise UsageError(f"low = {self.low:g}; with log it has to be above 0")

    @property
    def is_whole(self) -> bool:
        """Tell whether only whole numbers are drawn."""
        return isinstance(self.low, int) and isinstance(self.high, int)

    def read(self, value: Value) -> object:
        return value

    def find(self, value: object) -> Value:
        if not is_number(value) or not self.low <= value <= self.high:
            return None
        return int(value) if self.is_whole else float(value)

    def ends(self) -> list[object]:
        return [self.low, self.high]

    def to_toml(self) -> str:
        return f"{{low = {self.low}, high = {self.high}{', log = true' if self.log else ''}}}"


Dimension = Choices | Range


@dataclass(frozen=True)
class Space:
    """The keys that may change, by the name of a recipe.

    >>> space = Space.of({"linear": make_recipe(encoder="linear")}, None)
    >>> space.make("linear", {"encoder.cost": "0.5"}).encoder.options["cost"]
    0.5
    """

    recipes: Mapping[str, Recipe]
    keys: Mapping[str, Mapping[str, Dimension]]

    @classmethod
    def of(cls, recipes: Mapping[str, Recipe], file: Path | None) -> Space:
        """Take a file's keys, or the usual ones of each recipe; UsageError names a wrong value."""
        if file is None:
            return cls(recipes, {name: _usual(recipe) for name, recipe in recipes.items()})
        where = str(file)
        keys: dict[str, dict[str, Dimension]] = {name: {} for name in recipes}
        for key, dimension in _read(file).items():
            refused = ""
            for name, recipe in recipes.items():
                try:
                    for value in dimension.ends():
                        _change(recipe, {key: value})
                except UsageError as err:
                    refused = refused or err.message
                    continue
                keys[name][key] = dimension
            if not any(key in own for own in keys.values()):
                raise UsageError(refused, where=where)
        return cls(recipes, keys)

    @property
    def task(self) -> Task:
        """The task of its recipes, which is one."""
        return next(iter(self.recipes.values())).head.task

    def make(self, name: str, values: Mapping[str, Value]) -> Recipe:
        """Make the whole recipe of a trial; UsageError where values do not go together."""
        dimensions = self.keys[name]
        read = {key: dimensions[key].read(value) for key, value in values.items()}
        return _change(self.recipes[name], read)

    def start(self, name: str) -> dict[str, Value]:
        """Give the recipe's own values, of those keys in whose range they lie."""
        own = flatten(complete_recipe(self.recipes[name]).model_dump(mode="json"))
        found = {key: dim.find(own.get(key)) for key, dim in self.keys[name].items()}
        return {key: value for key, value in found.items() if value is not None}

    def to_dict(self) -> dict[str, object]:
        """Give plain values: what decides the trials, beside the rows and the seed."""
        return {
            name: {
                "recipe": complete_recipe(recipe).model_dump(mode="json"),
                "keys": {key: dim.to_toml() for key, dim in self.keys[name].items()},
            }
            for name, recipe in self.recipes.items()
        }

    def to_toml(self) -> str:
        """Write the keys as a file has them; a key of several recipes stands once.

        >>> print(Space.of({"frozen": make_recipe(encoder="frozen")}, None).to_toml())
        [encoder]
        loss = ["logistic", "squared_hinge"]
        cost = ["auto", 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]
        <BLANKLINE>
        [training]
        class_weights = ["none", "balanced"]
        """
        sections: dict[str, dict[str, Dimension]] = {}
        for keys in self.keys.values():
            for key, dimension in keys.items():
                section, _, last = key.rpartition(".")
                sections.setdefault(section, {}).setdefault(last, dimension)
        return "\n\n".join(
            "\n".join([f"[{name}]", *(f"{key} = {dim.to_toml()}" for key, dim in keys.items())])
            for name, keys in sections.items()
        )


def _change(recipe: Recipe, values: Mapping[str, object]) -> Recipe:
    options = {key.replace(".", "__"): value for key, value in values.items()}
    return complete_recipe(make_recipe(recipe, **options))


def _read(file: Path) -> dict[str, Dimension]:
    where = str(file)
    try:
        values = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as err:
        raise StorageError(f"cannot open: {err.strerror}", where=where) from err
    except (ValueError, RecursionError) as err:
        raise UsageError(f"not valid TOML: {err}", where=where) from err
    found = dict(_walk(values, "", where))
    if not found:
        raise UsageError("names no key; expected as lr = {low = 1e-4, high = 1e-1}", where=where)
    return found


def _walk(values: Mapping[str, Any], prefix: str, where: str) -> list[tuple[str, Dimension]]:
    found: list[tuple[str, Dimension]] = []
    for key, value in values.items():
        name = prefix + key
        if isinstance(value, dict) and not _ENDS & value.keys():
            found += _walk(value, f"{name}.", where)
        else:
            try:
                found.append((name, _dimension(value)))
            except UsageError as err:
                raise UsageError(f"{name}: {err.message}", where=where) from err
    return found


def _dimension(value: object) -> Dimension:
    if isinstance(value, list) and value:
        return Choices.of(value)
    if isinstance(value, dict) and value.keys() <= _ENDS and {"low", "high"} <= value.keys():
        if not (is_number(value["low"]) and is_number(value["high"])):
            raise UsageError("low and high; expected numbers")
        if not isinstance(value.get("log", False), bool):
            raise UsageError(f"log = {value['log']!r}; expected true or false")
        return Range(**value)
    raise UsageError(f"{value!r}; expected a list of values, or {{low = ..., high = ...}}")


def _usual(recipe: Recipe) -> dict[str, Dimension]:
    """Give the keys that matter most for a kind of recipe, around its own values."""
    name, whole = recipe.encoder.name, complete_recipe(recipe)
    own = flatten(whole.model_dump(mode="json"))
    single = recipe.head.task == "single-label"
    if is_whole(name):
        keys = dict(_OF_LINEAR if name == "linear" else _OF_FROZEN)
        if recipe.head.task == "regression":
            keys.pop("encoder.loss", None)
        elif single:
            keys["training.class_weights"] = Choices.of(["none", "balanced"])
        return keys
    keys = {"training.lr": _around(own["training.lr"], 8)}
    keys["training.epochs"] = _around(own["training.epochs"], 2)
    keys["training.batch_size"] = _sizes(own["training.batch_size"])
    keys["embedding.dropout"] = Range(0.0, 0.7)
    keys["head.dropout"] = Range(0.0, 0.7)
    keys["augment.word_dropout"] = Range(0.0, 0.3)
    if single:
        keys["training.label_smoothing"] = Range(0.0, 0.2)
    if recipe.embedding.vectors is None and name != "pretrained":
        keys["embedding.dim"] = _sizes(own["embedding.dim"])
    if recipe.ngrams is not None:
        keys["ngrams.word_ngrams"] = Choices.of([1, 2, 3])
    if isinstance(own.get("encoder.dim"), int):
        keys["encoder.dim"] = _sizes(own["encoder.dim"])
    if recipe.training.encoder_lr is not None:
        keys["training.encoder_lr"] = _around(recipe.training.encoder_lr, 4)
    return keys


def _around(value: object, factor: int) -> Range:
    if isinstance(value, int):
        return Range(max(1, value // factor), max(2, value * factor), log=True)
    return Range(float(str(value)) / factor, float(str(value)) * factor, log=True)


def _sizes(value: object) -> Choices:
    size = int(str(value))
    return Choices.of([max(1, size // 2), size, size * 2])


_OF_LINEAR: dict[str, Dimension] = {
    "encoder.loss": Choices.of(["squared_hinge", "logistic"]),
    "encoder.cost": Choices.of(["auto", 0.03, 0.1, 0.2, 0.3, 0.5, 1.0, 3.0, 10.0]),
    "encoder.words": Choices.of([[1, 2], [1, 1], [1, 3], []]),
    "encoder.characters": Choices.of([[2, 5], [2, 4], [2, 6], [1, 4], []]),
    "encoder.min_rows": Choices.of([0, 1, 2, 3]),
    "encoder.sublinear": Choices.of([True, False]),
}
_OF_FROZEN: dict[str, Dimension] = {
    "encoder.loss": Choices.of(["logistic", "squared_hinge"]),
    "encoder.cost": Choices.of(["auto", 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0]),
}
