"""JSON Schema and examples say what the loader does."""

from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator

from boatyard.errors import NotFound
from boatyard.spec.example import commented_example
from boatyard.spec.load import load_text
from boatyard.spec.provider import driver_packages
from boatyard.spec.schema import SCHEMAS, cluster_schema, fleet_schema
from boatyard.spec.upgrade import Upgrade


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_schema_is_one(name: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[name]())


@pytest.mark.parametrize("kind", driver_packages())
def test_the_example_loads_and_fits_the_schema(kind: str) -> None:
    text = commented_example(kind)
    assert load_text(text).provider.kind == kind
    assert not list(Draft202012Validator(cluster_schema()).iter_errors(yaml.safe_load(text)))


@pytest.mark.parametrize("kind", driver_packages())
def test_the_example_s_commented_lines_are_true_when_uncommented(kind: str) -> None:
    text = commented_example(kind)
    for line in ("spot", "ring", "idle", "hibernate", "ttl", "protect", "exempt"):
        for old in [entry for entry in text.splitlines() if entry.lstrip().startswith(f"# {line}:")]:
            assert load_text(text.replace(old, old.replace("# ", "", 1))).name.startswith("shop")
    opened = text.replace("  # upgrade:", "  upgrade:")
    for line in Upgrade.model_fields:
        opened = opened.replace(f"    # {line}: ", f"    {line}: ")
    policy = load_text(opened).policy.upgrade
    assert policy.model_fields_set == set(Upgrade.model_fields)
    assert policy.surge == 3
    assert [hook.name for hook in (*policy.before, *policy.after)] == ["announce", "smoke-test"]


def test_no_example_for_an_unknown_kind() -> None:
    with pytest.raises(NotFound, match="kwok"):
        commented_example("floppy")


@pytest.mark.parametrize(
    "name",
    ["pools.yaml", "wrong-kind.yaml", "policy.yaml", "missing-everything.yaml", "unquoted-version.yaml"],
)
def test_the_schema_refuses_bad_specs(name: str) -> None:
    document = yaml.safe_load((Path(__file__).parents[2] / "cases" / "spec" / name).read_text())
    assert list(Draft202012Validator(cluster_schema()).iter_errors(document))


def test_editors_can_explain_and_tell_providers_apart() -> None:
    schema = cluster_schema()
    assert "newest minor" in schema["$defs"]["Kubernetes"]["properties"]["channel"]["description"]
    assert len(schema["properties"]["provider"]["oneOf"]) == len(driver_packages())
    assert list(
        Draft202012Validator(schema).iter_errors(
            {"name": "a", "provider": {"kind": "x"}, "kubernetes": {"version": "1.35"}}
        )
    )


def test_a_fleet_s_defaults_may_be_partial() -> None:
    validator = Draft202012Validator(fleet_schema())
    assert not list(validator.iter_errors({"kind": "Fleet", "defaults": {"kubernetes": {"channel": "rapid"}}}))
    assert list(validator.iter_errors({"kind": "Fleet", "defaults": {"kubernets": {}}}))
