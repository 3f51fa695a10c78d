"""Reading recipes: from files, overrides and options to checked data with nothing left open.

In: a TOML file, `section.key=value` overrides or keyword options. Out: a Recipe with nothing left
to default, which is written into the run's folder and repeats the run alone. Unknown keys are
refused with the nearest known one, and all problems are reported at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args

from pydantic import (
    Field,
    ValidationError,
)
from pydantic_core import ErrorDetails

from textkit import registry
from textkit.errors import StorageError, UsageError, unknown_name
from textkit.recipe.sections import (
    AugmentSection,
    ContrastSection,
    DistilSection,
    EmbeddingSection,
    EncoderSection,
    HeadSection,
    NgramsSection,
    PruneSection,
    Section,
    TokenizerSection,
    TrainingSection,
)


class Recipe(Section):
    """All choices of one run.

    >>> Recipe().encoder.name
    'lstm'
    >>> make_recipe(encoder={"name": "gru", "dim": 64}).encoder.options
    {'dim': 64}
    """

    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0
    tokenizer: TokenizerSection = TokenizerSection()
    ngrams: NgramsSection | None = None
    embedding: EmbeddingSection = EmbeddingSection()
    encoder: EncoderSection = EncoderSection()
    head: HeadSection = HeadSection()
    training: TrainingSection = TrainingSection()
    augment: AugmentSection = AugmentSection()
    prune: PruneSection | None = None
    distil: DistilSection | None = None
    contrast: ContrastSection | None = None

    def to_toml(self) -> str:
        """Write the whole recipe as TOML; reading it back gives an equal recipe."""
        import tomli_w

        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))


def make_recipe(base: Recipe | Mapping[str, object] | None = None, **options: object) -> Recipe:
    """Build a recipe from a base and options: sections as dicts, a bare name, or
    `section__key=value`.

    Raises UsageError that lists every problem.

    >>> make_recipe(encoder="gru", training__epochs=3).training.epochs
    3
    """
    if base is not None and not isinstance(base, Recipe | Mapping):
        raise UsageError(
            f"a recipe is {base!r}, expected a Recipe or a dict of sections; a file is read by"
            " read_recipe, and a kind of model is named by encoder='...'"
        )
    values = base.model_dump(exclude_unset=True) if isinstance(base, Recipe) else dict(base or {})
    for name, value in options.items():
        _merge(values, name.split("__"), value)
    return check_recipe(values, where=None)


def read_recipe(source: str | Path | Recipe | None, overrides: Sequence[str] = ()) -> Recipe:
    """Read a TOML recipe, or take one, then apply `section.key=value` overrides, in order.

    >>> read_recipe(None, ["encoder.dim=32", "training.device=cpu"]).encoder.options
    {'dim': 32}
    """
    values: dict[str, object] = {}
    where = None
    if isinstance(source, Recipe):
        values = source.model_dump(exclude_unset=True)
    elif source is not None:
        where = str(source)
        try:
            values = tomllib.loads(Path(source).read_text(encoding="utf-8"))
        except OSError as err:
            raise StorageError(f"cannot open: {err.strerror}", where=where) from err
        # No TOML, no UTF-8, a number of thousands of digits, brackets within brackets.
        except (ValueError, RecursionError) as err:
            raise UsageError(f"not valid TOML: {err}", where=where) from err
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UsageError(f"expected section.key=value, found '{override}'", where="--set")
        _merge(values, key.strip().split("."), _parse_value(text.strip()))
    return check_recipe(values, where=where)


def complete_recipe(recipe: Recipe) -> Recipe:
    """Write out the defaults of the tokenizer's trainer and of the encoder, and check the options
    against them.

    A saved recipe then repeats its run even when a default changes later. Imports the encoder, and
    so torch, unless it is a whole model, to which keys of a network mean nothing.

    >>> complete_recipe(Recipe()).encoder.options["bidirectional"]
    True
    """
    values = recipe.model_dump()
    is_whole = registry.is_whole(recipe.encoder.name)
    encoder = registry.resolve("classifier" if is_whole else "encoder", recipe.encoder.name)
    what, given = f"encoder '{recipe.encoder.name}'", dict(recipe.encoder.options)
    registry.check_options(encoder, given if is_whole else {"in_dim": 1, **given}, what=what)
    registry.check_values(encoder, given, what=what)
    values["encoder"] = {**registry.default_options(encoder), **values["encoder"]}
    if is_whole:
        encoder(**given)  # says what is wrong with a value
        _refuse_network_keys(recipe)
        return check_recipe(values, where=None)
    if recipe.tokenizer.path is None:
        train = registry.resolve("tokenizer", recipe.tokenizer.name).train
        what = f"tokenizer '{recipe.tokenizer.name}'"
        registry.check_options(train, recipe.tokenizer.options, what=what)
        registry.check_values(train, recipe.tokenizer.options, what=what)
        # For a classifier's own words: fold case, and learn no vector from a single occurrence.
        preset = {"lowercase": True, "min_frequency": 2} if recipe.tokenizer.name == "word" else {}
        values["tokenizer"] = {
            "name": recipe.tokenizer.name,
            **registry.default_options(train),
            **preset,
            **values["tokenizer"],
        }
    return check_recipe(values, where=None)


# What a whole model reads of a recipe, beside the options of its own; and what tells a machine how
# to work, which changes no result of it.
_OF_WHOLE_MODELS = (
    *("seed", "encoder.", "distil", "head.task", "head.thresholds", "training.validation"),
    *("training.class_weights", "training.metric", "training.calibrate"),
    *("training.device", "training.threads", "training.checkpoint_seconds"),
)


def _refuse_network_keys(recipe: Recipe) -> None:
    """Refuse what a recipe says about a network beside a whole model, which has none."""
    usual = flatten(Recipe().model_dump())
    article = "an" if recipe.encoder.name in ("auto", "ensemble") else "a"
    for key, value in flatten(recipe.model_dump()).items():
        is_read = key.startswith(_OF_WHOLE_MODELS) and key != "encoder.members"
        is_read = is_read or (recipe.encoder.name == "auto" and key == "training.time_limit")
        if not is_read and value != usual.get(key):
            raise UsageError(
                f"{key} = {value!r} means nothing to {article} {recipe.encoder.name} model, which"
                " has no tokenizer and no network; remove it"
            )


# What a recipe may say and still leave the choice of the model open.
_OPEN = (
    *("seed", "head.task", "head.thresholds", "training.validation", "training.class_weights"),
    *("training.metric", "training.calibrate", "training.device", "training.threads"),
    *("training.checkpoint_seconds", "training.time_limit"),
)


def leaves_open(recipe: Recipe) -> bool:
    """Tell whether a recipe, as it was given, says nothing of a model.

    >>> leaves_open(make_recipe(seed=3)), leaves_open(make_recipe(training__epochs=3))
    (True, False)
    """
    return all(key.startswith(_OPEN) for key in flatten(recipe.model_dump(exclude_unset=True)))


def recipe_schema() -> str:
    """Give the JSON schema of recipes as text, for editors that complete and check TOML.

    >>> '"batch_tokens"' in recipe_schema()
    True
    """
    schema = Recipe.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return json.dumps(schema, ensure_ascii=False, indent=2) + "\n"


def check_recipe(values: Mapping[str, object], *, where: str | None) -> Recipe:
    """Check plain values against the schema; one UsageError holds all problems."""
    try:
        return Recipe.model_validate(values)
    except ValidationError as err:
        problems = "; ".join(_explain(problem) for problem in err.errors(include_url=False))
        raise UsageError(problems, where=where) from err


def list_code(recipe: Recipe) -> list[tuple[str, str]]:
    """List what a recipe names as `package.module:Name`: (kind, name) of each.

    >>> list_code(make_recipe(encoder="mine.net:Net"))
    [('encoder', 'mine.net:Net')]
    """
    named = [("encoder", recipe.encoder.name), ("tokenizer", recipe.tokenizer.name)]
    named += [("pooling", name) for name in recipe.head.pooling]
    return [(kind, name) for kind, name in named if ":" in name]


def check_code(recipe: Recipe, *, allow: Sequence[str], where: str) -> None:
    """Refuse, as an ArtifactError, code that a recipe names and the person who opens it has not
    allowed.

    >>> check_code(Recipe(), allow=(), where="model/config.json")
    """
    for kind, name in list_code(recipe):
        registry.check_trusted(kind, name, allow=allow, where=where)


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Give the values of a dumped recipe by their dotted keys, to compare two of them.

    >>> flatten({"seed": 1, "encoder": {"name": "gru"}})
    {'seed': 1, 'encoder.name': 'gru'}
    """
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= (
            flatten(value, f"{prefix}{key}.") if isinstance(value, dict) else {prefix + key: value}
        )
    return flat


def _merge(values: dict[str, object], keys: list[str], value: object) -> None:
    """Set one value deep inside; a bare string for a named section sets its name."""
    *sections, last = keys
    for section in sections:
        inner = values.get(section, {})
        within: dict[str, object] = dict(inner) if isinstance(inner, dict) else {"name": inner}
        values[section] = within
        values = within
    if not sections and isinstance(value, str) and last in ("tokenizer", "encoder"):
        value = {"name": value}
    values[last] = value


def _parse_value(text: str) -> object:
    """Read a value as TOML does; what is not TOML is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _explain(problem: ErrorDetails) -> str:
    """Turn one pydantic problem into `section.key: what is wrong`, with the nearest known key."""
    path = [str(part) for part in problem["loc"]]
    where = ".".join(path)
    if problem["type"] == "extra_forbidden":
        section: Any = Recipe
        for part in path[:-1]:
            section = section.model_fields[part].annotation
            section = next((kind for kind in get_args(section) if kind is not type(None)), section)
        return unknown_name(
            "recipe key", where, [".".join([*path[:-1], name]) for name in section.model_fields]
        )
    return f"{where} = {problem['input']!r}: {problem['msg'][0].lower()}{problem['msg'][1:]}"
