"""Models on Ray Serve: the answers of `textkit serve`, as many replicas as wait for, and errors."""

from __future__ import annotations

import json
import os
import socket
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("starlette", reason="starlette is not installed")

from textkit import TextClassifier
from textkit.errors import ArtifactError, StorageError, UsageError
from textkit.integrations import ray as on_ray
from textkit.serve.options import ServeOptions

# Ray Serve's own, of pydantic.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def context(loads: dict[str, float], least: int = 1, most: int = 4) -> Any:
    """Stand for what Ray Serve asks with."""
    return SimpleNamespace(
        aggregated_metrics={"load": loads} if loads else {},
        capacity_adjusted_min_replicas=least,
        capacity_adjusted_max_replicas=most,
    )


@pytest.mark.parametrize(
    ("loads", "replicas"),
    [({}, 1), ({"a": 0.0}, 1), ({"a": 0.4, "b": 0.5}, 1), ({"a": 1.1}, 2), ({"a": 9.0}, 4)],
)
def test_there_are_as_many_replicas_as_tokens_wait_for(
    loads: dict[str, float], replicas: int
) -> None:
    assert on_ray.scale_by_tokens(context(loads)) == (replicas, {})
    assert on_ray.scale_by_tokens(context(loads, least=2))[0] == max(2, replicas)


@pytest.mark.slow
def test_a_replica_tells_the_tokens_that_wait_and_closes_its_models() -> None:
    texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    TextClassifier(encoder="linear", seed=1).fit(texts, labels).save("m")
    replica = on_ray.Replica(ServeOptions(models=["m"]), waiting_tokens=100)
    host = replica.__serve_build_asgi_app__  # built by Ray Serve, once the models are open
    assert {route.path for route in host().routes} >= {"/predict", "/embed", "/metrics"}
    replica._host.admission.held.tokens = 150
    assert replica.record_autoscaling_stats() == {"load": 1.5}
    replica.check_health()
    replica.__del__()
    assert not replica._host.is_open


def test_what_ray_serve_says_of_a_model_becomes_one_line() -> None:
    told = "Deploying app failed\n  File x\ntextkit.errors.ArtifactError: m: no such model\nlast"
    assert isinstance(on_ray._open_error(told), ArtifactError)
    assert str(on_ray._open_error(told)) == "m: no such model"
    assert str(on_ray._open_error("no\n port")) == "Ray Serve: no port"
    assert isinstance(on_ray._open_error(""), StorageError)


def test_a_deployment_is_checked_where_it_is_made() -> None:
    with pytest.raises(UsageError, match="--watch is for a server without Ray"):
        on_ray.run(ServeOptions(models=["m"], watch=1.0))
    pytest.importorskip("ray", reason="ray is not installed")
    with pytest.raises(UsageError, match="3 to 2 replicas, expected 1 or more"):
        on_ray.deployment("m", min_replicas=3, max_replicas=2)


@pytest.fixture(scope="module")
def serve() -> Iterator[Any]:
    """Begin a Ray of two processors with its server at a free port."""
    ray = pytest.importorskip("ray", reason="ray is not installed")
    from ray import serve as module

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    module.start(http_options={"host": "127.0.0.1", "port": port})
    yield SimpleNamespace(run=module.run, delete=module.delete, url=f"http://127.0.0.1:{port}")
    module.shutdown()
    ray.shutdown()
    del os.environ["RAY_USAGE_STATS_ENABLED"]


def ask(url: str, body: object) -> tuple[int, Any]:
    request = urllib.request.Request(
        url, json.dumps(body).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as err:
        return err.code, json.load(err)


@pytest.mark.slow
def test_answers_are_those_of_the_model_and_many_requests_share_batches(serve: Any) -> None:
    texts, labels = ["good film", "bad film"] * 20, ["pos", "neg"] * 20
    model = TextClassifier(encoder="linear", seed=1).fit(texts, labels)
    model.save("m")
    serve.run(on_ray.deployment("m"), name="models", logging_config={"log_level": "ERROR"})
    with ThreadPoolExecutor(16) as pool:
        bodies = [{"texts": [f"good {n}", f"bad {n}"]} for n in range(64)]
        answers = list(pool.map(lambda body: ask(f"{serve.url}/predict", body), bodies))
    assert {status for status, _ in answers} == {200}
    for body, (_, answer) in zip(bodies, answers, strict=True):
        named = [row["labels"][0]["label"] for row in answer["predictions"]]
        assert named == model.predict(body["texts"]).tolist()
    assert ask(f"{serve.url}/predict", {"texts": "x" * 3, "no": 1})[0] == 422
    with urllib.request.urlopen(f"{serve.url}/metrics", timeout=60) as answer:
        assert b"textkit_" in answer.read()
    serve.delete("models")


@pytest.mark.slow
def test_a_model_that_cannot_be_opened_is_named(serve: Any) -> None:
    Path("broken").mkdir()
    Path("broken/config.json").write_text("{", encoding="utf-8")
    with pytest.raises(RuntimeError) as caught:
        serve.run(on_ray.deployment("broken"), name="broken")
    assert str(on_ray._open_error(str(caught.value))).count("\n") == 0
    assert "broken" in str(on_ray._open_error(str(caught.value)))
    serve.delete("broken")
