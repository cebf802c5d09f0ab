"""Progress: plain lines where nobody watches, a live view where somebody does."""

import io
import logging
import os
import sys
from contextlib import suppress

import pytest
from rich.console import Console
from rich.live import Live

from boatyard.cli.hearing import heard
from boatyard.cli.output import Out
from boatyard.cli.progress import LiveProgress, Progress
from boatyard.errors import Permanent
from boatyard.run import run


def test_plain_lines_carry_the_time_and_fit(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    plain = Progress(Out())
    plain.started("a", "create pool web")
    plain.line("a", "create pool web", "create pool web: " + "3 of 5 nodes Ready, " * 8)
    plain.ended("a", "create pool web", well=True)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("   0.0s  create pool web: 3 of 5 nodes Ready")
    assert max(map(len, lines)) <= 80
    assert plain.steps[0].document()["outcome"] == "done"


def test_a_step_that_fails_is_told_and_counted(capsys):
    plain = Progress(Out())
    plain.started("a", "wake demo")
    plain.ended("a", "wake demo", well=False)
    assert "wake demo: failed after" in capsys.readouterr().out
    assert plain.steps[0].document()["outcome"] == "failed"


def test_what_runs_says_cannot_steer_the_terminal(capsys):
    Progress(Out()).note("\x1b[2Jnode \x07ready")
    assert "\x1b" not in capsys.readouterr().out


@pytest.mark.filterwarnings("ignore:Logger .* attempted to send logs to the API")
def test_a_pipe_that_nobody_reads_any_more_stops_no_step(monkeypatch):
    reading, writing = os.pipe()
    os.close(reading)
    stdout, logger = os.fdopen(writing, "w"), logging.getLogger("prefect.task_runs.of_a_test")
    monkeypatch.setattr(sys, "stdout", stdout)
    with heard(Progress(Out())), pytest.raises(Permanent, match="code 3"):
        run(["sh", "-c", "echo changing; exit 3"], timeout=20, on_line=logger.warning)
    with suppress(BrokenPipeError):
        stdout.close()


def test_only_the_outer_stages_are_counted():
    plain = Progress(Out())
    plain.stage_started("1", "create demo")
    plain.stage_started("2", "prerequisites of demo")
    plain.stage_ended("2", "prerequisites of demo", well=True)
    plain.stage_ended("1", "create demo", well=True)
    plain.stage_started("3", "delete demo")
    plain.stage_ended("3", "delete demo", well=False)
    assert [(stage.name, stage.well) for stage in plain.stages] == [("create demo", True), ("delete demo", False)]


def test_the_live_view_keeps_one_line_a_step_however_much_it_says():
    screen = io.StringIO()
    console = Console(file=screen, width=80, force_terminal=False)
    live = LiveProgress(Out(), Live(console=console))
    live.started("a", "create demo")
    live.started("b", "create pool web")
    live.line("a", "create demo", "create demo: waiting for " + "x" * 200)
    console.print(live)
    lines = screen.getvalue().splitlines()
    assert [line[:8].split() for line in lines] == [["▸", "0s"], ["▸", "0s"]]
    assert lines[0].rstrip().endswith("…")
    live.ended("a", "create demo", well=True)
    assert "✓ create demo" in screen.getvalue()


def test_a_path_is_kept_whole(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    path = "/srv/some-team/of-many/snapshots/the-shop/20260101T000000Z.snapshot"
    Progress(Out()).note(f"shop: 21 objects written to {path}")
    assert path in capsys.readouterr().out
