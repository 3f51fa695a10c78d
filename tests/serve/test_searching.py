"""`/search`: what the index finds, with what was cut said, and each wrong field named."""

from __future__ import annotations

import datetime
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.serve.calls import get, open_host, post, run
from textkit import AsyncClient, SearchIndex, Vectors
from textkit.errors import UsageError
from textkit.serve.app import make_app
from textkit.serve.host import Host
from textkit.serve.images import write_image
from textkit.serve.options import Limits

TABLE = {
    "text": ["the king 🙂", "a queen \ud800", "", "tree " * 100 + "<script>king</script>"],
    "lang": ["en", "en", "de", "de"],
    "on": [datetime.date(2024, 1, day) for day in (1, 2, 3, 4)],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("search")
    table = np.random.default_rng(0).standard_normal((5, 4)).astype(np.float32)
    Vectors(["the", "king", "a", "queen", "tree"], table).save(place / "vec")
    for name, model in (("both", str(place / "vec")), ("words", None)):
        SearchIndex.build(TABLE, place / name, text="text", keep=["lang", "on"], model=model)
    return place


@pytest.fixture(scope="module")
def host(folder: Path) -> Iterator[Host]:
    host = open_host([str(folder / name) for name in ("vec", "both", "words")])
    yield host
    host.close()


def test_hits_are_those_of_python(host: Host, folder: Path) -> None:
    index = SearchIndex.open(folder / "both")
    queries = ["king", "the queen", "nowhere"]
    told = post(host, "/search", {"queries": queries, "k": 2, "where": ["lang=en"]}).json()
    assert told["model"] == "both"
    for query, found in zip(queries, told["results"], strict=True):
        wanted = [hit.to_dict() for hit in index.query(query, 2, where=["lang=en"])]
        assert [hit["row"] for hit in found["hits"]] == [hit["row"] for hit in wanted]
        for hit, plain in zip(found["hits"], wanted, strict=True):
            assert (hit["kept"], hit["marks"]) == (plain["kept"], plain["marks"])
            assert hit["score"] == pytest.approx(plain["score"], abs=1e-5)
            assert hit["cut"] == 0
    assert told["results"][0]["hits"][0]["kept"] == {"lang": "en", "on": "2024-01-01"}


def test_what_is_cut_of_a_text_is_said_and_no_mark_lies_in_it(host: Host) -> None:
    asked = {"queries": "king", "model": "words", "characters": 6, "where": ["lang=de"]}
    (hit,) = post(host, "/search", asked).json()["results"][0]["hits"]
    assert (hit["text"], hit["cut"], hit["marks"]) == ("tree t", len(TABLE["text"][3]) - 6, [])
    (start, end) = hit["snippet_marks"][0]
    assert hit["snippet"][start:end] == "king"


@pytest.mark.parametrize(
    ("asked", "param", "said"),
    [
        ({"queries": "a", "where": ["lang=en", "land=en"]}, "where.1", "did you mean 'lang'"),
        ({"queries": "a", "where": ["lang"]}, "where.0", "COLUMN=VALUE"),
        ({"queries": "a", "where": ["on=abc"]}, "where.0", "date32"),
        ({"queries": "a", "method": "dense", "model": "words"}, "method", "holds no vectors"),
        ({"queries": "a", "method": "cosine"}, "method", "Input should be"),
        ({"queries": "a", "k": 0}, "k", "greater than or equal to 1"),
        ({"queries": "a", "texts": "a"}, "texts", "not permitted"),
        ({"queries": "a", "model": "vec"}, "model", "cannot search"),
    ],
)
def test_a_wrong_field_is_named(host: Host, asked: object, param: str, said: str) -> None:
    answer = post(host, "/search", asked)
    assert answer.status_code in (404, 422)
    problem = answer.json()["error"]
    assert problem["param"] == param and said in problem["message"]


def test_too_many_queries_are_refused(folder: Path) -> None:
    small = open_host([str(folder / "words")], limits=Limits(texts=2))
    assert post(small, "/search", {"queries": ["a"] * 3}).status_code == 413
    small.close()


def test_info_tells_what_the_index_has(host: Host) -> None:
    told = {model["name"]: model for model in get(host, "/info").json()["models"]}
    assert told["both"]["can"] == ["search"]
    assert (told["both"]["kind"], told["both"]["rows"]) == ("index", 4)
    assert (told["words"]["method"], told["words"]["columns"]) == ("bm25", ["lang", "on"])


def test_the_client_searches(host: Host) -> None:
    async def ask() -> list[list[dict[str, object]]]:
        transport = httpx.ASGITransport(make_app(host))
        async with AsyncClient("http://test", transport=transport) as client:
            return await client.search(["king", "queen"], model="words", k=1, where=["lang=en"])

    assert [[hit["row"] for hit in hits] for hits in run(ask())] == [[0], [1]]


def test_an_image_holds_an_index_with_the_model_of_its_vectors(
    folder: Path, tmp_path: Path
) -> None:
    out = write_image([str(folder / "words"), str(folder / "both")], tmp_path / "image")
    models = out / "models"
    assert (models / "words/texts.arrow").is_file()
    before = json.loads((folder / "both/config.json").read_text(encoding="utf-8"))
    after = json.loads((models / "both/config.json").read_text(encoding="utf-8"))
    assert before["vectors"]["model"].pop("spec") == str(folder / "vec")
    assert after["vectors"]["model"].pop("spec") == "/models/both.spec"
    assert after == before
    index = SearchIndex.open(models / "both", model=models / "both.spec", verify=True)
    (hit,) = index.query("a queen", 1, method="dense")
    assert hit.row == 1
    dockerfile = (out / "Dockerfile").read_text(encoding="utf-8")
    assert '"words=/models/words", "both=/models/both"' in dockerfile


def test_an_index_of_vectors_that_are_not_here_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder / "vec", tmp_path / "vec")
    SearchIndex.build(TABLE, tmp_path / "lost", text="text", model=str(tmp_path / "vec"))
    shutil.rmtree(tmp_path / "vec")
    with pytest.raises(UsageError, match="not opened by itself from here"):
        write_image([str(tmp_path / "lost")], tmp_path / "image")
