"""What the golden tests see of a folder, and how they compare it with what was recorded.

In: a golden folder, as some version of textkit wrote it. Out: JSON values: ids, spans, and floats
as `float.hex()` writes them, so that a record holds every bit. The script that made the records
(scripts/make_golden.py) and the tests look through the same functions, and both know public names
alone, but for token shards.

Floats differ in their last bits from one kind of processor to another, so a record says where it
was made: there it must be met to the bit, elsewhere within RELATIVE.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from textkit import TextClassifier, Vectors, tokenizers
from textkit.errors import UsageError
from textkit.search.index import SearchIndex

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
# What the golden index was made with.
VECTORS = GOLDEN / "vectors-1-float32"
RELATIVE, ABSOLUTE = 1e-4, 1e-5
TEXTS = [
    "good film",
    "A poor walk, a fine meal!",
    "",
    "unknown words only",
    "Don't stop: naïve हिन्दी 漢字 e\u0301 🙂\r\n  3.14",
    "bad plot and a long tail " * 20,
    "lone \ud800 surrogate [PAD] <s>",
    "song",
]


def machine() -> dict[str, str]:
    """Say what decides the last bits of a float: torch, numpy, and the very model of processor.

    Two models of one maker with the same instructions may still add in another order.
    """
    import torch

    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.is_file() else []
    said = dict([part.strip() for part in line.split(":", 1)] for line in lines if ":" in line)
    known = [said[key] for key in ("vendor_id", "cpu family", "model") if key in said]
    return {
        "torch": torch.__version__,
        "numpy": np.__version__,
        "cpu": torch.backends.cpu.get_cpu_capability(),
        "model": " ".join(known) or platform.machine(),
    }


def plain(value: Any) -> Any:
    """Turn arrays, tuples and floats into what JSON holds without loss.

    >>> plain({"a": (1, np.float32(0.5)), "b": np.array([[True, False]])})
    {'a': [1, '0x1.0000000000000p-1'], 'b': [[True, False]]}
    """
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return value.hex() if isinstance(value, float) else value


def differences(found: Any, recorded: Any, *, exact: bool, where: str = "") -> list[str]:
    """Name each place where plain values differ.

    Unless exact, floats may differ by RELATIVE, and hashes are not looked at.

    >>> differences({"a": [1, (0.1).hex()]}, {"a": [2, (0.2).hex()]}, exact=False)
    ['.a[0]: 1, recorded 2', '.a[1]: 0.1, recorded 0.2']
    """
    if isinstance(recorded, dict) and isinstance(found, dict) and found.keys() == recorded.keys():
        # Of weights there are a hash and, where it cannot be met, lengths; these depend on the
        # number of threads that add them up.
        other = "lengths" if exact and "sha256" in recorded else "" if exact else "sha256"
        keys = [key for key in recorded if key != other]
        pairs = [(f"{where}.{key}", found[key], recorded[key]) for key in keys]
    elif isinstance(recorded, list) and isinstance(found, list) and len(found) == len(recorded):
        both = zip(found, recorded, strict=True)
        pairs = [(f"{where}[{i}]", *values) for i, values in enumerate(both)]
    elif found == recorded and type(found) is type(recorded):
        return []
    elif is_hex(found) and is_hex(recorded):
        mine, theirs = float.fromhex(found), float.fromhex(recorded)
        if not exact and math.isclose(mine, theirs, rel_tol=RELATIVE, abs_tol=ABSOLUTE):
            return []
        return [f"{where}: {mine!r}, recorded {theirs!r}"]
    else:
        return [f"{where}: {found!r}, recorded {recorded!r}"]
    inner = (differences(*values, exact=exact, where=place) for place, *values in pairs)
    return [line for lines in inner for line in lines]


def is_hex(value: Any) -> bool:
    """Tell whether a plain value is a float."""
    return isinstance(value, str) and value.lstrip("-").startswith(("0x", "nan", "inf"))


def read_record(name: str) -> dict[str, Any]:
    """Read what was recorded under a name."""
    record: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text(encoding="utf-8"))
    return record


def check(found: Any, record: dict[str, Any]) -> None:
    """Fail with the first places where what is seen differs from what was recorded."""
    exact = record["made_on"] == machine()
    wrong = differences(plain(found), record["values"], exact=exact)
    manner = "to the bit" if exact else f"within {RELATIVE}"
    assert not wrong, f"{len(wrong)} values differ, compared {manner}: " + "; ".join(wrong[:5])


def see_model(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Look at what a model folder predicts for texts, an exported one as well; some models have no
    ids.
    """
    model = TextClassifier.load(folder)
    ids = None
    with contextlib.suppress(UsageError):
        ids = [row.tolist() for row in model.encode(texts)]
    seen = {
        "task": model.task_,
        "classes": model.classes_,
        "ids": ids,
        "logits": model.predict_logits(texts),
        "predicted": model.predict(texts),
    }
    if model.task_ != "regression":
        seen["probabilities"] = model.predict_proba(texts)
    return seen


