"""Golden folders: what an earlier version wrote opens today and gives what it gave then.

Floats are met to the bit where torch, numpy and the processor are those of the record, elsewhere
within 1e-4.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.golden import observations as seen
from tests.golden.commands import resume

FOLDERS = sorted(path.name for path in seen.GOLDEN.iterdir() if path.is_dir())


def folders(kind: str) -> list[str]:
    return [name for name in FOLDERS if name.startswith(f"{kind}-")]


def test_every_kind_of_folder_is_there() -> None:
    models = folders("model")
    assert {"model-1-lstm", "model-2-lstm", "model-2-bag-ngrams"} <= set(models)
    assert {"model-2-linear", "model-2-ensemble"} <= set(models)
    kinds = {name.split("-")[0] for name in FOLDERS}
    assert kinds == {"exported", "index", "model", "run", "shards", "tokenizer", "vectors"}
    for name in models:
        number = json.loads((seen.GOLDEN / name / "manifest.json").read_text())["format"]
        assert name.startswith(f"model-{number}-")


@pytest.mark.parametrize("name", folders("model"))
def test_a_model_predicts_what_it_did(name: str) -> None:
    seen.check(seen.see_model(seen.GOLDEN / name, seen.TEXTS), seen.read_record(name))


@pytest.mark.parametrize("name", folders("model"))
def test_a_model_saved_again_predicts_what_it_did(name: str) -> None:
    seen.TextClassifier.load(seen.GOLDEN / name).save("again")
    seen.check(seen.see_model(Path("again"), seen.TEXTS), seen.read_record(name))


@pytest.mark.parametrize("name", folders("exported"))
def test_an_exported_model_predicts_what_it_did(name: str) -> None:
    seen.check(seen.see_model(seen.GOLDEN / name, seen.TEXTS), seen.read_record(name))


@pytest.mark.parametrize("name", folders("index"))
def test_an_index_finds_what_it_did(name: str) -> None:
    seen.check(seen.see_index(seen.GOLDEN / name), seen.read_record(name))


@pytest.mark.parametrize("name", folders("vectors"))
def test_vectors_are_what_they_were(name: str) -> None:
    record = seen.read_record(name)
    words = [*record["values"]["words"][:4], "emperor"]
    seen.check(seen.see_vectors(seen.GOLDEN / name, words), record)


@pytest.mark.parametrize("name", folders("tokenizer"))
def test_a_tokenizer_gives_the_ids_and_spans_that_it_did(name: str) -> None:
    if name.endswith("spacy"):
        pytest.importorskip("spacy")
    seen.check(seen.see_tokenizer(seen.GOLDEN / name, seen.TEXTS), seen.read_record(name))


@pytest.mark.parametrize("name", folders("shards"))
def test_token_shards_hold_the_rows_that_they_did(name: str) -> None:
    seen.check(seen.see_shards(seen.GOLDEN / name), seen.read_record(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", folders("run"))
def test_a_stopped_run_goes_on_to_the_end_of_one_left_in_peace(name: str) -> None:
    shutil.copytree(seen.GOLDEN / name, "stopped")
    assert list(Path("stopped/run/checkpoints").iterdir())
    seen.check(resume(Path("stopped")), seen.read_record(name))


NEXT = (1.0 + 2**-52).hex()


@pytest.mark.parametrize(
    ("found", "recorded", "exact", "anywhere"),
    [
        ([(1.0).hex()], [(1.0).hex()], 0, 0),
        ([NEXT], [(1.0).hex()], 1, 0),
        ([(1.001).hex()], [(1.0).hex()], 1, 1),
        ([(-1.0).hex()], [(1.0).hex()], 1, 1),
        ([float("nan").hex()], [(1.0).hex()], 1, 1),
        ({"sha256": "a", "rows": [3]}, {"sha256": "b", "rows": [3]}, 1, 0),
        ({"sha256": "a", "rows": [3]}, {"sha256": "a", "rows": [4]}, 1, 1),
        ([1], [True], 1, 1),
        ([1, 2], [1], 1, 1),
        ({"a": 1}, {"b": 1}, 1, 1),
        (["word"], ["words"], 1, 1),
    ],
)
def test_the_comparison_sees_what_differs(
    found: Any,
    recorded: Any,
    exact: int,
    anywhere: int,
) -> None:
    assert len(seen.differences(found, recorded, exact=True)) == exact
    assert len(seen.differences(found, recorded, exact=False)) == anywhere
