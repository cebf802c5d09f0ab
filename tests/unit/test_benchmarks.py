"""The runner of the benchmarks: what it keeps of earlier measurements."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks import __main__ as runner
from benchmarks import kops
from benchmarks.base import Row, Skipped


def row(name: str, ours: float) -> Row:
    return Row(name, ours, 2.0, "s", 1.0, "something")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    target = tmp_path / "results.json"
    runner.keep([row("kops/create", 1), row("apply", 1), row("account-scan/cluster", 1)], lasting=[], target=target)
    return target


def kept(target: Path) -> dict[str, float]:
    return {each["name"]: each["ours"] for each in json.loads(target.read_text())}


def test_a_whole_run_forgets_what_no_longer_is_and_keeps_what_was_skipped(results: Path) -> None:
    runner.keep([row("drain", 3)], lasting=["kops", "account_scan"], target=results)
    assert kept(results) == {"account-scan/cluster": 1, "drain": 3, "kops/create": 1}


def test_a_partial_run_replaces_its_own_rows_only(results: Path) -> None:
    runner.keep([row("apply", 5)], lasting=None, target=results)
    assert kept(results) == {"account-scan/cluster": 1, "apply": 5, "kops/create": 1}


def test_without_a_kops_its_benchmark_is_skipped_with_a_sentence_and_nothing_fails(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda program: None)
    monkeypatch.setattr(runner, "HERE", results.parent)
    with pytest.raises(Skipped):
        kops.run()
    assert runner.main(["kops"]) == 0
    assert (
        "skipped: no kops is on PATH, which both sides need; its last measurement is kept." in capsys.readouterr().out
    )
    assert kept(results)["kops/create"] == 1
