"""Every verb explains itself within 80 columns, with examples."""

import pytest

from boatyard.cli.main import VERBS


@pytest.mark.parametrize("name", VERBS)
def test_help_fits_and_has_examples(call, name):
    said = call(name, "--help")
    assert said.code == 0
    lines = said.out.splitlines()
    assert max(map(len, lines)) <= 80
    examples = lines[lines.index("Examples:") + 1 :]
    assert any(f"boatyard {name}" in line for line in examples)
    assert "--json" in said.out
    assert "--home" in said.out


def test_the_overview_names_every_verb_once(call):
    lines = call("--help").out.splitlines()
    assert max(map(len, lines)) <= 80
    first = [line.split()[0] for line in lines if line.startswith("  ") and line.split()]
    assert [name for name in VERBS if first.count(name) != 1] == []


def test_a_mistyped_verb_is_met_with_the_nearest(call):
    said = call("plna", "x.yaml")
    assert (said.code, said.out) == (64, "")
    assert said.err == "boatyard: there is no verb 'plna'. Did you mean plan?\n"


def test_usage_errors_are_one_line_and_end_64(call):
    for arguments in (
        ["status", "--foo"],
        ["scale", "shop"],
        ["scale", "shop", "web=many"],
        ["plan"],
        ["upgrade", "x"],
    ):
        said = call(*arguments)
        assert said.code == 64
        assert said.err.startswith("boatyard: ")
        assert said.err.count("\n") == 1
