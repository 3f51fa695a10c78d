"""The page of explanations: texts with their words in colour, the words of each label, and whether
the words that are named are those that count.

In: Explanations and what was measured of them. Out: one HTML page that needs no other file. Every
text and label is escaped, and stands in its own direction of writing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from textkit.evaluation.confusion import shorten
from textkit.evaluation.explanation_text import FAINT, say_method, say_sum, strength
from textkit.evaluation.explanations import Explanation, Faithfulness, TopWord
from textkit.evaluation.page import bar_cell, name_cell, table, write_page

_SHOWN_CHARACTERS = 20_000
_SHOWN_LABELS = 100


def write_explanations(
    path: str | Path,
    explanations: Sequence[Explanation],
    *,
    title: str,
    subtitle: str = "",
    tops: Mapping[str, Sequence[TopWord]] = {},
    faithfulness: Faithfulness | None = None,
) -> None:
    """Write the page; tops and faithfulness have a section where there are several texts."""
    method = say_method(explanations[0]) if explanations else ""
    lines = [subtitle, method]
    sections = [
        faithfulness_section(faithfulness),
        tops_section(tops) if len(explanations) > 1 else "",
        texts_section(explanations),
    ]
    write_page(path, title, "; ".join(line for line in lines if line), sections)


def texts_section(explanations: Sequence[Explanation]) -> str:
    """Show the texts, one below the other."""
    legend = (
        '<p class="soft">A word on <span class="for" style="--w:60">blue</span> speaks for the'
        ' label, on <span class="against" style="--w:60">orange</span> against it, the stronger the'
        ' more; <span class="flip">without the underlined words</span> the label would be another'
        " one (found greedily: a smaller set may exist unless it is one word). Point at a word to"
        " see its score.</p>"
    )
    return "<h2>Texts</h2>" + legend + "".join(_text(each) for each in explanations)


def tops_section(tops: Mapping[str, Sequence[TopWord]]) -> str:
    """List the words of each label with bars."""
    if not tops:
        return ""
    blocks = []
    for label, words in list(tops.items())[:_SHOWN_LABELS]:
        largest = max((top.total for top in words), default=0.0) or 1.0
        rows = [
            [name_cell(top.word), _bar(top.total, top.total / largest), f"{top.n_texts:,}"]
            for top in words
        ]
        body = table(["word", "sum of scores", "texts"], rows) if rows else "<p>none</p>"
        blocks.append(f'<div><h3 dir="auto">{escape(shorten(label, 80))}</h3>{body}</div>')
    more = len(tops) - _SHOWN_LABELS
    said = f"<p>and {more} more labels</p>" if more > 0 else ""
    return f'<h2>Words of each label</h2><div class="pair">{"".join(blocks)}</div>{said}'


def faithfulness_section(measured: Faithfulness | None) -> str:
    """Draw the curves of deletion and insertion beside those of random order."""
    if measured is None or not measured.n_texts:
        return ""
    gain, low, high = measured.gain()
    words = (
        f"<p>On {measured.n_texts:,} texts, words were taken away in the order of their scores, and"
        " the mean probability of the explained label was looked at. A faithful order makes it fall"
        f" sooner than a random one: the area under the curve is lower by <b>{gain:.3f}</b> (95 %"
        f" interval {low:.3f} to {high:.3f}).</p>"
    )
    charts = [
        _curves_svg(measured.shares.tolist(), own.mean(axis=0), other.mean(axis=0), name)
        for own, other, name in (
            (measured.deletion, measured.random_deletion, "words taken away"),
            (measured.insertion, measured.random_insertion, "words put in"),
        )
    ]
    return f'<h2>Faithfulness</h2>{words}<div class="pair">{"".join(charts)}</div>'


def _text(explanation: Explanation) -> str:
    """Show one text: what the model says, the words, the sum."""
    label = f"<b><bdi>{escape(shorten(str(explanation.label), 80))}</bdi></b>"
    head = [label]
    if explanation.probability is None:
        head.append(f"{explanation.value:.6g}")
    else:
        head.append(f"probability {explanation.probability:.3f}")
    if explanation.probability is not None and explanation.predicted != str(explanation.label):
        head.append(f"the model says <bdi>{escape(shorten(explanation.predicted, 80))}</bdi>")
    if explanation.truth is not None:
        same = explanation.truth == explanation.predicted
        said = "as the row says" if same else "the row says"
        shown = "" if same else f" <bdi>{escape(shorten(explanation.truth, 80))}</bdi>"
        head.append(said + shown)
    flip = explanation.counterfactual
    foot = [say_sum(explanation)]
    if flip is not None:
        foot.append(
            f"without {len(flip.words)} of its {len(explanation.words)} words it would be:"
            f" {shorten(flip.label, 80) or 'no label'}"
        )
    return (
        f'<div class="explained"><div>{", ".join(head)}</div>'
        f'<p class="words" dir="auto">{_words(explanation)}</p>'
        f'<div class="soft">{"<br>".join(escape(line) for line in foot)}</div></div>'
    )


def _words(explanation: Explanation) -> str:
    text, parts, position = explanation.text, list[str](), 0
    flipping = set(explanation.counterfactual.words if explanation.counterfactual else ())
    shares = strength(explanation)
    for i, (word, share) in enumerate(zip(explanation.words, shares, strict=True)):
        if word.end > _SHOWN_CHARACTERS:
            break
        parts.append(escape(text[position : word.start]))
        shown, position = escape(text[word.start : word.end]), word.end
        classes = [] if abs(share) < FAINT else ["for" if share > 0 else "against"]
        classes += ["flip"] if i in flipping else []
        weight = f' style="--w:{75 * abs(share):.0f}"' if abs(share) >= FAINT else ""
        kind = f' class="{" ".join(classes)}"' if classes else ""
        parts.append(f'<span{kind}{weight} title="{word.score:+.4f}">{shown}</span>')
    left = len(text) - position
    if position < len(text.rstrip()) and position:
        parts.append(f" ... ({left:,} more characters)")
    elif not position:
        parts.append(escape(text[:_SHOWN_CHARACTERS]) or "<i>no text</i>")
    return "".join(parts)


def _bar(value: float, share: float) -> str:
    return bar_cell(share).replace(f">{share:.3f}<", f">{value:+.2f}<")


def _curves_svg(
    shares: Sequence[float], own: Sequence[float], other: Sequence[float], x: str
) -> str:
    """Draw a curve in blue beside that of random order, dashed."""
    left, top, width, height = 64.0, 14.0, 360.0, 220.0

    def line(values: Sequence[float], kind: str) -> str:
        points = " ".join(
            f"{left + width * share:.1f},{top + height * (1 - value):.1f}"
            for share, value in zip(shares, values, strict=True)
        )
        return f'<polyline points="{points}" class="{kind}"/>'

    ticks = []
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        y = top + height * (1 - tick)
        ticks.append(
            f'<line x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}" class="grid"/>'
            f'<text x="{left - 8}" y="{y:.1f}" text-anchor="end" dominant-baseline="central">'
            f"{tick:.2f}</text>"
            f'<text x="{left + width * tick:.1f}" y="{top + height + 18}" text-anchor="middle">'
            f"{tick:.0%}</text>"
        )
    words = (
        f'<text x="{left + width / 2}" y="{top + height + 38}" text-anchor="middle">share of {x}'
        "</text>"
        f'<text transform="translate(12 {top + height / 2}) rotate(-90)" text-anchor="middle">'
        "mean probability</text>"
        f'<text x="{left + width - 6}" y="{top + 12}" text-anchor="end">blue: by score; dashed:'
        " random</text>"
    )
    return (
        f'<svg viewBox="0 0 {left + width + 16:.0f} {top + height + 46:.0f}"'
        f' width="{left + width + 16:.0f}" font-size="12" role="img" aria-label="{x}">'
        f"{''.join(ticks)}{line(other, 'curve random')}{line(own, 'curve own')}{words}</svg>"
    )
