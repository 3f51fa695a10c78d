"""Normalisation options that every trainable kind shares, as a tokenizers normaliser.

In: a Unicode form, lower-casing, accent stripping. Out: the normaliser to put before the splitter.
Spans stay in the caller's own text whatever the normaliser changes: the engine keeps the alignment.
"""

from __future__ import annotations

from typing import Any

from tokenizers import normalizers

from textkit.errors import UsageError, unknown_name

FORMS = {
    "nfc": normalizers.NFC,
    "nfd": normalizers.NFD,
    "nfkc": normalizers.NFKC,
    "nfkd": normalizers.NFKD,
}


def make_normalizer(*, form: str | None, lowercase: bool, strip_accents: bool) -> Any:
    """Build the normaliser, or None when nothing is asked for.

    form: "nfc", "nfd", "nfkc" or "nfkd"; strip_accents removes combining marks after decomposition.

    >>> make_normalizer(form="nfkc", lowercase=True, strip_accents=True).normalize_str("Éﬁ")
    'efi'
    """
    if form is not None and form not in FORMS:
        raise UsageError(unknown_name("normal form", form, FORMS))
    steps: list[Any] = [] if form is None else [FORMS[form]()]
    if strip_accents:
        steps += [
            *([] if form in ("nfd", "nfkd") else [normalizers.NFD()]),
            normalizers.StripAccents(),
        ]
    if lowercase:
        steps.append(normalizers.Lowercase())
    if len(steps) > 1:
        return normalizers.Sequence(steps)
    return steps[0] if steps else None
