"""What requests and answers look like: pydantic classes, with an example each, of which
`/openapi.json` is made.

A field that a request has and the class has not is refused by name.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Texts = str | list[str]
Ids = list[int]
ModelName = Annotated[
    str | None, Field(description="Name of a model; without it the first that can do this.")
]


class Asked(BaseModel):
    """What all requests share."""

    model_config = ConfigDict(extra="forbid", strict=True)
    model: ModelName = None


class PredictRequest(Asked):
    """Texts to label."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["a good film", "a bad film"], "top": 2}]}
    )
    texts: Annotated[Texts, Field(description="A text, or a list of them.")]
    top: Annotated[
        int | None,
        Field(
            ge=1,
            description="Labels a text, the most probable first; without it one, or of a"
            " multi-label model those above their thresholds.",
        ),
    ] = None
    threshold: Annotated[
        float | None,
        Field(ge=0, le=1, description="Labels above this probability, instead of the model's."),
    ] = None


class Read(BaseModel):
    """What the model read of a text."""

    tokens: Annotated[
        int | None, Field(description="Tokens that the model read; null where it reads none.")
    ] = None
    truncated: Annotated[int, Field(description="Tokens that were cut off its end.")] = 0


class Failed(BaseModel):
    """A text that could not be worked on, in its place among the others."""

    error: str


class LabelProbability(BaseModel):
    """A label of a text."""

    label: str | int | float | bool
    probability: float


class Prediction(Read):
    """The labels of a text, or the numbers of a regression."""

    labels: list[LabelProbability] | None = None
    values: list[float] | None = None


class PredictAnswer(BaseModel):
    """A prediction a text, in order."""

    model: str
    predictions: list[Prediction | Failed]


class ExplainRequest(Asked):
    """Texts whose labels are to be explained, word by word."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["a good film"]}]})
    texts: Texts
    label: Annotated[
        str | None, Field(description="The label to explain; without it the one predicted.")
    ] = None
    against: Annotated[str | None, Field(description="The label to compare it with.")] = None
    method: Annotated[
        Literal["gradients", "occlusion", "exact"] | None,
        Field(description="Without it the one that suits the model; the answer names it."),
    ] = None
    flips: Annotated[
        bool, Field(description="Also look for the words without which the label changes.")
    ] = False


class ExplainedWord(BaseModel):
    """A word at start:end of the text; score: above 0 for the label, below against it."""

    word: str
    start: int
    end: int
    score: float


class Counterfactual(BaseModel):
    """Words without which the text, which is then this, has another label."""

    removed: list[str]
    text: str
    label: str
    search: str


class Explained(BaseModel):
    """Why a text has a label. gap: what is to be explained, the label's logit less that of what it
    is compared with (`against`), less the same of the baseline; sum: of all scores and the rest.
    """

    label: str | int | float | bool
    predicted: str
    against: str
    probability: float | None = None
    method: str
    baseline: str
    gap: float
    sum: float
    rest: float
    words: list[ExplainedWord]
    counterfactual: Counterfactual | None = None


class ExplainAnswer(BaseModel):
    """An explanation a text, in order."""

    model: str
    explanations: list[Explained | Failed]


class EmbedRequest(Asked):
    """Texts to turn into vectors."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"texts": ["a king", "a queen"]}]})
    texts: Texts
    dimensions: Annotated[
        int | None, Field(ge=1, description="Keep so many columns, and scale to length 1.")
    ] = None
    normalize: Annotated[bool, Field(description="Scale to length 1.")] = False


class Embedding(Read):
    """The vector of a text."""

    vector: list[float]


class EmbedAnswer(BaseModel):
    """A vector a text, in order."""

    model: str
    dim: int
    embeddings: list[Embedding | Failed]


class SimilarityRequest(Asked):
    """Texts to compare by the cosine of their vectors."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": ["a king"], "others": ["a queen", "a car"]}]}
    )
    texts: Texts
    others: Annotated[
        Texts | None, Field(description="What to compare with; without it with themselves.")
    ] = None


class SimilarityAnswer(BaseModel):
    """cosines[i][j]: of text i and other j; null where a text could not be worked on. truncated:
    tokens cut from each text, then from each of the others.
    """

    model: str
    cosines: list[list[float | None]]
    truncated: list[int]
    errors: dict[str, str] = {}


class TokenizeRequest(Asked):
    """Texts to cut into tokens."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"texts": "a good film", "spans": True}]}
    )
    texts: Texts
    spans: Annotated[bool, Field(description="Give (start, end) in characters of the text.")] = True
    max_length: Annotated[
        int, Field(ge=0, le=100_000, description="Tokens a text at most; what is cut is said.")
    ] = 8192


class Tokenized(BaseModel):
    """The tokens of a text. truncated: how many more there are."""

    ids: list[int]
    tokens: list[str]
    spans: list[tuple[int, int]] | None = None
    truncated: int = 0


class TokenizeAnswer(BaseModel):
    """The tokens of each text, in order; replaced: lone surrogates that became U+FFFD."""

    model: str
    texts: list[Tokenized | Failed]
    replaced: int = 0


class DecodeRequest(Asked):
    """Rows of token ids to turn into texts."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"ids": [[2, 3, 4]]}]})
    ids: Annotated[list[Ids], Field(description="Rows of ids of this model's tokenizer.")]


class DecodeAnswer(BaseModel):
    """A text a row, in order."""

    model: str
    texts: list[str]


class OpenaiRequest(BaseModel):
    """What OpenAI's client sends to /v1/embeddings; `user` is taken and not looked at."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"input": ["a king"], "model": "glove"}]},
    )
    input: Annotated[
        str | list[str] | list[int] | list[list[int]],
        Field(
            description="A text, texts, token ids of this model, or rows of them.",
            json_schema_extra={"minItems": 1},
        ),
    ]
    model: ModelName = None
    dimensions: Annotated[int | None, Field(ge=1)] = None
    encoding_format: Literal["float", "base64"] = "float"
    user: str | None = None


class OpenaiVector(BaseModel):
    """A vector: numbers, or base64 of little-endian float32. truncated: tokens that were cut."""

    object: Literal["embedding"] = "embedding"
    index: int
    embedding: list[float] | str
    truncated: int = 0


class OpenaiAnswer(BaseModel):
    """The vectors, in order."""

    object: Literal["list"] = "list"
    model: str
    data: list[OpenaiVector]
    usage: dict[str, int]


class Problem(BaseModel):
    """What is wrong, where, and what would be right."""

    message: str
    type: str
    param: Annotated[str | None, Field(description="The field, as texts.3.")] = None
    code: str


class ErrorAnswer(BaseModel):
    """How every error answers."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "error": {
                        "message": "texts.1: Input should be a valid string",
                        "type": "invalid_request_error",
                        "param": "texts.1",
                        "code": "invalid",
                    },
                    "request_id": "5f2c",
                }
            ]
        }
    )
    error: Problem
    request_id: str | None = None


def plain(value: object) -> Any:
    """Give what JSON can say of an answer, without what it does not hold."""
    return value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
