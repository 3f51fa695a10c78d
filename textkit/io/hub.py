"""The Hugging Face hub: `hf:NAME` names what lies there. This is the one place that asks the
network.

In: a name and the patterns of the files that are wanted. Out: the folder of the hub's own cache
that holds them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError, MissingExtraError

PREFIX = "hf:"


def fetch(
    name: str, *, patterns: Sequence[str], ignore: Sequence[str] = (), **options: Any
) -> Path:
    """Bring the files of a name into the hub's own cache, and give their folder.

    name: with or without `hf:`. patterns: globs of the files that are wanted; ignore: globs of
    those among them that are not. options: of the hub's client: `revision`, `token`, `cache_dir`,
    `local_files_only`, `force_download`. Raises ArtifactError where the hub does not give them, and
    MissingExtraError where its client is not installed.
    """
    place = f"{PREFIX}{name.removeprefix(PREFIX)}"
    try:
        import huggingface_hub
        from huggingface_hub.errors import (
            HfHubHTTPError,
            HFValidationError,
            LocalEntryNotFoundError,
        )
    except ImportError as err:
        raise MissingExtraError("huggingface_hub", needed_by=place, extra="transformers") from err
    try:
        folder = huggingface_hub.snapshot_download(
            place.removeprefix(PREFIX),
            allow_patterns=list(patterns),
            ignore_patterns=list(ignore) or None,
            **options,
        )
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as err:
        reason = " ".join(str(err).split())
        raise ArtifactError(f"cannot be had from the hub: {reason}", where=place) from err
    return Path(folder)
