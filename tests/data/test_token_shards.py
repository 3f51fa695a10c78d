"""Token shards: the same rows as in memory, from every format; a cache that never lies.

Flat memory; kills.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from textkit import tokenizers
from textkit.data.batching import plan_batches
from textkit.data.targets import encode_labels, find_classes
from textkit.data.token_shards import TokenShards
from textkit.errors import DataError, StorageError, UsageError
from textkit.features.ngrams import HashedNgrams
from textkit.features.text_input import TextInput
from textkit.recipe import complete_recipe, make_recipe

ROOT = Path(__file__).parents[2]
ROWS = [
    ("the cat sat", "animal"),
    ("", "none"),
    ("a dog", "animal"),
    ("stocks fell again today", "money"),
]
WORDS = tokenizers.train("word", [text for text, _ in ROWS])
KEPT = np.array([0, 3], dtype=np.int32)


def write(name: str, rows: list[tuple[str, str]] = ROWS) -> str:
    path = Path(name)
    if name.endswith(".csv"):
        path.write_text(
            "text,label\n" + "".join(f"{text},{label}\n" for text, label in rows), encoding="utf-8"
        )
    elif name.endswith(".jsonl"):
        path.write_text(
            "".join(json.dumps({"text": t, "label": y}) + "\n" for t, y in rows), encoding="utf-8"
        )
    elif name.endswith(".txt"):
        path.write_text("".join(f"__label__{y} {t}\n" for t, y in rows), encoding="utf-8")
    else:
        table = pyarrow.table({"text": [t for t, _ in rows], "label": [y for _, y in rows]})
        if name.endswith(".parquet"):
            parquet.write_table(table, path)
        else:
            with pyarrow.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
    return name


def assert_rows(
    shards: TokenShards, rows: list[tuple[str, str]] = ROWS, max_length: int | None = None
) -> None:
    expected = WORDS.encode([text for text, _ in rows], max_length=max_length)
    found = shards.take(np.arange(len(shards)))
    assert found.ids.tolist() == expected.ids.tolist()
    assert found.offsets.tolist() == expected.offsets.tolist()
    assert found.truncated.tolist() == expected.truncated.tolist()
    assert shards.lengths.tolist() == expected.lengths.tolist()
    assert shards.classes[shards.labels].tolist() == [label for _, label in rows]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.txt", "a.parquet", "a.arrow"])
def test_rows_are_those_of_memory_in_every_format(name: str) -> None:
    shards = TokenShards.build(write(name), WORDS, cache="cache", max_length=3)
    assert_rows(shards, max_length=3)
    assert shards.classes.tolist() == ["animal", "money", "none"]
    assert shards.n_truncated == 1
    assert not shards.from_cache


def test_several_files_are_one_table_in_order_of_name() -> None:
    Path("parts").mkdir()
    write("parts/b.csv", ROWS[2:])
    write("parts/a.csv", ROWS[:2])
    assert_rows(TokenShards.build("parts", WORDS, cache="cache"))


def test_rows_in_memory_and_numpy_labels() -> None:
    shards = TokenShards.build([(t, np.str_(y)) for t, y in ROWS], WORDS, cache="cache")
    assert_rows(shards)
    numbers = TokenShards.build([("a", np.int64(7)), ("b", 3)], WORDS, cache="cache")
    assert (numbers.classes.tolist(), numbers.labels.tolist()) == ([3, 7], [1, 0])


def test_labels_may_be_numbers_or_none() -> None:
    Path("n.csv").write_text("text,label\na,0.5\nb,0\n", encoding="utf-8")
    assert TokenShards.build("n.csv", WORDS, cache="cache", task="regression").labels.tolist() == [
        [0.5],
        [0.0],
    ]
    none = TokenShards.build("n.csv", WORDS, cache="cache", task=None)
    assert none.labels is None and len(none) == 2
    assert TokenShards.build(
        [("a", 0)], WORDS, cache="cache", task="regression"
    ).labels.tolist() == [[0.0]]


def test_given_classes_keep_their_order_and_name_a_stranger() -> None:
    shards = TokenShards.build(
        write("a.csv"), WORDS, cache="cache", classes=["none", "money", "animal"]
    )
    assert shards.labels.tolist() == [2, 0, 2, 1]
    with pytest.raises(DataError, match=r"a\.csv:3: label 'none' is not among the 2 known classes"):
        TokenShards.build("a.csv", WORDS, cache="cache", classes=["money", "animal"])


@pytest.mark.parametrize(
    ("rows", "options", "message"),
    [
        ([("a", "x"), ("b", 1)], {}, "row 1: label 1 is a int, the first a str"),
        ([("a", "")], {}, "row 0: the label is empty"),
        ([("a", ["x", "y"])], {}, "row 0: the row has several labels; expected one"),
        (
            [("a", "x")],
            {"task": "regression"},
            "row 0: the label is 'x'; regression wants a",
        ),
        ([("a", "nan")], {"task": "regression"}, "wants a finite number"),
        ([("a", None)], {"task": "regression"}, "row 0: the label is missing"),
        ([("a", "b", "c")], {}, "expected a text, or"),
        ([3], {}, "expected a text, or"),
        (iter(["a"]), {}, "found an iterator"),
        (["a"], {"task": "klass"}, "expected 'single-label'"),
        ([("a", "x")], {"classes": ["x", "x"]}, "same class twice"),
    ],
)
def test_wrong_rows_and_options_say_so(rows: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises((DataError, UsageError), match=message):
        TokenShards.build(rows, WORDS, cache="cache", **options)
    assert not list(Path("cache").glob("[!.]*")) and not list(Path("cache").glob("*.part"))


def test_no_rows_and_empty_rows() -> None:
    none = TokenShards.build([], WORDS, cache="cache")
    assert len(none) == 0 and none.lengths.tolist() == [] and none.take([]).ids.tolist() == []
    empty = TokenShards.build([("", "x"), ("", "y")], WORDS, cache="cache")
    assert empty.take([1, 0]).lengths.tolist() == [0, 0]


def test_cache_is_found_again_and_keyed_by_all_that_matters() -> None:
    write("a.csv")
    first = TokenShards.build("a.csv", WORDS, cache="cache")
    assert TokenShards.build("a.csv", WORDS, cache="cache").from_cache
    others = [
        TokenShards.build("a.csv", WORDS, cache="cache", max_length=2),
        TokenShards.build("a.csv", tokenizers.train("word", ["other words"]), cache="cache"),
        TokenShards.build("a.csv", HashedNgrams(WORDS, buckets=10), cache="cache"),
        TokenShards.build("a.csv", HashedNgrams(WORDS, buckets=11), cache="cache"),
        TokenShards.build("a.csv", HashedNgrams(WORDS, buckets=11, kept=KEPT), cache="cache"),
        TokenShards.build("a.csv", WORDS, cache="cache", classes=["animal", "money", "none"]),
        TokenShards.build(
            "a.csv", WORDS, cache="cache", text_column="label", label_column="text", task=None
        ),
    ]
    assert not any(other.from_cache for other in others)
    assert len({first.folder, *(other.folder for other in others)}) == 8


def test_changed_bytes_of_the_same_size_and_time_are_not_served_from_the_cache() -> None:
    before = Path(write("a.csv")).stat()
    TokenShards.build("a.csv", WORDS, cache="cache")
    data = Path("a.csv").read_bytes().replace(b"the cat", b"the dog")
    Path("a.csv").write_bytes(data)
    os.utime("a.csv", ns=(before.st_atime_ns, before.st_mtime_ns))
    after = Path("a.csv").stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    shards = TokenShards.build("a.csv", WORDS, cache="cache")
    assert not shards.from_cache
    assert_rows(shards, [("the dog sat", "animal"), *ROWS[1:]])


def test_data_that_changes_while_it_is_read_is_refused() -> None:
    write("a.csv")

    def change(n_rows: int) -> None:
        write("a.csv", ROWS[:3])

    with pytest.raises(StorageError, match="changed while"):
        TokenShards.build("a.csv", WORDS, cache="cache", progress=change)
    assert not list(Path("cache").glob("a.csv-*"))


@pytest.mark.parametrize(
    "name", ["ids.npy", "offsets.npy", "labels.npy", "classes.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damaged_cache_is_made_anew_and_said(name: str, damage: str) -> None:
    folder = TokenShards.build(write("a.csv"), WORDS, cache="cache").folder
    data = bytearray((folder / name).read_bytes())
    if damage == "remove" and name == "manifest.json":
        pytest.skip("a folder without a manifest is another test")
    data[-3] ^= 1
    (folder / name).unlink()
    if damage != "remove":
        (folder / name).write_bytes(bytes(data) if damage == "flip" else bytes(data[:-4]))
    shards = TokenShards.build("a.csv", WORDS, cache="cache")
    assert not shards.from_cache
    assert "tokenized anew" in shards.notes[0]
    assert_rows(shards)


def test_ngrams_are_those_of_memory() -> None:
    source = HashedNgrams(WORDS, minn=2, maxn=3, word_ngrams=2, buckets=50)
    shards = TokenShards.build(ROWS, replace(source, max_length=20), cache="cache")
    expected = source.encode([text for text, _ in ROWS]).truncate(20)
    assert shards.take(np.arange(4)).ids.tolist() == expected.ids.tolist()
    assert shards.n_truncated == int((expected.truncated > 0).sum()) > 0


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.tuples(st.text("ab ", max_size=9), st.sampled_from("xyz")), max_size=12),
    st.randoms(),
)
def test_take_equals_a_batch_in_memory(rows: list[tuple[str, str]], random: Any) -> None:
    shards = TokenShards.build(rows, WORDS, cache="cache")
    memory = WORDS.encode([text for text, _ in rows])
    wanted = [random.randrange(len(rows)) for _ in range(7)] if rows else []
    assert [row.tolist() for row in shards.take(wanted)] == [
        row.tolist() for row in memory.take(wanted)
    ]
    plan = plan_batches(shards.lengths, batch_size=3, seed=1, epoch=1)
    assert sorted(row for batch in plan for row in batch.tolist()) == list(range(len(rows)))


MEASURE = """
import re, sys
from textkit import tokenizers
from textkit.data.token_shards import TokenShards
shards = TokenShards.build(sys.argv[1], tokenizers.load("tok"), cache="cache", task=None)
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]
# ru_maxrss would be the parent's
print(peak, len(shards.tokens.ids))
"""


def run(code: str, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_memory_is_flat_whatever_the_size_of_the_data() -> None:
    WORDS.save("tok")
    line = "the cat sat again today a dog fell " * 12 + "\n"
    for name, n_rows in (("small.txt", 20_000), ("large.txt", 120_000)):
        Path(name).write_text(line * n_rows, encoding="utf-8")
    small, large = (
        [int(n) for n in run(MEASURE, name).split()] for name in ("small.txt", "large.txt")
    )
    ids_kilobytes = 4 * (large[1] - small[1]) // 1024
    assert ids_kilobytes > 35_000
    assert (
        large[0] - small[0] < 12_000
    )  # mapped pages of ids, read for their hash, are none of ours; rows cost 24 bytes


KILLED = """
import os, signal, sys
from textkit import tokenizers
from textkit.data.token_shards import TokenShards
def stop(n_rows):
    if n_rows > 5000:
        os.kill(os.getpid(), signal.SIGKILL)
