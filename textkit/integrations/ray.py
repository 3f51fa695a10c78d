"""Models served on Ray Serve, by several processes on one machine or many.

    from ray import serve
    from textkit.integrations.ray import deployment

    serve.run(deployment("run/model", max_replicas=8))

A replica is the server of `textkit serve` without its socket: the same routes, the same batches
from the requests of many clients, the same bounds. Ray Serve shares requests out among replicas,
begins one anew that is lost, and has as many as the tokens that wait ask for.
"""

from __future__ import annotations

import logging
import math
import signal
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette

from textkit.errors import ArtifactError, StorageError, UsageError, require
from textkit.jobs.on_ray import connected
from textkit.serve.app import make_app
from textkit.serve.host import Host
from textkit.serve.options import Limits, ServeOptions, name_models
from textkit.watch import Watch

if TYPE_CHECKING:
    from ray.serve import Application
    from ray.serve.config import AutoscalingContext

__all__ = ["deployment", "run"]

APP = "textkit"
# Tokens that may wait for a replica before there is another: half a second of work of a small
# model.
WAITING_TOKENS = 16 * Limits().batch_tokens
_LOAD = "load"


class Replica:
    """A host of models behind Ray Serve's own HTTP; opened before it is asked."""

    def __init__(self, options: ServeOptions, waiting_tokens: int) -> None:
        self._waiting_tokens = waiting_tokens
        self._host = Host(options, log=logging.getLogger("ray.serve").info)
        self._host.open()

    def __serve_build_asgi_app__(self) -> Starlette:
        """Give the app, the one of `textkit serve`."""
        return make_app(self._host)

    def record_autoscaling_stats(self) -> dict[str, float]:
        """Say how many replicas the tokens that wait here ask for."""
        return {_LOAD: self._host.admission.held.tokens / self._waiting_tokens}

    def check_health(self) -> None:
        """Raise where a thread that should work does not."""
        if not self._host.is_alive:
            raise RuntimeError("a thread of the models has ended")

    def __del__(self) -> None:
        self._host.close()


def scale_by_tokens(context: AutoscalingContext) -> tuple[int, dict[str, Any]]:
    """Ask for as many replicas as the loads of all make together, one at least; what Ray Serve
    asks now and then.
    """
    loads = (context.aggregated_metrics or {}).get(_LOAD, {})
    wanted = max(1, math.ceil(sum(loads.values())))
    least, most = context.capacity_adjusted_min_replicas, context.capacity_adjusted_max_replicas
    return min(max(wanted, least), most), {}


def deployment(
    *models: str | Path,
    limits: Limits = Limits(),
    allow: Sequence[str] = (),
    key: str | None = None,
    threads: int | None = 1,
    min_replicas: int = 1,
    max_replicas: int = 1,
    waiting_tokens: int = WAITING_TOKENS,
) -> Application:
    """Make an app for `serve.run` of Ray Serve: one deployment, with all these models.

    models to threads: as in textkit.serve.options.ServeOptions; folders are named so that every
    machine finds them. min_replicas, max_replicas: of them, as many as there are waiting_tokens in
    requests that are not answered yet. A replica takes a processor for each of its threads.

    Raises MissingExtraError without Ray Serve, UsageError for models that cannot be named.
    """
    require("ray", needed_by="Ray Serve")
    from ray import serve
    from ray.serve.config import AutoscalingConfig, AutoscalingPolicy

    if not 1 <= min_replicas <= max_replicas:
        raise UsageError(
            f"{min_replicas} to {max_replicas} replicas, expected 1 or more, the smaller first"
        )
    named = name_models([str(model) for model in models])
    places = [
        f"{name}={Path(place).absolute() if Path(place).exists() else place}"
        for name, place in named.items()
    ]
    options = ServeOptions(models=places, limits=limits, allow=allow, key=key, threads=threads)
    scaling = AutoscalingConfig(
        min_replicas=min_replicas,
        max_replicas=max_replicas,
        policy=AutoscalingPolicy(policy_function=f"{__name__}:{scale_by_tokens.__name__}"),
    )
    made = serve.deployment(
        serve.ingress()(Replica),
        name="models",
        # A replica bounds what it holds by tokens and bytes, and makes batches of what it has: were
        # Ray Serve to hold requests back, there would be none.
        max_ongoing_requests=limits.connections,
        autoscaling_config=scaling,
        ray_actor_options={"num_cpus": threads or 1},
        # A model that cannot be opened once will not be the third time.
        max_constructor_retry_count=2,
    )
    return made.bind(options, waiting_tokens)


def run(
    options: ServeOptions, *, on: str = "ray", max_replicas: int = 1, watch: Watch = Watch()
) -> None:
    """Serve on Ray until SIGINT or SIGTERM comes; then answer what was taken, and return.

    on: "ray" begins a Ray here, "ray:ADDRESS" takes one that runs. Raises ArtifactError for a model
    that cannot be opened, StorageError where Ray or the port cannot be had.
    """
    if options.watch is not None:
        raise UsageError("--watch is for a server without Ray; there, serve the new model anew")
    with connected(on):
        from ray import serve

        app = deployment(
            *options.models,
            limits=options.limits,
            allow=options.allow,
            key=options.key,
            threads=options.threads or 1,
            max_replicas=max_replicas,
        )
        stopped = threading.Event()
        numbers = (signal.SIGINT, signal.SIGTERM)
        before = {n: signal.signal(n, lambda *_: stopped.set()) for n in numbers}
        try:
            serve.start(
                http_options={"host": options.host, "port": options.port},
                logging_config={"log_level": "ERROR"},
            )
            serve.run(app, name=APP)
            watch.note(f"ready: http://{options.host}:{options.port}/")
            stopped.wait()
        except RuntimeError as err:
            raise _open_error(str(err)) from err
        finally:
            serve.shutdown()
            for number, handler in before.items():
                signal.signal(number, handler)
        watch.note("stopped; all that was taken is answered")


def _open_error(told: str) -> ArtifactError | StorageError:
    """Find in Ray Serve's pages what the matter was."""
    lines = [line.strip() for line in told.splitlines() if line.startswith("textkit.errors.")]
    if lines:
        return ArtifactError(lines[-1].partition(": ")[2])
    return StorageError(f"Ray Serve: {' '.join(told.split())[:300]}")
