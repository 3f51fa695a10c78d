"""What `/metrics` tells: requests, tokens, the queue, batches and where time goes, for Prometheus.

A server has a registry of its own, so that several may live in one process.
"""

from __future__ import annotations

import functools
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from textkit.serve.admission import Admission
from textkit.serve.batching import Ran

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_SHARES = (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
CONTENT_TYPE = CONTENT_TYPE_LATEST


class Metrics:
    """Count and time what the server does.

    >>> from textkit.serve.options import Limits
    >>> metrics = Metrics(Admission(Limits()))
    >>> metrics.note_request("/predict", 200, seconds=0.01)
    >>> b'textkit_requests_total{code="200",route="/predict"} 1.0' in metrics.text()
    True
    """

    def __init__(self, admission: Admission) -> None:
        self._registry = CollectorRegistry()
        self._admission = admission
        registry = self._registry
        self._requests = Counter(
            "textkit_requests", "Requests answered.", ["route", "code"], registry=registry
        )
        self._seconds = Histogram(
            "textkit_request_seconds",
            "From head to answer.",
            ["route"],
            buckets=_SECONDS,
            registry=registry,
        )
        self._stages = Histogram(
            "textkit_stage_seconds",
            "Of a batch: the wait of its oldest row, and the work.",
            ["model", "work", "stage"],
            buckets=_SECONDS,
            registry=registry,
        )
        names = ["model", "work"]
        self._texts = Counter("textkit_texts", "Texts worked on.", names, registry=registry)
        self._tokens = Counter(
            "textkit_tokens", "Tokens that models read.", names, registry=registry
        )
        self._padding = Counter(
            "textkit_padding_tokens",
            "Positions computed without a token.",
            names,
            registry=registry,
        )
        self._rows = Histogram(
            "textkit_batch_rows", "Rows.", names, buckets=_ROWS, registry=registry
        )
        self._fill = Histogram(
            "textkit_batch_fill", "Share of the budget.", names, buckets=_SHARES, registry=registry
        )
        self._reloads = Counter(
            "textkit_reloads", "New models read.", ["model", "ok"], registry=registry
        )
        self._closed = Counter(
            "textkit_closed_connections", "Slow clients.", ["why"], registry=registry
        )
        for name in ("items", "tokens", "bytes"):
            gauge = Gauge(f"textkit_held_{name}", "Held by open requests.", registry=registry)
            gauge.set_function(partial(getattr, admission.held, name))

        self._of_route = functools.cache(self._find_route)

    def _find_route(self, route: str, code: int) -> tuple[Counter, Histogram]:
        return self._requests.labels(route, str(code)), self._seconds.labels(route)

    def note_request(self, route: str, code: int, *, seconds: float) -> None:
        """Count a request."""
        count, timed = self._of_route(route, code)
        count.inc()
        timed.observe(seconds)

    def note_batch(self, model: str, work: str, ran: Ran) -> None:
        """Count a batch."""
        self._texts.labels(model, work).inc(ran.n_rows)
        self._tokens.labels(model, work).inc(ran.n_tokens)
        self._rows.labels(model, work).observe(ran.n_rows)
        if ran.n_positions:
            self._padding.labels(model, work).inc(max(0, ran.n_positions - ran.n_tokens))
        budget = self._admission.limits.batch_tokens
        self._fill.labels(model, work).observe(min(1.0, ran.n_tokens / budget))
        self._stages.labels(model, work, "wait").observe(ran.waited_seconds)
        self._stages.labels(model, work, "work").observe(ran.seconds)

    def note_reload(self, model: str, *, ok: bool) -> None:
        """Count a new model that was, or could not be, read."""
        self._reloads.labels(model, str(ok).lower()).inc()

    def note_closed(self, why: str) -> None:
        """Count a client that was too slow."""
        self._closed.labels(why).inc()

    def text(self) -> bytes:
        """Write all as Prometheus reads it."""
        return generate_latest(self._registry)
