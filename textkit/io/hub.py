"""The Hugging Face hub: `hf:NAME` names what lies there, `hf:NAME@REVISION` one state of it. This
is the one place that asks the network.

In: a name and the patterns of the files that are wanted. Out: the folder of the hub's own cache
that holds them.
"""

from __future__ import annotations

import glob
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from textkit.errors import ArtifactError, MissingExtraError
from textkit.io import files

PREFIX = "hf:"
# What the hub's client takes beside a name to say which state of it, and from where.
OPTIONS = ("cache_dir", "force_download", "local_files_only", "revision", "token")


def is_name(place: str | Path) -> bool:
    """Tell whether a place is a name on the hub.

    >>> is_name("hf:user/reviews"), is_name(Path("hf:user/reviews")), is_name("reviews")
    (True, True, False)
    """
    return Path(place).as_posix().startswith(PREFIX)


def split_name(name: str | Path) -> tuple[str, str | None]:
    """Give the bare name and the revision that stands behind it.

    >>> split_name("hf:user/reviews@v1"), split_name("hf:user/reviews")
    (('user/reviews', 'v1'), ('user/reviews', None))
    """
    bare, _, revision = Path(name).as_posix().removeprefix(PREFIX).partition("@")
    return bare, revision or None


def fetch(
    name: str, *, patterns: Sequence[str], ignore: Sequence[str] = (), **options: Any
) -> Path:
    """Bring the files of a name into the hub's own cache, and give their folder.

    name: with or without `hf:` and `@REVISION`. patterns: globs of the files that are wanted;
    ignore: globs of those among them that are not. options: those of OPTIONS. Raises ArtifactError
    where the hub does not give them, and MissingExtraError where its client is not installed.
    """
    asked = {"allow_patterns": list(patterns), "ignore_patterns": list(ignore) or None}
    return Path(_ask("snapshot_download", name, options | asked))


def fetch_sealed(name: str, **options: Any) -> Path:
    """Bring a folder that textkit sealed into the cache: its manifest and the files which that
    names, no other; what is there already is not asked for again.

    The rest is as in `fetch`; also raises ArtifactError where there is no manifest. Whoever opens
    the folder checks the files against it.
    """
    file = Path(_ask("hf_hub_download", name, options | {"filename": files.MANIFEST}))
    return fill(file.parent, name, **options)


def fill(folder: Path, name: str, **options: Any) -> Path:
    """Bring the rest of a sealed folder of the cache: what its manifest names and is not there."""
    manifest = files.read_json(folder / files.MANIFEST)
    listed = manifest.get("files") if isinstance(manifest, dict) else None
    missing = [
        file
        for file in (listed if isinstance(listed, dict) else ())
        if not (folder / file).is_file()
    ]
    if not missing:
        return folder
    # The folder is called by its commit: the rest is of the same state as the manifest.
    options = {**options, "revision": folder.name}
    return fetch(split_name(name)[0], patterns=[glob.escape(file) for file in missing], **options)


def find_folder(place: str | Path) -> Path:
    """Give the sealed folder of a place: that of a name on the hub is fetched, any other place is
    given as it is.

    >>> find_folder("run/model").as_posix()
    'run/model'
    """
    return fetch_sealed(str(place)) if is_name(place) else Path(place)


def _ask(call: str, name: str, options: dict[str, Any]) -> str:
    """Call a function of the hub's client by a name, and say in one line why it gives nothing."""
    bare, revision = split_name(name)
    place = f"{PREFIX}{bare}" + (f"@{revision}" if revision else "")
    if revision:
        options = {**options, "revision": revision}
    require_client(needed_by=place)
    import huggingface_hub

    try:
        return str(getattr(huggingface_hub, call)(bare, **options))
    except failures() as err:
        reason = explain(err, options)
        raise ArtifactError(f"cannot be had from the hub: {reason}", where=place) from err


def require_client(*, needed_by: str) -> None:
    """Refuse to go on where the hub's client is missing; it comes with tokenizers, as a rule."""
    from importlib.util import find_spec

    if find_spec("huggingface_hub") is None:
        raise MissingExtraError("huggingface_hub", needed_by=needed_by, extra="transformers")


def failures() -> tuple[type[Exception], ...]:
    """Give what the hub's client raises: its own errors, those of the library that it asks with,
    and OSError.
    """
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError

    kinds = [kind for kind in HfHubHTTPError.__mro__ if issubclass(kind, Exception)]
    return (HFValidationError, *(kind for kind in kinds if kind is not Exception))


def explain(err: Exception, options: dict[str, Any]) -> str:
    """Say in one line why the hub's client failed, and what to do."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        EntryNotFoundError,
        GatedRepoError,
        HFValidationError,
        LocalEntryNotFoundError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    is_offline = constants.HF_HUB_OFFLINE or options.get("local_files_only")
    match err:
        case OfflineModeIsEnabled():
            return "HF_HUB_OFFLINE forbids asking it; unset it"
        case LocalEntryNotFoundError() if is_offline:
            return (
                "it is not in the cache, and HF_HUB_OFFLINE (local_files_only) forbids asking for"
                " it; fetch it once without"
            )
        case LocalEntryNotFoundError():
            return "the hub cannot be reached, and it is not in the cache; try again later"
        case GatedRepoError():
            return (
                "it is gated; accept its terms on its page, then give a token of yours in HF_TOKEN"
            )
        case RepositoryNotFoundError():
            return (
                "there is no such name, or it is private; check the spelling, or give a token of"
                " yours in HF_TOKEN"
            )
        case RevisionNotFoundError():
            return f"it has no revision '{options.get('revision')}'"
        case EntryNotFoundError() if options.get("filename") == files.MANIFEST:
            return f"it has no {files.MANIFEST}, so it is no model of textkit's"
        case HFValidationError():
            return f"this cannot be a name there; write {PREFIX}USER/NAME"
    return " ".join(str(err).split()) or type(err).__name__
