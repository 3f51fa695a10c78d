"""Damaged files: each kind of damage that once left a reader by another way than a TextkitError,
and the campaign that looks for more (tests/campaigns/readers.py).
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.campaigns import targets
from textkit import tokenizers
from textkit.data.token_shards import TokenShards
from textkit.errors import ArtifactError, DataError, StorageError, TextkitError, UsageError
from textkit.io import files
from textkit.recipe import read_recipe
from textkit.tokenizers.counting import read_counts
from textkit.vectors import folder as folders

ROOT = Path(__file__).parents[1]
FACTS: dict[str, object] = {"kind": "word"}
HEADER = '{"format": 1, "kind": "word"}\n'


def campaign(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the campaign, with code that runs before it."""
    script = f"from tests.campaigns import readers\n{code}\nraise SystemExit(readers.main())"
    command = [sys.executable, "-c", script, *arguments]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.slow
def test_readers_meet_damage_with_one_line_or_numbers() -> None:
    names = ["tokenizer-word", "tokenizer-gpt2", "vectors-text", "vectors-model2vec", "recipe"]
    names += [
        "shards",
        "rows-csv",
        "rows-jsonl",
        "rows-xlsx",
        "counts",
        "predictions",
        "word-pairs",
    ]
    done = campaign("", *names, "--trials", "40")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(names)} readers, {40 * len(names)} trials" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("read", "counted"),
    [
        ("lambda path: {}['key']", "escape"),
        ("lambda path: os.abort()", "death"),
        ("lambda path: time.sleep(60)", "hang"),
        ("lambda path: bytearray(3 << 30)", "escape"),
        ("lambda path: [float('nan')]", "silent"),
        ("lambda path: 1", "silent"),
    ],
)
def test_the_campaign_counts_what_a_reader_does_wrong(read: str, counted: str) -> None:
    code = (
        "import os, time\nfrom tests.campaigns.targets import Target, written\n"
        "readers.HANG_SECONDS = 2.0\n"
        f"bad = {read}\n"
        "def reads(path):\n"
        "    return bad(path) if path.name == 'a' and path.read_bytes() != b'valid' else 1\n"
        "readers.TARGETS['bad'] = Target(written('a', 'valid'), reads, sealed=True)\n"
        "readers.damage_folder = lambda folder, random: (folder / 'a').write_bytes(b'x') and 'x'\n"
    )
    done = campaign(code, "bad", "--trials", "2")
    assert done.returncode == 1, done.stdout + done.stderr
    assert f"2 {counted}" in done.stdout


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5000, "seed = " + "1" * 5000, "a = {b = " * 2000, "seed = \udcff", "\0"],
)
def test_a_recipe_that_is_no_toml_is_one_line(text: str) -> None:
    Path("r.toml").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=r"^r.toml: not valid TOML: "):
        read_recipe("r.toml")


@pytest.mark.parametrize("header", ["", "[" * 100_000, "[]", "3", '"a"', "\udcff", "{", "null"])
def test_a_counts_file_without_its_header_is_refused(header: str) -> None:
    Path("x").write_bytes(f"{header}\n3\tx\n".encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"^x:1: "):
        read_counts([Path("x")], facts=FACTS)


@pytest.mark.parametrize(
    "line",
    [
        *("a", "3", '3 "a"', "3\ta", "3\t3", "3\tnull", '3\t["a"]', "3\t" + "[" * 100_000),
        *('0\t"a"', '-3\t"a"', '1.5\t"a"', f'{"9" * 30}\t"a"', f'{"9" * 5000}\t"a"'),
        '3\t"\udcff"',  # UTF-8 is read by the block, so the line said is its first
    ],
)
def test_a_line_that_is_no_count_is_refused(line: str) -> None:
    text = f'{HEADER}2\t"a"\n{line}\n'
    Path("x").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DataError, match=r"^x:[13]: (expected count|not a counts)"):
        list(read_counts([Path("x")], facts=FACTS))


def test_counts_out_of_order_are_refused() -> None:
    """Merging counts relies on it: a piece would come twice, each time with a part of its count."""
    Path("x").write_text(f'{HEADER}2\t"b"\n2\t"a"\n', encoding="utf-8")
    with pytest.raises(DataError, match=r"^x:3: 'a' stands behind 'b'"):
        list(read_counts([Path("x")], facts=FACTS))


