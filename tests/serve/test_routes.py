"""What each route answers, and what it says of what is wrong."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.serve.calls import LABELS, TEXTS, get, open_host, post, save_models
from textkit import TextClassifier, TextEmbedder, tokenizers
from textkit.jobs.export import ExportOptions, export_model
from textkit.serve.host import Host
from textkit.serve.options import Limits


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[Host]:
    names = ("linear", "many", "numbers", "vectors", "bpe", "found")
    host = open_host([str(folder / name) for name in names])
    yield host
    host.close()


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, TextClassifier]]:
    model = TextClassifier(training__epochs=1, encoder__dim=8, seed=1).fit(TEXTS, LABELS)
    place = tmp_path_factory.mktemp("network") / "net" / "model"
    model.save(place)
    host = open_host([str(place)])
    yield host, model
    host.close()


def test_predict_gives_the_models_own_probabilities(host: Host, folder: Path) -> None:
    texts = ["a good film", "", "bad", "🎬 جيد"]
    wanted = TextClassifier.load(folder / "linear").predict_proba(texts)
    answer = post(host, "/predict", {"texts": texts, "top": 2}).json()
    assert answer["model"] == "linear"
    for row, told in zip(wanted, answer["predictions"], strict=True):
        found = {entry["label"]: entry["probability"] for entry in told["labels"]}
        assert found == pytest.approx(dict(zip(["neg", "pos"], row, strict=True)), abs=1e-6)
        assert told["truncated"] == 0


def test_one_label_is_told_by_default_and_of_many_those_above_thresholds(
    host: Host, folder: Path
) -> None:
    told = post(host, "/predict", {"texts": "good film"}).json()["predictions"]
    assert [entry["label"] for entry in told[0]["labels"]] == ["pos"]
    many = TextClassifier.load(folder / "many")
    told = post(host, "/predict", {"texts": TEXTS[:4], "model": "many"}).json()["predictions"]
    found = [{entry["label"] for entry in row["labels"]} for row in told]
    assert found == [set(labels) for labels in many.predict(TEXTS[:4])]
    asked = {"texts": "good film", "model": "many", "threshold": 0.0}
    assert len(post(host, "/predict", asked).json()["predictions"][0]["labels"]) == 3


def test_a_regression_gives_numbers(host: Host, folder: Path) -> None:
    wanted = TextClassifier.load(folder / "numbers").predict(["good plot"])
    told = post(host, "/predict", {"texts": "good plot", "model": "numbers"}).json()
    assert told["predictions"][0]["values"] == pytest.approx([float(wanted[0])])


def test_a_network_says_what_it_read_and_what_was_cut(
    network: tuple[Host, TextClassifier],
) -> None:
    host, model = network
    texts = ["good film", "", "bad " * 600]
    told = post(host, "/predict", {"texts": texts, "top": 2}).json()["predictions"]
    assert [(row["tokens"], row["truncated"]) for row in told] == [(2, 0), (0, 0), (512, 88)]
    found = [{e["label"]: e["probability"] for e in row["labels"]} for row in told]
    wanted = model.predict_proba(texts)
    assert [row["pos"] for row in found] == pytest.approx(wanted[:, 1].tolist(), abs=1e-5)


@pytest.mark.slow
def test_an_exported_model_answers_as_its_original(
    network: tuple[Host, TextClassifier], tmp_path: Path
) -> None:
    pytest.importorskip("onnxscript")
    host, model = network
    model.save(tmp_path / "model")
    export_model(ExportOptions(model=tmp_path / "model", out=tmp_path / "exported.zip"))
    bare = open_host([f"net={tmp_path / 'exported.zip'}"])
    for path, asked in (
        ("/predict", {"texts": ["good film", "", "bad " * 600], "top": 2}),
        ("/embed", {"texts": ["good film", "plot"]}),
        ("/v1/embeddings", {"input": [[2, 3], [4]]}),
    ):
        mine, theirs = post(bare, path, asked).json(), post(host, path, asked).json()
        assert_close(mine, theirs)
    (told,) = post(bare, "/explain", {"texts": "good film"}).json()["explanations"]
    assert told["method"] == "occlusion" and [word["word"] for word in told["words"]] == [
        "good",
        "film",
    ]
    bare.close()


def assert_close(mine: Any, theirs: Any) -> None:
    """Compare plain values; numbers up to 1e-5."""
    if isinstance(theirs, dict):
        assert mine.keys() == theirs.keys()
        mine, theirs = list(mine.values()), list(theirs.values())
    if isinstance(theirs, list):
        assert len(mine) == len(theirs)
        for one, other in zip(mine, theirs, strict=True):
            assert_close(one, other)
    else:
        assert mine == (pytest.approx(theirs, abs=1e-5) if isinstance(theirs, float) else theirs)


def test_embed_gives_the_embedders_vectors(
    host: Host, network: tuple[Host, TextClassifier], folder: Path
) -> None:
    texts = ["the king", "queen and king", ""]
    wanted = TextEmbedder.open(folder / "vectors").encode(texts)
    answer = post(host, "/embed", {"texts": texts}).json()
    assert answer["dim"] == 2
    assert [row["vector"] for row in answer["embeddings"]] == wanted.tolist()
    assert [row["tokens"] for row in answer["embeddings"]] == [2, 3, 0]
    answer = post(host, "/embed", {"texts": texts, "dimensions": 1, "normalize": True}).json()
    assert [row["vector"] for row in answer["embeddings"]] == [[1.0], [1.0], [0.0]]
    answer = post(network[0], "/embed", {"texts": ["a film"]}).json()
    assert np.linalg.norm(answer["embeddings"][0]["vector"]) == pytest.approx(1)


def test_similarity_is_the_cosine(host: Host) -> None:
    asked: dict[str, Any] = {"texts": ["king", "nothing"], "others": ["queen", "king queen"]}
    answer = post(host, "/similarity", asked).json()
    assert answer["cosines"][0] == pytest.approx([0, 2**-0.5])
    assert answer["cosines"][1] == [0, 0]
    answer = post(host, "/similarity", {"texts": ["king", "queen"]}).json()
    assert answer["cosines"] == [[1, 0], [0, 1]]
    assert post(host, "/similarity", {"texts": ["king"], "others": []}).json()["cosines"] == [[]]


def test_tokens_go_there_and_back(host: Host, folder: Path) -> None:
    text = "good film <b> 😀"
    tokenizer = tokenizers.load(folder / "bpe")
    wanted = tokenizer.encode([text], spans=True)
    (told,) = post(host, "/tokenize", {"texts": text, "model": "bpe"}).json()["texts"]
    assert told["ids"] == wanted.ids.tolist()
    assert told["spans"] == wanted.row_spans(0).tolist()
    assert told["tokens"] == tokenizer.tokens(wanted.ids)
    back = post(host, "/decode", {"ids": [told["ids"], []], "model": "bpe"}).json()["texts"]
    assert back == [text, ""]
    asked = {"texts": text, "model": "bpe", "max_length": 2, "spans": False}
    (told,) = post(host, "/tokenize", asked).json()["texts"]
    assert (len(told["ids"]), told["truncated"]) == (2, len(wanted.ids) - 2)
    assert "spans" not in told


def test_half_a_surrogate_pair_is_replaced_as_everywhere(host: Host) -> None:
    answer = post(host, "/predict", b'{"texts": ["good", "good\\ud800"]}')
    assert answer.status_code == 200 and len(answer.json()["predictions"]) == 2
    answer = post(host, "/tokenize", b'{"texts": "\\ud800", "model": "bpe"}').json()
    assert answer["replaced"] == 1


def test_openai_embeddings_as_numbers_and_as_base64(host: Host) -> None:
    asked = {"input": ["king", "queen"], "model": "vectors"}
    answer = post(host, "/v1/embeddings", asked).json()
    assert answer["object"] == "list"
    assert answer["usage"] == {"prompt_tokens": 2, "total_tokens": 2}
    assert [row["embedding"] for row in answer["data"]] == [[1, 0], [0, 1]]
    answer = post(host, "/v1/embeddings", asked | {"encoding_format": "base64"}).json()
    packed = [np.frombuffer(base64.b64decode(row["embedding"]), "<f4") for row in answer["data"]]
    assert np.array_equal(packed, [[1, 0], [0, 1]])
    listed = get(host, "/v1/models").json()["data"]
    names = ["linear", "many", "numbers", "vectors", "bpe", "found"]
    assert [model["id"] for model in listed] == names
    names = ["linear", "many", "numbers", "vectors", "bpe", "found"]
    assert [model["id"] for model in listed] == names


def test_token_ids_give_the_vector_of_their_text(network: tuple[Host, TextClassifier]) -> None:
    host, model = network
    rows = [row.tolist() for row in model.tokenizer_.encode(["good film", "bad plot"])]
    by_text = post(host, "/v1/embeddings", {"input": ["good film", "bad plot"]}).json()["data"]
    by_ids = post(host, "/v1/embeddings", {"input": rows}).json()["data"]
    single = post(host, "/v1/embeddings", {"input": rows[1]}).json()["data"]
    for one, other in zip([*by_text, by_text[1]], [*by_ids, *single], strict=True):
        assert one["embedding"] == pytest.approx(other["embedding"], abs=1e-6)
    long = post(host, "/v1/embeddings", {"input": [rows[0] * 300, []]}).json()
    assert [row["truncated"] for row in long["data"]] == [88, 0]
    refused = post(host, "/v1/embeddings", {"input": [[0], [1, 2**40]]})
    assert (refused.status_code, refused.json()["error"]["param"]) == (422, "input.1.1")
    assert "go up to 5" in refused.json()["error"]["message"]


@pytest.mark.parametrize(
    ("path", "asked", "status", "param", "said"),
    [
        ("/predict", {"texts": ["a", 3]}, 422, "texts.1", "valid string"),
        ("/predict", {"text": "a"}, 422, "texts", "required"),
        ("/predict", {"texts": "a", "topp": 1}, 422, "topp", "not permitted"),
        ("/predict", {"texts": "a", "top": 0}, 422, "top", "greater than or equal to 1"),
        ("/predict", {"texts": "a", "top": True}, 422, "top", "integer"),
        ("/predict", {"texts": "a", "model": "linera"}, 404, "model", "did you mean 'linear'"),
        ("/predict", {"texts": "a", "model": "bpe"}, 404, "model", "cannot predict"),
        ("/predict", b'{"texts": [', 422, None, "JSON"),
        ("/predict", b'{"texts": ["a", "\\ud8"]}', 422, None, "JSON"),
        ("/predict", b"", 422, None, "JSON"),
        ("/predict", b"[" * 100_000, 422, None, "JSON"),
        ("/predict", {"texts": ["a"] * 9}, 413, "texts", "8 are taken"),
        ("/predict", {"texts": "a" * 200_000}, 413, None, "bytes"),
        ("/embed", {"texts": "a", "dimensions": 3}, 422, "dimensions", "has 2"),
        ("/decode", {"ids": [[1], [2, 99999]], "model": "bpe"}, 422, "ids.1.1", "up to 269"),
        ("/decode", {"ids": [[-1]], "model": "bpe"}, 422, "ids.0.0", "-1"),
        ("/decode", {"ids": [["a"]], "model": "bpe"}, 422, "ids.0.0", "integer"),
        ("/v1/embeddings", {"input": [1], "model": "vectors"}, 422, "input", "reads texts"),
        ("/v1/embeddings", {"input": []}, 422, "input", "nothing"),
        ("/v1/embeddings", {"input": "a", "encoding_format": "hex"}, 422, "encoding_format", ""),
        ("/nowhere", {}, 404, None, "openapi.json"),
        ("/health", {}, 405, None, "Not Allowed"),
    ],
)
def test_what_is_wrong_is_named(
    folder: Path, path: str, asked: Any, status: int, param: str | None, said: str
) -> None:
    names = ("linear", "vectors", "bpe")
    limits = Limits(texts=8, body_bytes=120_000)
    small = open_host([str(folder / name) for name in names], limits=limits)
    answer = post(small, path, asked)
    small.close()
    assert answer.status_code == status, answer.text
    problem = answer.json()["error"]
    assert problem["param"] == param and said in problem["message"]
    assert answer.json()["request_id"] == answer.headers["x-request-id"]


def test_info_and_health_and_metrics(host: Host) -> None:
    post(host, "/embed", {"texts": "king"})
    told = {model["name"]: model for model in get(host, "/info").json()["models"]}
    assert told["linear"]["labels"] == ["neg", "pos"] and told["linear"]["can"] == [
        "predict",
        "explain",
    ]
    assert told["vectors"]["dim"] == 2
    assert told["bpe"]["tokenizer"] == {"kind": "bpe", "size": 270}
    assert get(host, "/health").json() == {"status": "ok"}
    assert get(host, "/ready").json() == {"ready": True}
    text = get(host, "/metrics").text
    assert 'textkit_requests_total{code="200",route="/embed"}' in text
    assert 'textkit_tokens_total{model="vectors",work="embed"}' in text
    assert "textkit_held_bytes 0.0" in text


def test_openapi_has_every_route_with_an_example(host: Host) -> None:
    from textkit.serve.app import make_app

    told = get(host, "/openapi.json").json()
    routes = {route.path.replace(":path", "") for route in make_app(host).routes}
    assert routes <= set(told["paths"])
    assert set(told["paths"]) - routes <= {"/"}
    references = set()

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            references.update([value["$ref"]] if "$ref" in value else [])
            value = list(value.values())
        for inner in value if isinstance(value, list) else ():
            collect(inner)

    collect(told)
    known = {f"#/components/schemas/{name}" for name in told["components"]["schemas"]}
    assert references and references <= known
    for path, entry in told["paths"].items():
        if "post" in entry:
            content = entry["post"]["requestBody"]["content"]["application/json"]
            asked = content["example"]
            if asked.get("model") == "glove":
                asked["model"] = "vectors"
            answer = post(host, path, asked | ({"model": "bpe"} if "ids" in asked else {}))
            assert answer.status_code == 200, answer.text
    json.dumps(told)


def test_without_a_key_nothing_but_health_is_answered(folder: Path) -> None:
    log: list[str] = []
    host = open_host([str(folder / "linear")], key="secret", log=log)
    asked = {"texts": "a secret text"}
    assert post(host, "/predict", asked).status_code == 401
    assert (
        post(host, "/predict", asked, headers={"Authorization": "Bearer wrong"}).json()["error"][
            "code"
        ]
        == "no_key"
    )
    good = post(
        host,
        "/predict",
        asked,
        headers={"Authorization": "Bearer secret", "X-Request-Id": "mine-1"},
    )
    assert good.status_code == 200 and good.headers["x-request-id"] == "mine-1"
    assert get(host, "/health").status_code == 200
    assert get(host, "/info").status_code == 401
    host.close()
    lines = "\n".join(log)
    assert "id=mine-1 texts=1" in lines and "secret text" not in lines
    assert "/predict 200" in lines and "Bearer" not in lines


def test_nothing_is_shared_with_other_origins(host: Host) -> None:
    answer = get(host, "/info", headers={"Origin": "https://example.org"})
    assert not [name for name in answer.headers if name.startswith("access-control")]
