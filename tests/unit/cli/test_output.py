"""Tables fit the width whatever is in them, and nothing steers the terminal."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.cli.failure import clean
from boatyard.cli.output import GAP, LEAST, Out, ago, fit, wide

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=120)


@given(st.integers(1, 5).flatmap(lambda n: st.lists(st.lists(words, min_size=n, max_size=n), min_size=1, max_size=5)))
def test_columns_fit_or_are_as_narrow_as_allowed(rows):
    widths = fit(rows, 80)
    assert sum(widths) + GAP * (len(widths) - 1) <= 80 or max(widths) <= LEAST


def test_a_long_name_goes_on_below_and_loses_nothing(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    name = "-".join(["shop"] * 30)
    Out().table(("NAME", "PHASE"), [(name, "running")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    assert "".join(line.split("  ")[0].strip() for line in lines[1:]) == name


def test_no_colours_where_nobody_sees_them(capsys):
    Out().table(("A",), [(("x", "red"),)])
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.parametrize(("set_", "coloured"), [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)])
def test_colours_on_a_terminal_unless_unwanted(monkeypatch, capsys, set_, coloured):
    import sys

    for name in ("NO_COLOR", "TERM"):
        monkeypatch.delenv(name, raising=False)
    for name, value in set_.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert ("\x1b[31m" in Out().paint("x", "red")) is coloured


@given(st.text())
def test_cleaned_text_has_nothing_that_steers(text):
    left = clean(text)
    assert not any(ord(letter) < 32 and letter not in "\n\t" for letter in left.replace("\x1b[", ""))
    assert clean(left) == left


def test_our_own_colours_survive_cleaning_and_others_do_not():
    assert clean("\x1b[31mx\x1b[0m") == "\x1b[31mx\x1b[0m"
    assert "\x1b" not in clean("\x1b[2J\x1b]0;title\x07")


def test_wide_letters_count_double_and_marks_nothing():
    assert (wide("日本"), wide("e\u0301"), wide("abc")) == (4, 1, 3)


@pytest.mark.parametrize(("seconds", "told"), [(0, "0s"), (119, "119s"), (120, "2m"), (7200, "2h"), (3 * 86400, "3d")])
def test_ago_uses_the_largest_unit_that_says_enough(seconds, told):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert ago(now - timedelta(seconds=seconds), now) == told