@pytest.mark.parametrize("code", [["F32"], {}, None, 3, "F8_E4M3", "f32", ""])
def test_a_dtype_that_is_none_is_refused(code: object) -> None:
    header = {"vectors": {"dtype": code, "shape": [1], "data_offsets": [0, 4]}}
    data = json.dumps(header).encode()
    Path("x").write_bytes(len(data).to_bytes(8, "little") + data + bytes(4))
    with pytest.raises(ArtifactError, match=r"^x: unknown dtype of tensor 'vectors'"):
        folders.map_safetensors("x")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@pytest.mark.parametrize(
    "damage", [lambda table: table[:9], lambda table: b"\xff" * 40, lambda table: b"\1" + table]
)
def test_a_damaged_table_of_characters_is_refused(
    kind: str, damage: Callable[[bytes], bytes]
) -> None:
    from sentencepiece import sentencepiece_model_pb2 as sentencepiece_model

    model = sentencepiece_model.ModelProto()
    path = targets.sentencepiece(kind)(Path())
    model.ParseFromString(path.read_bytes())
    model.normalizer_spec.precompiled_charsmap = damage(model.normalizer_spec.precompiled_charsmap)
    path.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=r"^spm.model: "):
        tokenizers.load(path)


@pytest.mark.slow
@pytest.mark.parametrize(
    "values",
    [
        {"classifier_dropout": "a"},
        {"hidden_size": "8"},
        {"hidden_size": None},
        {"num_attention_heads": 0},
        {"num_attention_heads": 3},
        {"hidden_act": "os:system"},
        {"layer_norm_eps": [1]},
        {"max_position_embeddings": -1},
    ],
)
def test_a_config_of_transformers_with_odd_values_is_one_line(values: dict[str, Any]) -> None:
    from textkit import TextEmbedder

    path = targets.make_sentence_folder(Path())
    config = json.loads((path / "config.json").read_text(encoding="utf-8"))
    (path / "config.json").write_text(json.dumps(config | values), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^sentences: ") as caught:
        TextEmbedder.open(path)
    assert "\n" not in str(caught.value)


def build_shards() -> Path:
    rows = [("a b", "x"), ("b", "y"), ("a", "x"), ("c a", "z")]
    words = tokenizers.train("word", ["a b c"])
    return TokenShards.build(rows, words, cache="cache").folder


def change_shards(name: str, data: bytes) -> Path:
    """Put other bytes in the place of a column, and seal the folder anew."""
    folder = build_shards()
    manifest = files.read_json(folder / "manifest.json")
    (folder / name).write_bytes(data)
    facts = {key: manifest[key] for key in ("n_truncated", "n_replaced", "notes")}
    files.write_manifest(folder, kind="token-shards", format=1, facts=facts)
    return folder


def npy(values: Any, dtype: str) -> bytes:
    data = io.BytesIO()
    np.save(data, np.array(values, dtype), allow_pickle=True)
    return data.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("ids.npy", b""),
        ("ids.npy", b"x" * 80),
        ("ids.npy", npy([1, 2], "<i4")[:-1]),
        ("ids.npy", npy([1, 2], "<i4").replace(b"}", b"{")),
        ("ids.npy", npy([1, 2], "<i4").replace(b"False", b"[[[[[")),
        ("ids.npy", npy([1, 2], "<i4").replace(b"(2,)", b"(9**9**9,)")),
        ("ids.npy", npy([{}, {}], "O")),
        ("ids.npy", npy(["a", "b"], "<U1")),
        ("ids.npy", npy([2, 3, 3, 2, 4, 2], "<i8")),
        ("ids.npy", npy([2, 3, 3, 2, -4, 2], "<i4")),
        ("ids.npy", npy([[2, 3, 3, 2, 4, 2]], "<i4")),
        ("offsets.npy", npy([0, 2, 3, 4, 6], "<f8")),
        ("offsets.npy", npy([0, 2, 1, 4, 6], "<i8")),
        ("truncated.npy", npy([0, 0, 0], "<i4")),
        ("labels.npy", npy([0, 1, 0], "<i8")),
        ("labels.npy", npy([0, 1, 0, 3], "<i8")),
        ("labels.npy", npy([0, -1, 0, 2], "<i8")),
        ("labels.npy", npy([0, 1, float("nan"), 2], "<f4")),
        ("labels.npy", npy([[[0]], [[1]], [[0]], [[2]]], "<i8")),
        ("classes.json", b'{"x": 1}'),
        ("classes.json", b'["x", "x", "z"]'),
        ("classes.json", b'["x", 1, "z"]'),
        ("classes.json", b'[["x"], ["y"], ["z"]]'),
        ("classes.json", b'["x", null, "z"]'),
        ("classes.json", b"3"),
    ],
)
def test_token_shards_that_do_not_fit_together_are_refused(name: str, data: bytes) -> None:
    folder = change_shards(name, data)
    with pytest.raises(ArtifactError, match=str(folder)) as caught:
        TokenShards.open(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["ids.npy", "classes.json"])
def test_token_shards_without_a_file_are_refused(name: str) -> None:
    folder = change_shards(name, b"")
    (folder / name).unlink()
    files.write_manifest(
        folder,
        kind="token-shards",
        format=1,
        facts={"n_truncated": 0, "n_replaced": 0, "notes": []},
    )
    with pytest.raises(ArtifactError, match=f"{name}: file is missing"):
        TokenShards.open(folder)


