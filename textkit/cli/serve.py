"""`textkit serve`: models answer over HTTP, with a page to try them."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import typer

from textkit.cli.command import MODEL, OUTPUT, RUNNING, new_verb, verb
from textkit.cli.options import Allow
from textkit.cli.output import note
from textkit.errors import UsageError, require
from textkit.watch import Watch

app = new_verb()


@dataclass(frozen=True, kw_only=True)
class Served:
    """What is served."""

    group: ClassVar = MODEL
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODELS",
            help="Folders of models or tokenizers, vectors, hf:NAME; NAME=PATH gives a name.",
            rich_help_panel=MODEL,
        ),
    ]
    allow: Allow = None


@dataclass(frozen=True, kw_only=True)
class Serving:
    """Where and how."""

    group: ClassVar = RUNNING
    host: Annotated[str, typer.Option(help="Address to listen at; 0.0.0.0: all.")] = "127.0.0.1"
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8080
    watch: Annotated[
        bool, typer.Option("--watch", help="Serve a new model as soon as its folder holds one.")
    ] = False
    threads: Annotated[
        int | None, typer.Option(min=1, help="Threads of a model's computing; by default all.")
    ] = None
    batch_tokens: Annotated[int, typer.Option(min=1, help="Tokens of a batch.")] = 8192
    batch_wait_ms: Annotated[
        float, typer.Option(min=0, help="Milliseconds that a batch waits for more rows.")
    ] = 2.0
    max_body_mb: Annotated[
        int, typer.Option(min=1, help="A request of more megabytes is refused.")
    ] = 32
    max_texts: Annotated[int, typer.Option(min=1, help="A request of more texts is refused.")] = (
        2048
    )
    max_waiting_mb: Annotated[
        int, typer.Option(min=1, help="Megabytes of open requests; past it the answer is 429.")
    ] = 256
    on: Annotated[
        str | None,
        typer.Option(
            "--on", metavar="ray[:ADDRESS]", help="Serve on Ray: one begun here, or at ADDRESS."
        ),
    ] = None
    replicas: Annotated[
        int, typer.Option(min=1, help="With --on: at most so many processes, as tokens wait.")
    ] = 1
    access_log: Annotated[
        bool, typer.Option("--access-log/--no-access-log", help="A line for each request.")
    ] = True


@verb(app)
def serve(
    served: Served,
    serving: Serving,
    dockerfile: Annotated[
        Path | None,
        typer.Option(
            "--dockerfile",
            metavar="FOLDER",
            help="Serve nothing; write what an image of this server is built from.",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
) -> None:
    """Serve models over HTTP: labels, vectors, tokens, OpenAI's /v1/embeddings, and a page.

    A key in the environment variable TEXTKIT_API_KEY is asked of every request.

    Examples:
        textkit serve run/model
        textkit serve topics=run/model all-MiniLM-L6-v2/ glove --port 9000
        textkit serve run/model --host 0.0.0.0 --watch
        textkit serve exported --dockerfile out
        textkit serve run/model --on ray --replicas 4
    """
    for package in ("starlette", "uvicorn", "prometheus_client"):
        require(package, needed_by="textkit serve")
    from textkit.serve import images, life
    from textkit.serve.options import KEY_VARIABLE, Limits, ServeOptions

    if dockerfile is not None:
        written = images.write_image(served.models, dockerfile, allow=served.allow or ())
        note(f"{written}: docker build {written}")
        return
    limits = Limits(
        body_bytes=serving.max_body_mb << 20,
        texts=serving.max_texts,
        bytes=max(serving.max_waiting_mb, serving.max_body_mb) << 20,
        batch_tokens=serving.batch_tokens,
        wait_seconds=serving.batch_wait_ms / 1000,
    )
    options = ServeOptions(
        models=served.models,
        host=serving.host,
        port=serving.port,
        allow=served.allow or (),
        watch=1.0 if serving.watch else None,
        key=os.environ.get(KEY_VARIABLE),
        access_log=serving.access_log,
        threads=serving.threads,
        limits=limits,
    )
    if serving.on is not None:
        require("ray", needed_by=f"--on {serving.on}")
        from textkit.integrations import ray

        ray.run(options, on=serving.on, max_replicas=serving.replicas, watch=Watch(note=note))
        return
    if serving.replicas > 1:
        raise UsageError("--replicas is for --on ray; --threads is for one process")
    life.serve(options, watch=Watch(note=note))
