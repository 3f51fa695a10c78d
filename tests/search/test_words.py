"""The words by which texts are found: Unicode's, folded, and at their places in the text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from textkit.search.words import find_marked, find_places, find_terms

CASES = [
    ("The King's e-mail", ["the", "king", "e", "mail"]),
    ("KING’S Straße ﬁne", ["king", "strasse", "fine"]),
    ("a_b _ __ '", ["a_b"]),
    ("السَّلامُ عليكم", ["السلام", "عليكم"]),
    ("שָׁלוֹם", ["שלום"]),
    ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
    ("สวัสดี ดี", ["สวั", "วัส", "สดี", "ดี"]),
    ("自然语言。猫", ["自然", "然语", "语言", "猫"]),
    ("👩‍👩‍👧 🇩🇪 ❤️ ok", ["👩‍👩‍👧", "🇩🇪", "❤", "ok"]),
    ("\ud800 x", ["x"]),
    ("", []),
]


@pytest.mark.parametrize(("text", "terms"), CASES)
def test_terms_are_folded_words(text: str, terms: list[str]) -> None:
    assert find_terms(text) == terms


@given(
    st.text(st.characters() | st.sampled_from("aA'’sS_ .3自然ดี\u0e31\u064b\u200d🙂"), max_size=30)
)
def test_places_are_of_the_same_terms_and_lie_in_the_text(text: str) -> None:
    places = list(find_places(text))
    assert [place.term for place in places] == find_terms(text)
    assert all(0 <= place.start < place.end <= len(text) for place in places)
    assert [p.start for p in places] == sorted(p.start for p in places)
    wanted = {place.term for place in places[::2]}
    assert find_marked(text, wanted) == [place for place in places if place.term in wanted]
