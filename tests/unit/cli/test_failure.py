"""How commands end: one sentence, the family's exit code, never a traceback."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from boatyard import errors
from boatyard.cli import failure

FAMILIES = [
    (errors.Permanent("no."), 1),
    (errors.InvalidSpec(["a.yaml:1:1: name: found 3", "a.yaml:2:1: kind: found 4"]), 3),
    (errors.NotFound("no."), 4),
    (errors.Temporary("no."), 5),
    (errors.DeadlineExceeded("no."), 6),
    (errors.Unsafe("no.", hint="Give --yes."), 7),
    (errors.Held("no."), 8),
    (errors.MissingTool("no."), 9),
    (errors.Unsupported("no."), 10),
]


@pytest.mark.parametrize(("error", "code"), FAMILIES, ids=lambda value: type(value).__name__)
def test_each_family_has_its_exit_code_and_sentence(error, code, capsys):
    with failure.reported(["plan"]) as outcome:
        raise error
    said = capsys.readouterr()
    assert outcome.code == code
    assert said.out == ""
    assert [line.startswith("boatyard: ") for line in said.err.splitlines()] == [True] * (said.err.count("\n"))
    assert str(error).splitlines()[0] in said.err


def test_an_invalid_spec_has_a_line_a_problem(call, tmp_path):
    file = tmp_path / "bad.yaml"
    file.write_text("apiVersion: boatyard/v1\nkind: Cluster\nname: Shop\nprovider: {kind: kwokk}\nkubernetes: {}\n")
    said = call("plan", str(file))
    assert said.code == 3
    lines = said.err.splitlines()
    assert len(lines) >= 3
    assert all(line.startswith(f"boatyard: {file}:") for line in lines)


def test_with_json_the_error_is_a_document_on_stdout(call):
    said = call("status", "nosuch", "--json")
    error = json.loads(said.out)["error"]
    assert (said.code, error["type"], error["exit_code"]) == (4, "NotFound", 4)
    assert "nosuch" in error["message"]


def test_an_unexpected_error_leaves_a_private_report_without_secrets(home, capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["boatyard", "plan"])
    with failure.reported(["plan", "--json"]) as outcome:
        raise RuntimeError("token=abcdefgh12345678 went wrong")
    said = capsys.readouterr()
    assert outcome.code == 70
    assert "Traceback" not in said.err + said.out
    assert said.err.count("\n") == 1
    [report] = (home / "crashes").iterdir()
    assert str(report) in said.err
    assert json.loads(said.out)["error"]["report"] == str(report)
    assert report.stat().st_mode & 0o777 == 0o600
    text = report.read_text()
    assert "Traceback" in text
    assert "abcdefgh12345678" not in text


def test_a_report_that_cannot_go_home_goes_elsewhere(tmp_path, capsys, monkeypatch):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("BOATYARD_HOME", str(blocked))
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    with failure.reported([]) as outcome:
        raise ValueError("no")
    assert outcome.code == 70
    assert len(list(tmp_path.glob("boatyard-*.txt"))) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_ctrl_c_is_one_line_and_130(capsys):
    with failure.reported([]) as outcome:
        raise KeyboardInterrupt
    assert outcome.code == 130
    assert capsys.readouterr().err == "boatyard: stopped.\n"


def test_ctrl_c_reaches_a_following_command(process, store, home):
    store.clusters.put({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})
    argv = [sys.executable, "-m", "boatyard.cli.main", "status", "--watch"]
    env = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as child:
        try:
            assert child.stdout.readline().startswith("NAME")
            child.send_signal(signal.SIGINT)
            _, said = child.communicate(timeout=60)
        finally:
            child.kill()  # else a failure would wait for it for ever
    assert (child.returncode, said) == (130, "boatyard: stopped.\n")


def test_a_reader_that_goes_away_is_no_error(home):
    argv = f"{sys.executable} -m boatyard.cli.main schema 2>err | head -c 10 >/dev/null; echo ${{PIPESTATUS[0]}}"
    env = dict(os.environ) | {"PYTHONPATH": str(Path(__file__).parents[3])}
    home.mkdir()
    done = subprocess.run(["/bin/bash", "-c", argv], cwd=home, env=env, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() in ("141", "0")
    assert (home / "err").read_text() == ""


HOSTILE = [
    "\x1b[2J",
    "a\x00b",
    "../../etc/passwd",
    "-",
    "$(id)",
    "a" * 5000,
    "\udcff",
    "🙂",
    "'; DROP TABLE clusters;--",
]


@pytest.mark.parametrize("word", HOSTILE, ids=lambda word: ascii(word[:12]))
@pytest.mark.parametrize("verb", ["plan", "status", "delete", "kubeconfig", "logs", "scale"])
def test_hostile_words_get_one_clean_sentence(call, verb, word):
    said = call(verb, *(["--", word] + (["web=1"] if verb == "scale" else [])))
    assert said.code in (3, 4, 64)
    assert said.err.startswith("boatyard: ")
    assert said.err.count("\n") == 1
    assert "\x1b" not in said.err
    assert "Traceback" not in said.err


def test_no_verb_at_all_gets_the_help_as_it_is_laid_out(call):
    said = call()
    assert said.code == 64
    assert said.out == ""
    assert said.err.startswith("Usage: boatyard")
    assert max(map(len, said.err.splitlines())) <= 80


def test_no_verb_at_all_is_one_short_document_for_programs(call):
    said = call("--json")
    assert json.loads(said.out)["error"]["exit_code"] == 64
    assert "Options" not in said.out


def test_a_usage_error_is_a_sentence_before_where_to_look(call, store):
    store.clusters.put({"name": "shop", "provider": {"kind": "kwok"}})
    said = call("scale", "shop", "web=x")
    assert "found 'web=x'. See `boatyard scale --help`." in said.err


@pytest.mark.parametrize("word", ["abc", "", "1", "1.36.x", "1.36\n"])
def test_a_version_that_is_none_is_met_before_anything_starts(call, word):
    said = call("upgrade", "shop", "--to", word)
    assert said.code == 64
    assert "expected a version like 1.36" in said.err


def test_a_home_that_cannot_be_written_is_a_sentence(home, capsys):
    home.write_text("a file")
    with failure.reported(["up"]) as outcome:
        (home / "prefect").mkdir()
    said = capsys.readouterr().err
    assert outcome.code == 1
    assert "where Boatyard keeps its state" in said
    assert "BOATYARD_HOME" in said


def test_a_file_that_is_not_there_stays_a_crash(home):
    home.mkdir()
    with failure.reported(["up"]) as outcome:
        (home / "gone").read_text()
    assert outcome.code == failure.CRASH
