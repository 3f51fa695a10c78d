"""What a server is told: its models, where it listens, and the limits that bound its memory and its
patience.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from textkit.errors import UsageError
from textkit.io import hub

# The environment variable that holds the key which requests must bring.
KEY_VARIABLE = "TEXTKIT_API_KEY"


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What requests may take; past it they are answered with 413 or 429 and hold nothing.

    Of one request: body_bytes, texts (413).

    Of all together, waiting or worked on (429, with Retry-After): items, tokens (of texts not yet
    cut into tokens a third of their UTF-8 bytes), bytes, and seconds, the age at which what waits
    is given up.

    Of a batch: batch_tokens, and wait_seconds, how long the first row waits for others while
    requests are on their way.

    Of a connection: header_seconds to send its headers, which have header_bytes at most; a body has
    body_seconds and a second more for each 64 KB of it; an answer must be taken in send_seconds. An
    idle one is closed after idle_seconds; past connections, requests are answered with 503.
    """

    body_bytes: int = 32 << 20
    texts: int = 2048
    items: int = 16384
    tokens: int = 32 << 20
    bytes: int = 256 << 20
    seconds: float = 30.0
    batch_tokens: int = 8192
    wait_seconds: float = 0.002
    header_bytes: int = 16 << 10
    header_seconds: float = 6.0
    body_seconds: float = 6.0
    send_seconds: float = 20.0
    idle_seconds: float = 60.0
    connections: int = 4096

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value <= 0 and name != "wait_seconds":
                raise UsageError(f"{name} is {value}, expected more than 0")


@dataclass(frozen=True, kw_only=True)
class ServeOptions:
    """What is served, where, and how.

    - models: folders or what else `TextEmbedder.open` and `tokenizers.load` take, each as PATH or
      NAME=PATH.
    - host, port: where the server listens; port 0 takes a free one.
    - allow: each `package.module:Name` of a model that may be imported.
    - watch: seconds between two looks at the models' folders; a new one replaces the old while
      requests go on. None: never.
    - key: what requests must bring as `Authorization: Bearer KEY`; None: nothing.
    - access_log: whether each request is a line of the log; no line holds a text.
    - threads: of torch and of those that cut texts; None leaves it to them.
    """

    models: Sequence[str]
    host: str = "127.0.0.1"
    port: int = 8080
    allow: Sequence[str] = ()
    watch: float | None = None
    key: str | None = None
    access_log: bool = True
    threads: int | None = None
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.models:
            raise UsageError("no model given; name at least one: textkit serve run/model")
        remote = [place for place in name_models(self.models).values() if hub.is_name(place)]
        if self.watch is not None and remote:
            raise UsageError(
                f"--watch looks at folders, and '{remote[0]}' is a name of the hub; serve it"
                " without --watch, or a folder that holds it"
            )
        if not 0 <= self.port <= 65535:
            raise UsageError(f"port is {self.port}, expected 0 to 65535")
        if self.key is not None and (not self.key.isascii() or not self.key.strip()):
            raise UsageError(f"{KEY_VARIABLE} is empty or not ASCII; no header could carry it")


def name_models(models: Sequence[str]) -> dict[str, str]:
    """Give each model its name: NAME=PATH, or the last part of PATH that says something; the path
    of a run folder is that of its model.

    >>> name_models(["run/model", "b=other/model", "glove"])
    {'run': 'run/model', 'b': 'other/model', 'glove': 'glove'}
    """
    from textkit.jobs.runs import find_model

    named: dict[str, str] = {}
    for spec in models:
        name, sign, place = spec.partition("=")
        if not sign or not name or "/" in name or Path(spec).exists():
            name, place = _name_of(spec), spec
        if name in named:
            raise UsageError(
                f"two models are called '{name}': {named[name]} and {place}; write NAME=PATH"
            )
        named[name] = str(find_model(place)) if Path(place).is_dir() else place
    return named


def _name_of(spec: str) -> str:
    if spec.startswith(("hf:", "spacy:")):
        return spec.partition(":")[2].partition("@")[0]
    path = Path(spec).absolute()
    return path.parent.name if path.name == "model" and path.parent.name else path.name or spec
