"""Starting is quick because little is imported; checked by what is imported, not by the clock."""

import json
import re
from pathlib import Path

import pytest

from boatyard.cli.main import VERBS

HEAVY = ("prefect", "sqlalchemy", "kubernetes", "boto3", "alembic", "rich", "pydantic", "yaml", "urllib3")

LIST = """
import json, sys
from boatyard.cli.main import main
code = main({arguments!r})
sys.stdout.flush()
sys.stderr.write("\\n@" + json.dumps([code, sorted(sys.modules)]))
"""


def loaded(process, *arguments):
    said = process(code=LIST.format(arguments=list(arguments))).stderr
    code, modules = json.loads(said.rpartition("@")[2])
    return code, set(modules)


def roots(modules):
    return {name.partition(".")[0] for name in modules}


def test_help_imports_no_verb_and_nothing_heavy(process):
    code, modules = loaded(process, "--help")
    assert code == 0
    assert not [name for name in modules if name.startswith("boatyard.cli.verbs.")]
    assert not roots(modules) & set(HEAVY)


@pytest.mark.parametrize("arguments", [["status"], ["logs", "shop"], ["status", "shop"]])
def test_the_store_is_read_without_its_heavy_parts(process, store, arguments):
    store.clusters.put({"name": "shop", "provider": {"kind": "kwok"}, "kubernetes": {"version": "1.35"}})
    code, modules = loaded(process, *arguments)
    assert code == 0
    assert not roots(modules) & set(HEAVY)


@pytest.mark.parametrize(
    ("arguments", "codes"),
    [
        (["plan", "shop.yaml"], {0, 2, 9}),
        (["init"], {0}),
        (["schema"], {0}),
        (["compare"], {0}),
        (["doctor"], {0, 9}),
        (["kubeconfig", "shop.yaml"], {4}),
        (["validate", "shop.yaml"], {4}),
        (["diff", "shop.yaml"], {4}),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_read_only_verbs_do_without_prefect_and_sqlalchemy(process, spec, arguments, codes):
    code, modules = loaded(process, *arguments)
    assert code in codes
    assert not roots(modules) & {"prefect", "sqlalchemy", "kubernetes"}


def test_every_verb_of_the_table_is_there_under_its_own_name():
    import importlib

    for name in VERBS:
        assert importlib.import_module(f"boatyard.cli.verbs.{name}").command.name == name


def test_every_verb_is_documented():
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    documented = {
        name for row in re.findall(r"^\| (.*?) \| ", page, re.M) for name in re.findall(r"`([a-z]+)[ `]", row)
    }
    assert documented >= set(VERBS)
