"""Open vectors by what the file or folder holds, whatever its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from textkit import files
from textkit.embeddings.vectors import Vectors
from textkit.errors import ArtifactError

Progress = Callable[[int, int | None], None]


def open_spec(spec: str, *, cache: Path | None, progress: Progress | None) -> Vectors:
    """Open what a spec names; ArtifactError for what is not there or of no known format."""
    path = Path(spec)
    if path.is_dir() and (path / files.MANIFEST).exists():
        return Vectors.load(path)
    raise ArtifactError("no such vectors", where=spec)
