"""Recipes: every choice of a training run as checked data.

In: a TOML file, `section.key=value` overrides or keyword options. Out: a Recipe with nothing left
to default, which is written into the run's folder and repeats the run alone. Unknown keys are
refused with the nearest known one, and all problems are reported at once.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import ErrorDetails, PydanticCustomError

from textkit import registry
from textkit.errors import StorageError, UsageError, unknown_name

Share = Annotated[float, Field(ge=0, lt=1)]
Positive = Annotated[int, Field(ge=1)]


def _check_class_weights(value: object, check: ValidatorFunctionWrapHandler) -> object:
    """Name classes by text, as a recipe's file does: {1: 2.0} is {"1": 2.0}."""
    named = {str(k): v for k, v in value.items()} if isinstance(value, dict) else value
    try:
        return check(named)
    except ValidationError as err:
        raise PydanticCustomError(
            "class_weights",
            "expected 'none', 'balanced', or a weight above 0 for classes by name",
        ) from err


ClassWeights = Annotated[
    Literal["none", "balanced"] | dict[str, Annotated[float, Field(gt=0)]],
    WrapValidator(_check_class_weights),
]


class Section(BaseModel):
    """A section of a recipe: frozen, no unknown keys, numbers that are not NaN or infinite."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class OpenSection(Section):
    """A section named after a registered thing, whose further keys are that thing's own options."""

    model_config = ConfigDict(extra="allow", frozen=True, allow_inf_nan=False)

    name: str

    @model_validator(mode="before")
    @classmethod
    def _as_a_file_has_it(cls, values: Any) -> Any:
        """Make lists of tuples, so that a recipe that was written and read is equal to itself."""
        if not isinstance(values, Mapping):
            return values
        return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside `name`."""
        return dict(self.model_extra or {})


class TokenizerSection(OpenSection):
    """Which tokenizer: a registered kind that is trained on the training texts, or `path` of a
    saved one; of a .tiktoken file `pattern` says how it splits texts.

    special: put the tokenizer's own [CLS] and [SEP], or <s> and </s>, around each text, as
    pretrained encoders want.
    """

    name: str = "word"
    path: str | None = None
    max_length: Positive = 512
    special: bool = False


class NgramsSection(Section):
    """Hashed n-grams beside the words, fastText's way; for the `bag` encoder.

    min_frequency: a bucket that fewer training n-grams fill is left out.
    """

    word_ngrams: Positive = 2
    minn: Annotated[int, Field(ge=0)] = 0
    maxn: Annotated[int, Field(ge=0)] = 0
    buckets: Positive = 2_000_000
    min_frequency: Positive = 1


class EmbeddingSection(Section):
    """The embedding layer: a table a token, or `char-cnn` over the characters of each word.

    vectors: what Vectors.open takes, such as "glove"; the table starts from them, `missing` words
    from what it says. extend: how many of the vectors' words, from the first (most frequent) on,
    join the words of the training texts, so that a word which training never saw still has its
    vector.
    """

    name: Literal["table", "char-cnn"] = "table"
    dim: Positive = 100
    dropout: Share = 0.5
    vectors: str | None = None
    extend: Annotated[int, Field(ge=0)] = 0
    freeze: bool = False
    missing: Literal["random", "zero", "mean", "ngram"] = "random"


class EncoderSection(OpenSection):
    """Which encoder, with its own options such as `dim`, `layers`, `bidirectional`, `dropout`.

    members: an ensemble of so many encoders on one embedding, each with poolings and a head of its
    own. Each learns alone, from other first weights and with other dropout; their mean predicts. A
    step takes as many times the time.
    """

    name: str = "lstm"
    members: Positive = 1


class HeadSection(Section):
    """What is learnt, poolings (joined when there are several), hidden layers, and the last linear
    layer.

    task: one label a text, any number of labels, or numbers. thresholds: for multi-label, one a
    label chosen on the validation rows for the best F1 ("fit"), or a number for all.
    """

    task: Literal["single-label", "multi-label", "regression"] = "single-label"
    pooling: Annotated[tuple[str, ...], Field(min_length=1)] = ("mean", "max", "attention")
    hidden: tuple[Positive, ...] = ()
    activation: Literal["relu", "gelu", "silu", "swish", "tanh"] = "relu"
    norm: Literal["none", "batch", "layer", "rms"] = "none"
    dropout: Share = 0.5
    thresholds: Literal["fit"] | Annotated[float, Field(gt=0, lt=1)] = "fit"


class TrainingSection(Section):
    """Optimisation, validation, early stopping and the machine.

    batch_tokens: padded positions a batch, instead of a number of rows. accumulate: batches a step.
    r_drop: weight of R-Drop (Liang et al. 2021): each row passes twice, with other dropout, and
    both passes are to agree; a step takes twice the time. metric: what early stopping watches;
    "auto" is accuracy, micro F1 or the loss, by the task. average: decay of a running average of
    the weights that validates and is kept, 0 for none. calibrate: fit a temperature on the
    validation rows.
    """

    epochs: Positive = 12
    batch_size: Positive = 32
    batch_tokens: Positive | None = None
    accumulate: Positive = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    lr: Annotated[float, Field(gt=0)] = 4e-3
    # For `pretrained`: the rate of the encoder, where the head's would destroy what it knows.
    encoder_lr: Annotated[float, Field(gt=0)] | None = None
    # For `pretrained`: each layer's rate is the rate of the layer above it times this (Howard &
    # Ruder 2018).
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    momentum: Share = 0.9
    weight_decay: Annotated[float, Field(ge=0)] = 1e-2
    l1: Annotated[float, Field(ge=0)] = 0.0
    schedule: Literal["constant", "linear", "cosine", "one-cycle", "plateau", "sweep"] = "one-cycle"
    warmup: Share = 0.0
    clip: Annotated[float, Field(gt=0)] = 1.0
    loss: Literal["auto", "focal"] = "auto"
    focal_gamma: Annotated[float, Field(ge=0)] = 2.0
    label_smoothing: Share = 0.0
    r_drop: Annotated[float, Field(ge=0)] = 0.0
    class_weights: ClassWeights = "none"
    sampler: Literal["all", "balanced"] = "all"
    average: Share = 0.99
    patience: Positive = 6
    metric: str = "auto"
    validation: Annotated[float, Field(gt=0, lt=1)] = 0.1
    calibrate: bool = True
    time_limit: Annotated[float, Field(gt=0)] | None = None
    checkpoint_seconds: Annotated[float, Field(ge=0)] = 30.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    # Threads of CPU arithmetic. Part of the recipe and not of the machine, because the order of a
    # sum, and so the last bits of every weight, depends on it: a run with 2 threads gives the same
    # bytes on 1 core and on 64.
    threads: Positive = 2


class AugmentSection(Section):
    """Seeded changes of training rows, new in every epoch: shares of words and characters, and
    mixup's alpha.
    """

    word_dropout: Share = 0.1
    swap: Share = 0.0
    char_noise: Share = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0


class PruneSection(Section):
    """Magnitude pruning in training: `sparsity` of the weights of each matrix end at zero.

    Their share grows from 0 by a polynomial of degree 3, from `begin` to `end` of the training;
    epochs before `end` are not kept as the best. Zeros are no speed: they compress in a .zip, and
    nothing here computes less for them.
    """

    sparsity: Annotated[float, Field(gt=0, lt=1)] = 0.5
    begin: Share = 0.0
    end: Annotated[float, Field(gt=0, le=1)] = 0.75

    @model_validator(mode="after")
    def _check_order(self) -> PruneSection:
        if self.begin >= self.end:
            raise ValueError(f"begin = {self.begin:g} is not below end = {self.end:g}")
        return self


class DistilSection(Section):
    """How a student learns from a teacher (Hinton et al. 2015), where a fit has one.

    weight: the teacher's part of the loss of a row that has a label. temperature: both
    distributions are softened by it; networks only.
    """

    weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    temperature: Annotated[float, Field(gt=0)] = 1.0


class ContrastSection(Section):
    """Contrastive fine-tuning for few labels (Khosla et al. 2020), in the place of `training`'s
    epochs: an encoder that knows something, `pretrained`, draws texts of one class together and
    apart from others; then a logistic head is learnt on its vectors.

    steps: of the optimiser, at a rate that rises for a tenth of them and falls to 0. batch_size:
    rows a step, of all classes alike; each passes twice. temperature: cosines are divided by it.
    """

    steps: Positive = 40
    batch_size: Annotated[int, Field(ge=2)] = 32
    lr: Annotated[float, Field(gt=0)] = 5e-5
    temperature: Annotated[float, Field(gt=0)] = 0.1


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
