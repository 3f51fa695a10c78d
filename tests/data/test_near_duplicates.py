"""Near duplicates: the estimate against the Jaccard index computed by hand, and what is found
against all pairs.
"""

from __future__ import annotations

import itertools

import numpy as np

from textkit.data.near_duplicates import MIN_PAIRS, alike, sign


def word_pairs(text: str) -> set[tuple[str, str]]:
    return set(itertools.pairwise(text.split()))


def jaccard(one: str, two: str) -> float:
    a, b = word_pairs(one), word_pairs(two)
    return len(a & b) / len(a | b)


def texts(seed: int) -> list[str]:
    """Thirty texts of 60 words, each followed by copies with more and more words replaced."""
    generator = np.random.default_rng(seed)
    made = []
    for _ in range(30):
        words = [f"w{n}" for n in generator.integers(0, 5000, size=60)]
        for n_changed in (0, 1, 2, 4, 8, 20):
            copy = list(words)
            for at in generator.choice(60, size=n_changed, replace=False):
                copy[at] = f"new{generator.integers(0, 5000)}"
            made.append(" ".join(copy))
    return made


def test_pairs_found_are_those_alike_and_the_estimate_is_near() -> None:
    made = texts(0)
    signatures, usable = sign(made)
    assert usable.all()
    pairs, likeness = alike(signatures, threshold=0.5)
    true = np.array([jaccard(made[a], made[b]) for a, b in pairs])
    assert np.abs(true - likeness).mean() < 0.06
    found = {(int(a), int(b)) for a, b in pairs}
    rows_alike = {
        b
        for a, b in itertools.combinations(range(len(made)), 2)
        if jaccard(made[a], made[b]) >= 0.85
    }
    assert rows_alike
    missed = rows_alike - {b for _, b in found}
    assert len(missed) <= 0.02 * len(rows_alike)
    assert all(jaccard(made[a], made[b]) > 0.25 for a, b in found)


def test_rows_do_not_depend_on_their_neighbours() -> None:
    made = ["", *texts(1)[:5], "x", "漢字仮名交じり文は語の間に空白を置かない", " "]
    together, usable = sign(made)
    for row, text in enumerate(made):
        alone, enough = sign([text])
        assert alone[0].tolist() == together[row].tolist()
        assert enough[0] == usable[row]
    assert usable.tolist() == [False, *[True] * 5, False, True, False]


def test_words_are_told_apart_by_the_order_of_their_letters_and_by_where_they_end() -> None:
    words = "abc cba ab cabc a bcab cbac b acb"
    signatures, _ = sign(
        [words + " z z", words.replace("ab cabc", "abc abc") + " z z", words + " z z"]
    )
    assert signatures[0].tolist() == signatures[2].tolist() != signatures[1].tolist()
    assert MIN_PAIRS < 10


def test_no_rows_and_no_words() -> None:
    assert alike(sign([])[0], threshold=0.8)[0].shape == (0, 2)
    assert not sign(["", "", ""])[1].any()
    assert sign([" "])[0].shape == (1, 48)


def test_a_bundle_of_many_equal_rows_costs_two_pairs_a_row() -> None:
    text = " ".join(f"word{n}" for n in range(20))
    pairs, likeness = alike(sign([text] * 500)[0], threshold=0.8)
    assert 499 <= len(pairs) <= 2 * 499
    assert set(pairs[:, 1].tolist()) == set(range(1, 500))
    assert (likeness == 1).all()
