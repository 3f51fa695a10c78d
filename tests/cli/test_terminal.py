"""What the files of others hold does not steer a terminal, nor run in a spreadsheet."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from tests.classify.test_opening import change_config, copy_golden
from tests.shell import run_textkit
from textkit.cli.errors import say, visible
from textkit.cli.output import Display, show_line, write_line
from textkit.jobs.predict import Prediction
from textkit.watch import Progress

STEERING = ["\x1b[31m", "\x1b]0;title\x07", "\x9b2J", "\x08", "\r", "\x7f", "\x00", "\x85"]
STEERING += ["\u202e", "\u2066", "\u200f", "\u061c", "\u2028"]


class Terminal(io.TextIOWrapper):
    """Standard output or standard error that is a terminal."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def isatty(self) -> bool:
        return True

    def sent(self) -> str:
        self.flush()
        data = self.buffer
        assert isinstance(data, io.BytesIO)
        return data.getvalue().decode()


@pytest.mark.parametrize("mark", STEERING)
def test_what_steers_a_terminal_is_shown(mark: str, monkeypatch: pytest.MonkeyPatch) -> None:
    out, err = Terminal(), Terminal()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    write_line(f"a{mark}b")
    say(f"a{mark}b")
    shown = f"\\u{ord(mark[0]):04x}"
    for sent in (out.sent(), err.sent()):
        assert mark[0] not in sent and sent.startswith(f"a{shown}")
    assert json.loads(f'"{visible(mark)}"') == mark


def test_what_people_write_stays() -> None:
    text = "tab\tline\nnaïve 漢字 العربية 🙂 e\u0301 \u200d \u200c [red]x[/red]"
    assert visible(text) == text


def test_data_that_goes_elsewhere_is_as_it_was(capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    write_line("a\x1b[31mb")
    show_line("a\x1b[31mb")
    assert capsysbinary.readouterr().out == b"a\x1b[31mb\na\\u001b[31mb\n"


def test_progress_shows_markup_and_marks_as_they_stand(monkeypatch: pytest.MonkeyPatch) -> None:
    err = Terminal()
    monkeypatch.setattr(sys, "stderr", err)
    with Display() as watch:
        watch.progress(Progress("[red]x[/red] \x9b2J", done=1, total=2, details="[b]\u202e"))
        watch.note("[blue]note[/blue] \u202e")
    sent = err.sent()
    assert "[red]x[/red] \\u009b2J" in sent and "[blue]note[/blue] \\u202e" in sent
    assert "\x9b" not in sent and "\u202e" not in sent


@pytest.mark.slow
def test_verbs_show_labels_texts_and_names_as_text() -> None:
    bad = "\x1b[31m[red]x\u202e"
    folder = copy_golden("model-2-lstm")
    change_config(folder, lambda config: config.update(labels=[bad, "pos"]))
    rows = "".join(f"good film,{bad}\nbad film,{label}\n" for label in (bad, "a", "b"))
    Path("rows.csv").write_text(f"text,label\n{rows}{bad} x,a\n", encoding="utf-8")
    Path(f"v{bad}.txt").write_text(f"{bad} 1 0\nb 0 1\n", encoding="utf-8")
    for verb in (
        ["info", "model"],
        ["data", "check", "rows.csv"],
        ["vectors", "info", f"v{bad}.txt"],
        ["evaluate", "model", "rows.csv"],
        ["predict", f"no{bad}"],
        ["--debug", "predict", f"no{bad}"],
    ):
        done = run_textkit(*verb)
        sent = (done.stdout + done.stderr).decode()
        assert "\x1b" not in sent and "\u202e" not in sent, (verb, sent)
        assert "\\u001b[31m" in sent, (verb, sent)


@pytest.mark.parametrize("label", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx"])
def test_a_label_that_a_spreadsheet_would_run_gets_a_mark(label: str) -> None:
    prediction = Prediction(labels=((label, 0.5), ("plain=1", 0.25)))
    assert prediction.to_text() == f"{label}\t0.5000\tplain=1\t0.2500"
    assert prediction.to_text(spreadsheet_safe=True) == f"'{label}\t0.5000\tplain=1\t0.2500"
    assert Prediction(values=(-1.5,)).to_text(spreadsheet_safe=True) == "-1.5"


def test_a_number_is_no_formula_and_json_takes_no_mark() -> None:
    assert Prediction(labels=((-1, 1.0),)).to_text(spreadsheet_safe=True) == "-1\t1.0000"
    done = run_textkit("predict", "model", "--json", "--spreadsheet-safe")
    assert done.returncode == 2 and b"leave it out" in done.stderr
