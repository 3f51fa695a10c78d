"""The requests of OpenAI's package (3.57) byte for byte, and all of the answers that it reads."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.serve.calls import LABELS, TEXTS, get, open_host, post
from textkit import TextClassifier, Vectors
from textkit.serve.host import Host

HEADERS = {
    "accept": "application/json",
    "accept-encoding": "gzip, deflate",
    "authorization": "Bearer k",
    "content-type": "application/json",
    "user-agent": "OpenAI/Python 3.57.0",
    "x-stainless-async": "false",
    "x-stainless-retry-count": "0",
}


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Open vectors and a network, with the key that the requests bring."""
    folder = tmp_path_factory.mktemp("models")
    Vectors(["king", "queen"], np.array([[3, 4, 0], [0, 1, 0]], np.float32)).save(folder / "v")
    TextClassifier(encoder="bag", training__epochs=1).fit(TEXTS, LABELS).save(folder / "net")
    host = open_host([str(folder / "v"), f"other={folder / 'net'}", str(folder / "net")], key="k")
    yield host
    host.close()


def ask(host: Host, body: str) -> Any:
    answer = post(host, "/v1/embeddings", body.encode(), headers=HEADERS)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-request-id"]
    return answer.status_code, answer.json()


def test_base64_is_the_clients_own_default_and_float_the_same(host: Host) -> None:
    status, told = ask(host, '{"model":"v","input":["king","a queen"],"encoding_format":"base64"}')
    assert status == 200 and told["object"] == "list" and told["model"] == "v"
    assert set(told["usage"]) == {"prompt_tokens", "total_tokens"}
    rows = [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in told["data"]]
    assert [(row["index"], row["object"]) for row in told["data"]] == [
        (0, "embedding"),
        (1, "embedding"),
    ]
    status, floats = ask(host, '{"model":"v","input":["king","a queen"],"encoding_format":"float"}')
    assert np.array_equal(rows, np.array([r["embedding"] for r in floats["data"]], np.float32))


def test_dimensions_are_cut_and_scaled(host: Host) -> None:
    body = '{"model":"v","input":"king","dimensions":2,"encoding_format":"float"}'
    assert ask(host, body)[1]["data"][0]["embedding"] == pytest.approx([0.6, 0.8])


def test_token_ids_alone_and_in_rows(host: Host) -> None:
    one = '{"model":"net","input":[3,4,5],"encoding_format":"float"}'
    two = '{"model":"net","input":[[3,4,5],[5]],"user":"me","encoding_format":"float"}'
    (first,) = ask(host, one)[1]["data"]
    told = ask(host, two)[1]["data"]
    assert len(told) == 2 and told[0]["embedding"] == pytest.approx(first["embedding"], abs=1e-6)


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        ('{"model":"nope","input":"a"}', 404, "model_not_found", "model"),
        ('{"model":"v","input":[]}', 422, "invalid", "input"),
        ('{"model":"v","input":"a","dimensions":9999}', 422, "invalid", "dimensions"),
        ('{"model":"net","input":[9999999]}', 422, "invalid", "input.0.0"),
        ('{"model":"v","input":"a","encoding_format":"hex"}', 422, "invalid", "encoding_format"),
    ],
)
def test_errors_are_what_the_package_reads(
    host: Host, body: str, status: int, code: str, param: str
) -> None:
    got, told = ask(host, body)
    assert got == status
    problem = told["error"]
    assert (problem["code"], problem["param"]) == (code, param)
    assert problem["type"] == "invalid_request_error" and problem["message"]


def test_models_are_listed_and_told_one_by_one(host: Host) -> None:
    key = {"authorization": "Bearer k"}
    listed = get(host, "/v1/models", headers=key).json()
    assert listed["object"] == "list" and [m["id"] for m in listed["data"]] == [
        "v",
        "other",
        "net",
    ]
    for name in ("v", "other"):
        one = get(host, f"/v1/models/{name}", headers=key)
        assert one.status_code == 200
        assert one.json() in listed["data"] and one.json()["id"] == name
    none = get(host, "/v1/models/nothing", headers=key)
    assert none.status_code == 404 and none.json()["error"]["code"] == "model_not_found"
    wrong = post(host, "/v1/embeddings", b'{"input":"a"}', headers={"authorization": "Bearer x"})
    assert wrong.status_code == 401 and wrong.json()["error"]["type"] == "authentication_error"
    assert json.loads(wrong.content)["error"]["code"] == "no_key"
