"""Make the golden folders and records that are missing, or write the golden lists of names anew.

    python scripts/make_golden.py names            the lists, when a name is meant to appear or go
    python scripts/make_golden.py all              every folder and record that is missing
    python scripts/make_golden.py model-lstm ...   some of them

They lie in tests/data/golden. A folder is named after the format number in its manifest, so a new
format adds folders beside the old ones, and what exists is never written again: later versions must
open it. To record values anew on purpose, remove a record first. Folders of an older format come
from an older version: check it out elsewhere and put it into PYTHONPATH.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from textkit import Vectors, tokenizers

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # after textkit, which may be an older one

from tests.golden import observations as seen  # noqa: E402
from tests.golden import trainings  # noqa: E402
from tests.golden.commands import BULK, RUN, bulk, environment, resume, shell  # noqa: E402

WORDS = ["king", "queen", "good", "bad", "film", "Ünder", "हिन्दी", "song", "walk", "tale"]
EXPORTED = ("lstm", "bag-ngrams", "ensemble")
COMPRESSED: dict[str, dict[str, Any]] = {
    "linear": {"rows": 40},
    "bag-ngrams": {"rows": 40},
    "ensemble": {},
}
KINDS: dict[str, dict[str, Any]] = {
    "word": {"lowercase": True},
    "bpe": {"size": 290},
    "wordpiece": {"size": 70},
    "unigram": {"size": 60},
    "char": {},
    "spacy": {},
}


def keep(
    folder: Path,
    kind: str,
    name: str,
    see: Callable[[Path], Any],
    *,
    manifest: str = "manifest.json",
) -> None:
    """Move a finished folder to its place and record what is seen of it; leave what is there."""
    number = json.loads(next(folder.glob(manifest)).read_text(encoding="utf-8"))["format"]
    place = f"{kind}-{number}-{name}".rstrip("-")
    if (seen.GOLDEN / place).exists():
        print(f"{place} is there")
        return
    shutil.move(folder, seen.GOLDEN / place)
    record(place, see(seen.GOLDEN / place))


def record(place: str, values: Any, **facts: Any) -> None:
    """Write a record; leave one that is there."""
    path = seen.GOLDEN / f"{place}.json"
    if path.exists():
        print(f"{path.name} is there")
        return
    whole = {"made_on": seen.machine(), **facts, "values": seen.plain(values)}
    path.write_text(json.dumps(whole, separators=(",", ":")) + "\n", encoding="utf-8")
    print(f"{place} made")


def make_model(name: str) -> None:
    trainings.train(name).save("model")
    keep(Path("model"), "model", name, partial(seen.see_model, texts=seen.TEXTS))


def make_exported(name: str) -> None:
    """Export a golden model."""
    from textkit.jobs.export import ExportOptions, export_model

    options = ExportOptions(model=seen.GOLDEN / f"model-2-{name}", out=Path("exported").resolve())
    export_model(options)
    keep(Path("exported"), "exported", name, partial(seen.see_model, texts=seen.TEXTS))


def make_compressed(name: str) -> None:
    """Compress a golden model: numbers of 8 bits and half of the rows or features."""
    from textkit.jobs.compress import CompressOptions, compress_model

    options = CompressOptions(
        model=seen.GOLDEN / f"model-2-{name}",
        out=Path("compressed").resolve(),
        **COMPRESSED[name],
    )
    compress_model(options)
    keep(Path("compressed"), "exported", f"small-{name}", partial(seen.see_model, texts=seen.TEXTS))


def make_index() -> None:
    from textkit.search.index import SearchIndex

    table = {"body": trainings.TEXTS, "tone": trainings.labels_for("single-label")}
    shutil.copytree(seen.VECTORS, seen.VECTORS.name)  # its own place would stand in the index
    SearchIndex.build(table, "index", model=seen.VECTORS.name, text="body", keep=["tone"])
    keep(Path("index"), "index", "", seen.see_index)


def make_vectors(dtype: str) -> None:
    table = np.random.default_rng(5).standard_normal((len(WORDS), 5)).astype(np.float32)
    Vectors(WORDS, table, source="golden").save("vectors", dtype=dtype)
    words = [*WORDS[:4], "emperor"]
    keep(Path("vectors"), "vectors", dtype, partial(seen.see_vectors, words=words))


def make_tokenizer(kind: str) -> None:
    texts = [*trainings.TEXTS, *seen.TEXTS[:5]]
    tokenizers.train(kind, texts, **KINDS[kind]).save("tokenizer")
    see = partial(seen.see_tokenizer, texts=seen.TEXTS)
    keep(Path("tokenizer"), "tokenizer", kind, see)


def make_shards() -> None:
    from textkit.data.token_shards import TokenShards

    rows = [(text, "even" if i % 2 == 0 else "odd") for i, text in enumerate(seen.TEXTS)]
    words = tokenizers.load(seen.GOLDEN / "tokenizer-1-word")
    built = TokenShards.build(rows, words, cache="cache", max_length=6)
    keep(built.folder, "shards", "", seen.see_shards)


def make_run() -> None:
    """Stop a run by a signal after some epochs; record the end of the same run left in peace."""
    pairs = zip(trainings.TEXTS, trainings.labels_for("single-label"), strict=True)
    rows = "".join(f"{text} {i % 7},{label}\n" for i, (text, label) in enumerate(pairs))
    for name in ("whole", "stopped"):
        Path(name).mkdir()
        Path(name, "train.csv").write_text("text,label\n" + rows, encoding="utf-8")
    shell("train", "train.csv", "-o", "run", *RUN, folder=Path("whole"))
    command = [sys.executable, "-m", "textkit", "train", "train.csv", "-o", "run", *RUN]
    process = subprocess.Popen(command, cwd="stopped", env=environment())  # noqa: S603
    metrics = Path("stopped/run/metrics.jsonl")
    while process.poll() is None:
        if metrics.is_file() and metrics.read_text().count("\n") >= 3:
            break
        time.sleep(0.005)
    process.send_signal(signal.SIGTERM)
    assert process.wait() == 128 + signal.SIGTERM, "the run was over before it could be stopped"
    Path("stopped/run/curves.png").unlink()
    shutil.copytree("stopped", "resumed")
    expected = seen.see_run(Path("whole/run"))
    assert seen.plain(resume(Path("resumed"))) == seen.plain(expected)
    manifest = "run/checkpoints/*/manifest.json"
    keep(Path("stopped"), "run", "", lambda folder: expected, manifest=manifest)


def make_trainings() -> None:
    values = {name: trainings.see_training(trainings.train(name)) for name in trainings.TRAININGS}
    values["bag-ngrams from a file"] = trainings.see_training(trainings.train_file("bag-ngrams"))
    record("trainings", values)


def make_bytes() -> None:
    values = {name: bulk(name, Path()) for name in BULK}
    record("bytes", values, pyarrow=seen.arrow_version())


def make_names() -> None:
    """Write the golden lists; unlike all else they are written anew."""
    from tests.golden.surface import LISTS

    for name, lines in LISTS.items():
        (seen.GOLDEN / name).write_text("".join(f"{line}\n" for line in lines()), encoding="utf-8")


MAKERS: dict[str, Callable[[], None]] = {
    **{f"tokenizer-{kind}": partial(make_tokenizer, kind) for kind in KINDS},
    **{f"vectors-{dtype}": partial(make_vectors, dtype) for dtype in ("float32", "int8")},
    **{f"model-{name}": partial(make_model, name) for name in trainings.MODELS},
    **{f"model-{name}": partial(make_model, name) for name in trainings.WHOLE_MODELS},
    **{f"exported-{name}": partial(make_exported, name) for name in EXPORTED},
    **{f"compressed-{name}": partial(make_compressed, name) for name in COMPRESSED},
    "index": make_index,
    "shards": make_shards,
    "run": make_run,
    "trainings": make_trainings,
    "bytes": make_bytes,
    "names": make_names,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", nargs="+", choices=["all", *MAKERS])
    asked = parser.parse_args().what
    seen.GOLDEN.mkdir(parents=True, exist_ok=True)
    missing = [name for name in MAKERS if name != "names"] if "all" in asked else []
    for name in [*missing, *(name for name in asked if name != "all")]:
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            MAKERS[name]()
            os.chdir(ROOT)


if __name__ == "__main__":
    main()
