"""What a teacher said of texts, kept in a folder, so that a training which goes on asks it no more.

In: a teacher, texts, and a folder. Out: its probabilities, or the numbers of a regression, those
that are kept from the folder. A file holds them in the order of the texts, with a hash of these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from textkit.batch import cut_rows
from textkit.classify.fitted import Fitted
from textkit.errors import UsageError
from textkit.io import files
from textkit.watch import Progress, Watch

FILE = "teacher-answers.safetensors"
# Texts that a teacher reads at a time.
_CHUNK_ROWS = 1024
# So many are asked again, to know a teacher by what it said; other threads and another batch
# change less than the tolerance.
_ASKED_AGAIN, _TOLERANCE = 16, 1e-3


def ask(
    teacher: Fitted | None,
    texts: Sequence[str],
    *,
    order: NDArray[np.int64] | None = None,
    folder: Path | None = None,
    watch: Watch = Watch(),
) -> NDArray[np.float32]:
    """Give what a teacher says of texts: (n_texts, n_classes) float32.

    order: of the teacher's columns. folder: where answers are kept, at sizes that double and at
    last; those that another teacher gave, or of other texts, count for nothing. Without a teacher
    all have to be there: UsageError says where they are not.
    """
    path = None if folder is None else folder / FILE
    said = _read(path, texts)
    if teacher is None:
        if said is None or len(said) < len(texts):
            raise UsageError(
                "what the teacher says of these texts is not kept whole; name it again:"
                " --teacher MODEL"
            )
        return said
    few = texts[:_ASKED_AGAIN]
    if said is None or not _is_close(_say(teacher, few, order), said[: len(few)]):
        n_outputs = len(teacher.classes) if order is None else len(order)
        said = np.zeros((0, n_outputs), np.float32)
    n_kept = len(said)
    parts = [said]
    done = n_kept
    for chunk in cut_rows(texts[n_kept:], n_rows=_CHUNK_ROWS):
        parts.append(_say(teacher, chunk, order))
        done += len(chunk)
        if path is not None and (done == len(texts) or done >= 2 * n_kept):
            _keep(path, texts, np.concatenate(parts))
            n_kept = done
        watch.progress(Progress("asking the teacher", done, len(texts), "texts"))
    return np.concatenate(parts)


def _say(
    teacher: Fitted, texts: Sequence[str], order: NDArray[np.int64] | None
) -> NDArray[np.float32]:
    is_numbers = teacher.task == "regression"
    said = teacher.logits(texts) if is_numbers else teacher.probabilities(texts)
    return np.asarray(said if order is None else said[:, order], dtype=np.float32)


def _is_close(new: NDArray[np.float32], kept: NDArray[np.float32]) -> bool:
    n_rows = min(len(new), len(kept))
    same_width = new.shape[1:] == kept.shape[1:]
    return same_width and np.allclose(new[:n_rows], kept[:n_rows], _TOLERANCE, _TOLERANCE)


def _hash(texts: Sequence[str]) -> NDArray[np.uint8]:
    digest = hashlib.sha256()
    for text in texts:
        data = text.encode("utf-8", "surrogatepass")
        digest.update(len(data).to_bytes(8, "little") + data)
    return np.frombuffer(digest.digest(), np.uint8)


def _keep(path: Path, texts: Sequence[str], said: NDArray[np.float32]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_bytes(path, save({"said": said, "texts": _hash(texts)}))


def _read(path: Path | None, texts: Sequence[str]) -> NDArray[np.float32] | None:
    """Read the answers for the first of the texts; None where there are none for these texts."""
    if path is None or not path.is_file():
        return None
    try:
        arrays = load_file(path)
        said, key = arrays["said"], arrays["texts"]
    except (SafetensorError, KeyError, OSError):
        return None
    is_of_these = key.tobytes() == _hash(texts).tobytes() and said.ndim == 2
    return said if is_of_these and len(said) <= len(texts) and np.isfinite(said).all() else None
