"""The sections of a recipe: its keys, what each takes, and what it is without a word.

In: plain values. Out: frozen objects; an unknown key or a value out of bounds is pydantic's error,
which textkit.recipe.reading puts into words.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

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
