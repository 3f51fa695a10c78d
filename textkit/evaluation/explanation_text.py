"""Explanations for a terminal: the text with its words in colour, and the numbers below it.

In: Explanations. Out: lines. Nothing of a text steers the terminal: what is not printable is
written as its escape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textkit.evaluation.confusion import shorten
from textkit.evaluation.explanations import (
    BASELINES,
    METHODS,
    Explanation,
    Faithfulness,
    TopWord,
)

# Backgrounds from faint to strong with an ink of their own, so that dark and light terminals show
# them alike: blue speaks for the label, orange against it.
_FOR = ("38;5;16;48;5;195", "38;5;16;48;5;153", "38;5;16;48;5;75", "38;5;231;48;5;26")
_AGAINST = ("38;5;16;48;5;230", "38;5;16;48;5;223", "38;5;16;48;5;215", "38;5;231;48;5;166")
# Words whose score is below this share of the largest stay without a colour.
FAINT = 0.08
_NAMED_WORDS = 8
_SHOWN_CHARACTERS = 2000
# Joiners stay: they make emoji and ligatures.
_KEPT = " \u200c\u200d\u3000"


def render_explanation(explanation: Explanation, *, colour: bool) -> str:
    """Write a text with its words in colour where `colour` says so, and what they are worth."""
    label = shorten(printable(str(explanation.label)), 60)
    sure = explanation.probability
    head = f"{label}  " + (
        f"{explanation.value:.6g}" if sure is None else f"probability {sure:.3f}"
    )
    if sure is not None and explanation.predicted != str(explanation.label):
        head += f"  (the model says {shorten(printable(explanation.predicted), 60)})"
    if explanation.truth is not None and explanation.truth != explanation.predicted:
        head += f"  (the row says {shorten(printable(explanation.truth), 60)})"
    lines = [head, f"  {_coloured(explanation, colour=colour)}"]
    order = sorted(explanation.words, key=lambda word: -abs(word.score))[:_NAMED_WORDS]
    named = [f"{word.score:+.3f} {printable(explanation.spell(word))}" for word in order]
    lines.append(f"  {'   '.join(named)}" if named else "  no words")
    lines.append(f"  {say_sum(explanation)}")
    flip = explanation.counterfactual
    if flip is not None:
        words = ", ".join(printable(explanation.spell(explanation.words[i])) for i in flip.words)
        said = shorten(printable(flip.label), 60) or "no label"
        lines.append(f"  without {len(flip.words)} of its words ({words}) it would be: {said}")
    return "\n".join(lines)


def say_sum(explanation: Explanation) -> str:
    """Say how the sum of the scores stands beside the logit gap, and what stands for nothing."""
    against = explanation.against and f" less that of {printable(shorten(explanation.against, 60))}"
    what = "number" if explanation.probability is None else "logit"
    said = (
        f"sum {explanation.total:+.4f}, {what} gap {explanation.gap:+.4f} ({what}{against}, from a"
        f" baseline: {BASELINES[explanation.method]})"
    )
    if explanation.method == "occlusion":
        said += "; what is lost without each word need not add up"
    return said


def say_method(explanation: Explanation) -> str:
    """Say how the words were scored.

    >>> METHODS["occlusion"]
    'what is lost without the word'
    """
    return f"{explanation.method}: {METHODS[explanation.method]}"


def render_tops(tops: Mapping[str, Sequence[TopWord]], *, n: int = 8) -> str:
    """List the words that speak most for each label, a line each."""
    width = max((len(shorten(printable(label), 24)) for label in tops), default=0)
    lines = []
    for label, words in tops.items():
        named = "  ".join(f"{printable(top.word)} {top.total:+.2f}" for top in words[:n])
        lines.append(f"  {shorten(printable(label), 24):{width}}  {named or 'none'}")
    return "\n".join(["words that speak most for each label, their scores added up:", *lines])


def render_faithfulness(measured: Faithfulness) -> str:
    """Say what taking the words away shows."""
    gain, low, high = measured.gain()
    return (
        f"faithfulness on {measured.n_texts:,} texts, mean probability of the label while its words"
        f" are taken away: {measured.area(measured.deletion):.3f}, in random order"
        f" {measured.area(measured.random_deletion):.3f}: lower by {gain:.3f} (95 %: {low:.3f} to"
        f" {high:.3f}); put in: {measured.area(measured.insertion):.3f}, in random order"
        f" {measured.area(measured.random_insertion):.3f}"
    )


def printable(text: str) -> str:
    r"""Write what would steer a terminal as its escape.

    >>> print(printable("a\x1b[1m\u202eb"))
    a\x1b[1m\u202eb
    """
    if text.isprintable():
        return text
    return "".join(
        char
        if char.isprintable() or char in _KEPT
        else (f"\\x{ord(char):02x}" if ord(char) < 256 else f"\\u{ord(char):04x}")
        for char in text
    )


def strength(explanation: Explanation) -> list[float]:
    """Give each word's share of the largest score, with its sign: from -1 to 1."""
    largest = max((abs(word.score) for word in explanation.words), default=0.0)
    return [word.score / largest if largest > 0 else 0.0 for word in explanation.words]


def _coloured(explanation: Explanation, *, colour: bool) -> str:
    """Write the text on one line; what is beyond its first 2,000 characters is said."""
    text, parts, position = explanation.text, list[str](), 0
    for word, share in zip(explanation.words, strength(explanation), strict=True):
        if word.end > _SHOWN_CHARACTERS:
            break
        parts.append(printable(text[position : word.start]))
        shown, position = printable(text[word.start : word.end]), word.end
        if colour and abs(share) >= FAINT:
            shades = _FOR if share > 0 else _AGAINST
            shade = shades[min(int(abs(share) * len(shades)), len(shades) - 1)]
            shown = f"\x1b[{shade}m{shown}\x1b[0m"
        parts.append(shown)
    left = len(text) - position
    if left > 0 and position < len(text.rstrip()):
        parts.append(f" ... ({left:,} more characters)")
    return "".join(parts)
