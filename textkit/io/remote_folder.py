"""A folder of parts at a URL, written by a job as one of this machine is.

In: the URL. Out: its shadow, a folder here that holds its small files as they are and for each part
a hole of its size, so that a job is begun, taken up and sealed there as anywhere; what it writes is
sent on. A part is sent whole before its line is, the manifest last of all. There are no locks and
no exchange of folders between machines: two jobs must not write one URL, and `--overwrite` lets the
old work go before the new is there.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from textkit.errors import StorageError, TextkitError, UsageError
from textkit.io.bulk import JOB, MANIFEST, REJECTS
from textkit.io.part_log import LOG, PartFacts
from textkit.io.remote import list_folder, read_url, remove_url, send_file

_OWN = (JOB, LOG, REJECTS, MANIFEST, "index.json", "part-[0-9]*")
_SMALL = (JOB, LOG, REJECTS, MANIFEST)
# The lines of parts go out this often: a part whose line was not sent is made again.
_LOG_SECONDS = 5.0


class RemoteFolder:
    """The folder at `url`, with its shadow."""

    def __init__(self, url: str, shadow: Path) -> None:
        self.url, self.shadow = url.rstrip("/"), shadow
        self._sent_at = 0.0
        self.is_sealed = False

    def open(self, *, resume: bool, overwrite: bool) -> None:
        """Make the shadow; refuse a folder that holds what is neither taken up nor let go."""
        if overwrite and resume:
            raise UsageError("--resume goes on with a job, --overwrite begins anew; leave one out")
        sizes = list_folder(self.url)
        own = {name for name in sizes if any(fnmatchcase(name, pattern) for pattern in _OWN)}
        if not overwrite and not resume and sizes:
            if MANIFEST in sizes or JOB in sizes:
                held = "finished work" if MANIFEST in sizes else "a job that is not over"
                raise UsageError(
                    f"{self.url} holds {held}; go on with --resume, replace it with --overwrite, or"
                    " choose another -o"
                )
            raise StorageError(
                "folder is not empty and holds no job; choose another", where=self.url
            )
        for name in own if overwrite else ():
            remove_url(f"{self.url}/{name}")
        for name in () if overwrite else own:
            if name in _SMALL:
                (self.shadow / name).write_bytes(read_url(f"{self.url}/{name}"))
            else:
                self.add_hole(name, sizes[name])

    def add_hole(self, name: str, n_bytes: int) -> None:
        """Put a file of a part's size into the shadow, which takes no room."""
        with open(self.shadow / name, "wb") as file:
            file.truncate(n_bytes)

    def is_whole(self, facts: PartFacts, shadow: Path) -> bool:
        """Tell whether the folder had a part of this size; its bytes are not fetched."""
        file = shadow / facts.name
        return file.is_file() and file.stat().st_size == facts.n_bytes

    def add_part(self, facts: PartFacts) -> None:
        """Take in a part that was sent, and now and then send the job and the lines of the parts
        before it, so that it can be taken up.
        """
        self.add_hole(facts.name, facts.n_bytes)
        if not self._sent_at:
            self.send(JOB)
        if time.monotonic() - self._sent_at > _LOG_SECONDS:
            self.send(LOG)
            self._sent_at = time.monotonic()

    def send(self, name: str) -> None:
        """Send a small file as it is in the shadow, if it is there."""
        if (self.shadow / name).is_file():
            send_file(self.shadow / name, f"{self.url}/{name}")

    def seal(self) -> None:
        """Send what a finished job wrote beside its parts, the manifest last."""
        for name in (JOB, LOG, REJECTS, "index.json", MANIFEST):
            self.send(name)
        self.is_sealed = True


@contextmanager
def shadow_of(url: str, *, resume: bool, overwrite: bool) -> Iterator[RemoteFolder]:
    """Give the folder at a URL with its shadow, for a job; errors of the block name the URL.

    What is known of the job is sent when the block ends, however it does.
    """
    with tempfile.TemporaryDirectory(prefix="textkit-") as name:
        remote = RemoteFolder(url, Path(name))
        remote.open(resume=resume, overwrite=overwrite)
        try:
            yield remote
        except TextkitError as err:
            if name not in str(err):
                raise
            raise type(err)(str(err).replace(name, remote.url)) from err
        finally:
            if not remote.is_sealed:
                for file in (JOB, LOG):
                    remote.send(file)


@contextmanager
def sent_on(folder: Path, url: str | None) -> Iterator[Path]:
    """Give the folder to write a part in; where there is a URL, what the block wrote is sent
    there.
    """
    if url is None:
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="textkit-") as name:
        yield Path(name)
        for file in sorted(Path(name).iterdir()):
            send_file(file, f"{url}/{file.name}")
