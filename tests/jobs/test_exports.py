"""What `textkit.jobs` gives by name, and what that imports."""

from __future__ import annotations

import subprocess
import sys

import pytest

from textkit import jobs


@pytest.mark.parametrize("name", jobs.__all__)
def test_every_name_is_there(name: str) -> None:
    assert getattr(jobs, name) is not None
    assert name in dir(jobs)


def test_an_unknown_name_is_said() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'tokenise_corpus'"):
        jobs.tokenise_corpus  # noqa: B018 - the look-up is what is tested


def test_tokenizing_imports_no_torch() -> None:
    code = "import sys; from textkit.jobs import tokenize_corpus, embed_corpus, split_file; "
    code += "sys.exit(1 if {'torch', 'transformers', 'pyarrow.dataset'} & {*sys.modules} else 0)"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