TokenShards.build("a.txt", tokenizers.load("tok"), cache="cache", task=None, progress=stop)
"""


def test_killed_build_leaves_no_cache_and_its_rest_is_cleared() -> None:
    WORDS.save("tok")
    Path("a.txt").write_text("the cat sat\n" * 10_000, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", KILLED], env=environment)
    assert done.returncode == -signal.SIGKILL
    assert list(Path("cache").glob(".*.part")) and not list(Path("cache").glob("a.txt-*"))
    shards = TokenShards.build("a.txt", tokenizers.load("tok"), cache="cache", task=None)
    assert len(shards) == 10_000 and not shards.from_cache
    assert not list(Path("cache").glob(".*.part"))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads Linux's /proc")
def test_two_processes_build_once() -> None:
    WORDS.save("tok")
    Path("a.txt").write_text("the cat sat\n" * 30_000, encoding="utf-8")
    code = MEASURE + "print(shards.from_cache)"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", code, "a.txt"]
    both = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate()[0].split()[-1] for process in both]
    assert sorted(said) == ["False", "True"]


@pytest.mark.parametrize(
    ("task", "labels"),
    [
        ("single-label", ["b", "a", "b", "c"]),
        ("single-label", [3, 1, 3, 2]),
        ("multi-label", [["b", "a"], [], ["c"], ["a", "b"]]),
        ("regression", [1.5, -2, 0, 3]),
        ("regression", [[1, 2], [3, 4], [5, 6], [7, 8.5]]),
    ],
)
def test_labels_are_the_targets_that_training_makes(task: Any, labels: list[Any]) -> None:
    classes = find_classes(task, labels)
    shards = TokenShards.build(
        list(zip("abcd", labels, strict=True)), WORDS, cache="cache", task=task
    )
    expected = encode_labels(task, labels, classes)
    assert shards.classes.tolist() == classes.tolist()
    assert shards.labels.tolist() == expected.tolist()
    assert shards.labels.dtype == expected.dtype
    again = TokenShards.build(
        [("a", labels[1])], WORDS, cache="cache", task=task, classes=classes.tolist()
    )
    assert again.labels.tolist() == expected[1:2].tolist()
    none = TokenShards.build([], WORDS, cache="cache", task=task, classes=classes.tolist())
    assert len(none.labels) == 0


def test_labels_with_a_separator_and_lists_in_files_are_the_same() -> None:
    Path("a.csv").write_text("text,label\na,y;x\nb,\nc,z\n", encoding="utf-8")
    Path("a.jsonl").write_text(
        '{"text": "a", "label": ["y", "x"]}\n{"text": "b", "label": []}\n{"text": "c", "label":'
        ' ["z"]}\n',
        encoding="utf-8",
    )
    for name, separator in (("a.csv", ";"), ("a.jsonl", None)):
        shards = TokenShards.build(
            name, WORDS, cache="cache", task="multi-label", separator=separator
        )
        assert shards.classes.tolist() == ["x", "y", "z"]
        assert shards.labels.tolist() == [[1, 1, 0], [0, 0, 0], [0, 0, 1]]
    with pytest.raises(DataError, match=r"a\.jsonl:1: the row has several labels"):
        TokenShards.build("a.jsonl", WORDS, cache="cache")
    Path("n.jsonl").write_text(
        '{"text": "a", "label": [1, 2]}\n{"text": "b", "label": [1]}\n', encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"n\.jsonl:2: the label has 1 numbers, expected 2"):
        TokenShards.build("n.jsonl", WORDS, cache="cache", task="regression")


def test_a_classifiers_input_gives_its_own_ids() -> None:
    recipe = make_recipe(encoder={"name": "bag"}, ngrams={"minn": 2, "maxn": 3, "buckets": 50})
    for made in (TextInput(WORDS, 2), TextInput(WORDS, 3), TextInput.make(recipe, WORDS)):
        shards = TokenShards.build(ROWS, made, cache="cache")
        assert not shards.from_cache
        expected = made.encode([text for text, _ in ROWS])
        assert shards.ids.tolist() == expected.ids.tolist()
        assert shards.offsets.tolist() == expected.offsets.tolist()
    with pytest.raises(UsageError, match="max_length of its own"):
        TokenShards.build(ROWS, TextInput(WORDS, 2), cache="cache", max_length=3)


@pytest.mark.slow
def test_training_on_shards_gives_the_same_weights_as_in_memory() -> None:
    torch = pytest.importorskip("torch")
    from textkit.classify.network_model import make_network
    from textkit.training.examples import Examples
    from textkit.training.loop import train_network
    from textkit.watch import Watch

    recipe = complete_recipe(
        make_recipe(
            encoder={"name": "gru", "dim": 4},
            embedding={"dim": 4},
            training={"epochs": 2, "device": "cpu"},
        )
    )
    rows = [(text, label) for text, label in ROWS if label != "none"] * 6
    made = TextInput.make(recipe, WORDS)
    shards = TokenShards.build(rows, made, cache="cache")
    memory = Examples(made.encode([text for text, _ in rows]), np.array(shards.labels))
    mapped = Examples(shards, shards.labels)  # type: ignore[arg-type]
    assert memory.fingerprint() == mapped.fingerprint()
    weights = []
    for examples in (memory, mapped):
        torch.manual_seed(0)
        network = make_network(recipe, made, n_outputs=2)
        train_network(network, examples, examples, recipe, watch=Watch())
        weights.append(network.state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
