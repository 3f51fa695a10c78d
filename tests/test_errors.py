"""The error family: exit codes, places, the nearest name."""

from __future__ import annotations

import pytest

from textkit import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.UsageError, 2),
        (errors.DataError, 3),
        (errors.ArtifactError, 4),
        (errors.StorageError, 5),
        (errors.LimitError, 6),
    ],
)
def test_exit_codes_are_the_documented_ones(kind: type[errors.TextkitError], code: int) -> None:
    error = kind("what", where="here")
    assert (error.exit_code, str(error), error.message, error.where) == (code, "here: what", "what", "here")
    assert isinstance(error, errors.TextkitError)


def test_missing_extra_says_what_to_install() -> None:
    error = errors.MissingExtraError("spaCy", needed_by="tokenizer 'spacy'", extra="spacy")
    assert str(error) == "spaCy is not installed, tokenizer 'spacy' needs it: pip install 'textkit-nlp[spacy]'"
    assert error.exit_code == 2


def test_a_far_name_gets_no_guess() -> None:
    assert errors.unknown_name("encoder", "zzzz", ["lstm"]) == "unknown encoder 'zzzz'; known: lstm"
