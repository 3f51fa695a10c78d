"""Files that are named by a URL, as `s3://bucket/a.csv`: found, told apart and read by fsspec.

In: names, also as a Path, which has lost a slash of theirs. Out: open binary files that can be
sought, lists of files, and what tells whether one has changed. Everything that goes wrong is an
OSError or a line that says what to install.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from textkit.errors import StorageError, UsageError, require

# A letter alone is a drive of Windows.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.*)", re.DOTALL)
_VERSION_KEYS = (
    "ETag",
    "etag",
    "md5Hash",
    "checksum",
    "mtime",
    "LastModified",
    "modified",
    "created",
)
_HERE = ("file", "local")  # schemes without a host
# Where what is written shows under its name when it is whole.
_WHOLE_WRITES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "memory")
_BLOCK_BYTES = 8 << 20

Result = TypeVar("Result")


def url_of(path: str | Path) -> str | None:
    """Give the URL that a name is, None for a file of this machine.

    Of what a Path has lost of `hdfs:///a.csv` only the host's place is not known again: name it.

    >>> url_of(Path("s3://bucket/a.csv")), url_of("a.csv"), url_of("hf:ann/reviews")
    ('s3://bucket/a.csv', None, None)
    """
    found = _URL.fullmatch(str(path))
    if found is None or "://" in str(path):
        return None if found is None else str(path)
    return f"{found[1]}:{'///' if found[1] in _HERE else '//'}{found[2]}"


def refuse_url(path: str | Path) -> None:
    """Raise UsageError for a place to write that is a URL, where one of this machine is needed.

    >>> refuse_url("model")
    """
    url = url_of(path)
    if url is not None:
        raise UsageError(
            f"{url} cannot be written; parts of tokenize, embed and pack can be: name a place of"
            " this machine here"
        )


def open_url(url: str) -> io.RawIOBase:
    """Open a file for reading; it is fetched as it is read."""
    system, place = _find(url)
    options: dict[str, Any] = {"block_size": _BLOCK_BYTES}
    return _Fetched(_ask(url, lambda: system.open(place, "rb", **options)))


def list_url(url: str) -> list[str]:
    """Give the files that a URL means, in order of name: those of a folder and all below it, those
    that a pattern of * and ? matches, or the one of that name.
    """
    system, place = _find(url)
    if any(mark in place for mark in "*?["):
        found = _ask(url, lambda: system.glob(place, detail=True))
        names = [name for name, facts in found.items() if facts["type"] == "file"]
        if not names:
            raise StorageError("no file matches", where=url)
    elif _ask(url, lambda: system.isfile(place)):
        return [url]
    else:
        names = _ask(url, lambda: system.find(place))
        if not names:
            raise StorageError("cannot open: No such file or directory", where=url)
    return sorted(system.unstrip_protocol(name) for name in names)


def describe_url(url: str) -> dict[str, object]:
    """Say the size of a file, and what changes when its bytes do, as far as its system tells."""
    system, place = _find(url)
    facts = _ask(url, lambda: system.info(place))
    version = next((facts[key] for key in _VERSION_KEYS if facts.get(key) is not None), None)
    return {"bytes": facts["size"], "version": None if version is None else str(version)}


def list_folder(url: str) -> dict[str, int]:
    """Give the files of a folder, not of those in it, with their sizes; none where it is not."""
    system, place = _find(url)
    system.invalidate_cache()
    if not _ask(url, lambda: system.isdir(place)):
        return {}
    found = _ask(url, lambda: system.ls(place, detail=True))
    return {
        str(facts["name"]).rpartition("/")[2]: int(facts["size"])
        for facts in found
        if facts["type"] == "file"
    }


def read_url(url: str) -> bytes:
    """Read a small file."""
    system, place = _find(url)
    return bytes(_ask(url, lambda: system.cat_file(place)))


def remove_url(url: str) -> None:
    """Remove a file."""
    system, place = _find(url)
    _ask(url, lambda: system.rm_file(place))


def send_file(file: Path, url: str) -> None:
    """Write a file of this machine there, so that a name is a file that is whole."""
    system, place = _find(url)
    parent, _, name = place.rpartition("/")
    _ask(url, lambda: system.makedirs(parent, exist_ok=True))
    if url.partition(":")[0] in _WHOLE_WRITES:
        _ask(url, lambda: system.put_file(str(file), place))
        return
    hidden = f"{parent}/.{name}.part"
    _ask(url, lambda: system.put_file(str(file), hidden))
    _ask(url, lambda: system.mv(hidden, place))


def _find(url: str) -> tuple[Any, str]:
    """Give the file system of a URL, and the place in it."""
    scheme = url.partition(":")[0]
    require("fsspec", needed_by=f"{scheme}://")
    import fsspec

    try:
        found: tuple[Any, str] = fsspec.core.url_to_fs(url)
    except ImportError as err:
        raise UsageError(f"{scheme}:// needs a further package: {err}", where=url) from err
    except ValueError as err:
        raise UsageError(f"nothing is known of {scheme}://: {err}", where=url) from err
    except Exception as err:
        raise _storage_error(url, err) from err
    return found


def _ask(url: str, question: Callable[[], Result]) -> Result:
    try:
        return question()
    except Exception as err:
        raise _storage_error(url, err) from err


def _storage_error(url: str, err: Exception) -> StorageError:
    if isinstance(err, FileNotFoundError):
        return StorageError("cannot open: No such file or directory", where=url)
    reason = " ".join(str(err).split())[:200] or type(err).__name__
    return StorageError(f"cannot be reached: {reason}", where=url)


class _Fetched(io.RawIOBase):
    """A file of fsspec; whatever is wrong with it is an OSError."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = 0, /) -> int:
        return int(self._of(lambda: self.source.seek(offset, whence)))

    def tell(self) -> int:
        return int(self._of(self.source.tell))

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._of(lambda: self.source.read(len(buffer)))
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        self.source.close()
        super().close()

    def _of(self, question: Callable[[], Any]) -> Any:
        try:
            return question()
        except OSError:
            raise
        except Exception as err:
            raise OSError(f"{type(err).__name__}: {err}") from err
