"""Bad specs and the exact lines they are refused with: one `.yaml` and one `.txt` a case in tests/cases/spec.

To write the lines of a new case, or after changing a message on purpose: BOATYARD_UPDATE_CASES=1 pytest tests/unit/spec
"""

import os
import shutil
from pathlib import Path

import pytest

from boatyard.errors import InvalidSpec
from boatyard.spec.load import load_cluster
from boatyard.spec.provider import driver_packages, settings_model

CASES = Path(__file__).parents[2] / "cases" / "spec"


def neutral(line: str, project: Path) -> str:
    """The line without what changes when a driver is added or learns a version."""
    line = line.replace(str(project), "ROOT").replace(f"allowed {', '.join(driver_packages())}", "allowed KINDS")
    return line.replace(f"allowed {', '.join(settings_model('kwok').minors)}", "allowed MINORS")


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("*.yaml")))
def test_a_bad_spec_is_refused_with_every_problem(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    project = tmp_path.resolve() / "project"
    (project / ".git").mkdir(parents=True)
    shutil.copytree(CASES, project / "specs")
    monkeypatch.chdir(project / "specs")
    expected = CASES / Path(name).with_suffix(".txt")
    with pytest.raises(InvalidSpec) as caught:
        load_cluster(Path(name))
    lines = [neutral(line, project) for line in caught.value.problems]
    if os.environ.get("BOATYARD_UPDATE_CASES"):
        expected.write_text("\n".join(lines) + "\n")
    assert lines == expected.read_text().splitlines()


def test_a_bad_spec_has_an_exit_code_of_its_own() -> None:
    assert InvalidSpec.exit_code not in (0, 1, 2)
