"""What requests and answers of `/search` look like, as `schema` says it of the other routes."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from textkit.serve.schema import Asked, Failed, Texts


class SearchRequest(Asked):
    """What is sought in an index."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"queries": ["late delivery"], "k": 3}]}
    )
    queries: Annotated[Texts, Field(description="A query, or a list of them.")]
    k: Annotated[int, Field(ge=1, le=1000, description="Rows a query at most.")] = 10
    method: Annotated[
        Literal["dense", "bm25", "hybrid"] | None,
        Field(description="By vectors, by words or by both; without it by all that is there."),
    ] = None
    where: Annotated[
        list[str],
        Field(
            default_factory=list,
            max_length=32,
            description="Conditions on kept columns, as lang=en or year>=2020.",
        ),
    ]
    exact: Annotated[bool, Field(description="Go through all vectors, not the graph.")] = False
    characters: Annotated[
        int, Field(ge=0, le=1_000_000, description="Characters of a text; what is cut is said.")
    ] = 10_000


class FoundBy(BaseModel):
    """The place of a row in one ranking."""

    rank: int
    score: float


class FoundRow(BaseModel):
    """A row that was found. cut: characters of the text that are not told; marks: (start, end) of
    the query's words in `text`, and in `snippet`, the stretch that shows most of them.
    """

    row: int
    score: float
    text: str
    cut: int
    kept: dict[str, Any]
    marks: list[tuple[int, int]]
    snippet: str
    snippet_marks: list[tuple[int, int]]
    found_by: dict[str, FoundBy]


class Found(BaseModel):
    """The hits of a query, the best first."""

    hits: list[FoundRow]


class SearchAnswer(BaseModel):
    """The hits of each query, in order."""

    model: str
    results: list[Found | Failed]
