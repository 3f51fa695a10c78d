"""New work that is to replace finished work: done in `FOLDER.new`, until they change places.

A folder is finished once it holds its seal, a file that is written last. So at every moment, kills
included, what lies in the folder is one piece of work, the old or the new, never a mixture:

1. `locate` says where work is done: in the folder itself, or beside it where finished work lies.
2. `clear` makes the place free, and ends an exchange that a kill left half done.
3. `finish` lets the new folder take the old one's place. Files in it that are no part of such work
   are the user's, and are carried over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from textkit.errors import UsageError
from textkit.io.exchange import remove_folder, replace_folder, sweep


@dataclass(frozen=True)
class Stage:
    """A folder of work: seal is its last file, own are patterns of the names that belong to it."""

    folder: Path
    seal: str
    own: Sequence[str]

    @property
    def beside(self) -> Path:
        """Where work is done that is to replace this one."""
        return self.folder.with_name(self.folder.name + ".new")

    @property
    def is_finished(self) -> bool:
        """Tell whether finished work lies in the folder."""
        return (self.folder / self.seal).exists()

    @property
    def is_replaced(self) -> bool:
        """Tell whether work is under way that is to replace what lies in the folder."""
        return self.beside.is_dir() and not (self.beside / self.seal).exists()

    def locate(self, *, resume: bool) -> Path:
        """Say where the work is done; changes nothing."""
        return self.beside if (self.is_replaced if resume else self.is_finished) else self.folder

    def clear(self, *, resume: bool, overwrite: bool) -> None:
        """Refuse finished work, and work that could go on, unless `overwrite` lets them go."""
        for path in (self.folder, self.beside):
            sweep(path)
        if self.beside.is_dir() and not self.is_replaced:
            self._let_go()  # the old work of an exchange that was killed before its end
        if resume:
            return
        if self.is_replaced and not overwrite:
            raise UsageError(
                f"{self.beside} is to replace {self.folder} and is not over; go on with --resume,"
                " or begin anew with --overwrite"
            )
        remove_folder(self.beside)
        if self.is_finished and not overwrite:
            raise UsageError(
                f"{self.folder} holds finished work; choose another -o, or replace it with"
                " --overwrite"
            )

    def finish(self) -> None:
        """Let the new work take the place of the old, which goes."""
        if self.beside.is_dir():
            replace_folder(self.beside, self.folder)
            self._let_go()

    def _let_go(self) -> None:
        """Remove the old work; what is the user's goes to the new."""
        if not self.beside.is_dir():
            return
        for entry in sorted(self.beside.iterdir()):
            belongs = any(fnmatchcase(entry.name, pattern) for pattern in (*self.own, ".*"))
            if not belongs and not (self.folder / entry.name).exists():
                entry.rename(self.folder / entry.name)
        remove_folder(self.beside)