def see_index(folder: Path) -> dict[str, Any]:
    """Ask a search index by words, by vectors and by both, and by its columns."""
    index = SearchIndex.open(folder, model=VECTORS)
    methods: list[Any] = ["bm25", "dense", "hybrid"]
    return {
        "columns": index.columns,
        "hits": [
            [hit.to_dict() for hit in index.query("a good film", k=4, method=method)]
            for method in methods
        ],
        "kept": [hit.to_dict() for hit in index.query("bad", k=4, where=["tone=neg"])],
    }


def see_vectors(folder: Path, words: list[str]) -> dict[str, Any]:
    """Look up words, known ones first and an unknown one last, and their neighbours."""
    vectors = Vectors.open(folder)
    known = [word for word in words if word in vectors]
    return {
        "words": list(vectors.words),
        "dtype": vectors.dtype,
        "rows": vectors.rows(words),
        "one": vectors[known[0]],
        "zero": vectors.lookup(words, "zero"),
        "mean": vectors.lookup(words, "mean"),
        "random": vectors.lookup(words, "random", seed=3),
        "nearest": vectors.nearest(known, k=3),
        "analogy": vectors.analogy(*known[:3], k=2),
    }


def see_tokenizer(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Encode texts in every manner, and decode the ids."""
    tokenizer = tokenizers.load(folder)
    batch = tokenizer.encode(texts, spans=True)
    windows = tokenizer.encode(texts, max_length=4, on_long="window", stride=3)
    special = None
    if tokenizer.kind != "spacy":
        special = tokenizer.encode(texts, allow_special=True).ids
    rows = [row.tolist() for row in batch]
    return {
        "kind": tokenizer.kind,
        "fingerprint": tokenizer.fingerprint,
        "vocabulary": tokenizer.vocabulary,
        "pad_id": tokenizer.pad_id,
        "unknown_id": tokenizer.unknown_id,
        "lossless": tokenizer.lossless,
        "ids": rows,
        "ids without spans": [row.tolist() for row in tokenizer.encode(texts)],
        "spans": [batch.row_spans(row) for row in range(len(texts))],
        "spans in bytes": tokenizer.encode(texts, spans=True, unit="byte").spans,
        "replaced": batch.n_replaced,
        "truncated": tokenizer.encode(texts, max_length=3).truncated,
        "windows": [[row.tolist() for row in windows], windows.sources],
        "special": special,
        "decoded": [tokenizer.decode(row) for row in rows],
        "normalized": [tokenizer.normalize(text) for text in texts if text.isprintable()],
    }


def see_shards(folder: Path) -> dict[str, Any]:
    """Read all rows of token shards, the last first."""
    from textkit.data.token_shards import TokenShards

    shards = TokenShards.open(folder)
    batch = shards.take(np.arange(len(shards))[::-1])
    return {
        "ids": [row.tolist() for row in batch],
        "truncated": batch.truncated,
        "lengths": shards.lengths,
        "labels": shards.labels,
        "classes": shards.classes,
        "counts": [len(shards), shards.n_truncated, shards.n_replaced],
        "notes": shards.notes,
    }


def see_weights(folder: Path) -> dict[str, Any]:
    """Give one hash of all weights of a model folder, and each one's length, for other machines."""
    from safetensors.numpy import load_file

    weights = sorted(load_file(folder / "model.safetensors").items())
    digest = hashlib.sha256()
    for name, value in weights:
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode() + value.tobytes())
    lengths = {name: float(np.linalg.norm(value.astype(np.float64))) for name, value in weights}
    return {"sha256": digest.hexdigest(), "lengths": lengths}


def see_run(run: Path) -> dict[str, Any]:
    """Look at what a finished run folder says of its training, and at its weights."""
    lines = (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return {"epochs": [json.loads(line) for line in lines], "weights": see_weights(run / "model")}


def see_parts(folder: Path) -> dict[str, Any]:
    """Give each part of a bulk job: the hash of its bytes and its rows."""
    from pyarrow import parquet

    seen: dict[str, Any] = {}
    for path in sorted(folder.glob("part-*")):
        if path.suffix == ".parquet":
            rows = parquet.read_table(path).to_pylist()
        elif path.suffix == ".npy":
            rows = np.load(path)
        else:
            rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        seen[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "rows": rows}
    return seen


def arrow_version() -> str:
    """Give the version that pyarrow writes into every Parquet file."""
    return version("pyarrow")
