"""What the description promises, kept: its examples are answered, and whatever stands in a field,
the answer is one that it lists.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.serve.calls import open_host, post, save_models
from textkit.serve import openapi
from textkit.serve.host import Host

# Each can do something that none before it can.
NAMES = ("bpe", "linear", "many", "vectors", "found")
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
)
VALUES = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=3), max_leaves=6)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = save_models(tmp_path_factory.mktemp("models"))
    host = open_host([str(folder / name) for name in NAMES])
    yield host
    host.close()


def example_of(path: str) -> dict[str, Any]:
    body = openapi.describe()["paths"][path]["post"]["requestBody"]
    return copy.deepcopy(body["content"]["application/json"]["example"])


@pytest.mark.parametrize("path", openapi.POSTS)
def test_every_example_is_answered(host: Host, path: str) -> None:
    asked = example_of(path)
    if path == "/v1/embeddings":
        asked["model"] = "vectors"
    assert post(host, path, asked).status_code == 200


@pytest.mark.parametrize("path", openapi.POSTS)
@given(data=st.data())
def test_whatever_stands_in_a_field_the_answer_is_one_that_is_listed(
    host: Host, path: str, data: st.DataObject
) -> None:
    described = openapi.describe()
    listed = described["paths"][path]["post"]["responses"]
    _, question, _ = openapi.POSTS[path]
    asked = example_of(path)
    field = data.draw(st.sampled_from(sorted(question.model_fields)))
    asked[field] = data.draw(VALUES)
    answer = post(host, path, asked)
    assert str(answer.status_code) in listed
    if answer.status_code != 200:
        assert set(answer.json()["error"]) == {"message", "type", "param", "code"}


def test_a_whole_number_may_have_a_point(host: Host) -> None:
    asked = {"model": "vectors", "texts": ["king"], "dimensions": 1.0}
    assert post(host, "/embed", asked).json()["dim"] == 1
    answer = post(host, "/embed", asked | {"dimensions": 1.5})
    assert answer.status_code == 422 and answer.json()["error"]["param"] == "dimensions"
    answer = post(host, "/embed", {"model": "vectors", "texts": [1.0]})
    assert answer.json()["error"]["param"] == "texts.0"