def change_checkpoint(**values: object) -> Path:
    """Change the state of both checkpoints of a golden run, and seal them anew."""
    run = targets.golden("run-1")(Path())
    for folder in (run / "run" / "checkpoints").iterdir():
        state = files.read_json(folder / "state.json")
        files.write_json(folder / "state.json", state | values)
        files.write_manifest(folder, kind="checkpoint", format=1)
    return run


@pytest.mark.parametrize(
    "values",
    [
        {"epoch": None},
        {"epoch": "1"},
        {"steps": -1},
        {"steps": 1.5},
        {"tokens_seen": [1]},
        {"seconds": "a"},
        {"identity": None},
        {"identity": {"recipe": {}}},
        {"identity": {"recipe": [], "training rows": "a", "validation rows": "b"}},
        {"epochs": {}},
        {"epochs": [{}]},
        {"epochs": [[1]]},
        {"ended": 3},
        {"best": "1"},
        {"scaler": 1},
    ],
)
def test_a_checkpoint_with_an_odd_state_is_passed_over(values: dict[str, object]) -> None:
    from textkit.training.checkpoints import load_newest

    found, problems = load_newest(change_checkpoint(**values) / "run" / "checkpoints")
    assert found is None
    assert len(problems) == 2 and all("state.json: " in line for line in problems)


def test_a_checkpoint_that_holds_no_numbers_is_passed_over() -> None:
    import torch
    from safetensors.torch import load_file, save_file

    from textkit.training.checkpoints import load_newest

    folder = targets.golden("run-1")(Path()) / "run" / "checkpoints"
    newest = max(folder.iterdir())
    tensors = load_file(newest / "tensors.safetensors")
    name = next(name for name in tensors if name.startswith("network/"))
    tensors[name].view(-1)[0] = torch.nan
    save_file(tensors, newest / "tensors.safetensors")
    files.write_manifest(newest, kind="checkpoint", format=1)
    found, problems = load_newest(folder)
    assert found is not None and f"{name} holds NaN or infinity" in problems[0]


@pytest.mark.parametrize("data", ["[]", "{}", "3", '{"path": "a"}', '{"sha256": "a"}'])
def test_a_run_that_does_not_name_its_data_is_refused(data: str) -> None:
    from textkit.jobs import TrainOptions, train_run

    run = targets.golden("run-1")(Path())
    (run / "run" / "data.json").write_text(data, encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"data.json: it does not name the run's file and hash"):
        train_run(TrainOptions(data=run / "train.csv", out=run / "run", resume=True))


def test_a_file_name_that_no_file_can_have_is_one_that_is_missing() -> None:
    tokenizers.create("word").save("tok")
    manifest = json.loads(Path("tok/manifest.json").read_text(encoding="utf-8"))
    manifest["files"]["n" * 5000] = manifest["files"].pop("tokenizer.json")
    Path("tok/manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^tok/n{5000}: file is missing"):
        tokenizers.load("tok")


@pytest.mark.parametrize("effort", [2**70, -1, 0.5, True, None, "64"])
def test_an_index_with_an_odd_effort_is_searched_with_the_usual_one(effort: object) -> None:
    pytest.importorskip("usearch")
    folder = targets.make_index(Path())
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    files.write_json(folder / "config.json", {**config, "effort": effort})
    files.write_manifest(folder, kind="vectors index", format=1)
    assert targets.use_index(folder) == config["vectors"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("seconds", []), ("best", "x"), ("tokens_per_second", "x"), ("temperature", float("inf"))],
)
def test_a_damaged_report_of_a_run_is_refused(key: str, value: object) -> None:
    run = targets.make_report(Path())
    report = json.loads((run / "run.json").read_text(encoding="utf-8"))
    (run / "run.json").write_text(json.dumps({**report, key: value}), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"^run: report of a run cannot be read: "):
        targets.use_report(run)


@pytest.mark.parametrize("damage", [lambda counts: {}, lambda counts: {**counts, "n_tokens": 9}])
def test_a_part_whose_line_was_changed_is_made_again(
    damage: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    folder = targets.make_job(Path())
    log = folder / "out" / "_parts.jsonl"
    before = log.read_bytes()
    first, *others = map(json.loads, before.splitlines())
    lines = [{**first, "counts": damage(first["counts"])}, *others]
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (folder / "out" / "_manifest.json").unlink()
    assert targets.run_job(folder) == 4
    assert sorted(log.read_bytes().splitlines()) == sorted(before.splitlines())


def test_a_job_whose_own_files_are_odd_is_one_line() -> None:
    folder = targets.make_job(Path())
    log, job = folder / "out" / "_parts.jsonl", folder / "out" / "_job.json"
    whole = job.read_bytes()
    told = json.loads(whole)
    told["inputs"][0]["name"] = []
    files.write_json(job, told)
    with pytest.raises(TextkitError, match=r"^out"):
        targets.run_job(folder)
    log.unlink()
    log.mkdir()
    job.write_bytes(whole)
    with pytest.raises(StorageError, match=r"_parts\.jsonl: cannot read: Is a directory"):
        targets.run_job(folder)
