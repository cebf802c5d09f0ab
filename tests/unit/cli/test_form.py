"""What the UI makes forms of: every default can be sent back, and nothing is shown in Python's words."""

from typing import Annotated, Any, Literal

import pytest
from jsonschema import Draft202012Validator
from prefect import flow
from prefect.flows import Flow, load_flow_from_entrypoint
from pydantic import BaseModel, Field

from boatyard.cli.prefect_server.catalogue import project_file, read_deployments
from boatyard.cli.prefect_server.form import description, form_schema

DEPLOYMENTS = {one.name: one.entrypoint for one in read_deployments(project_file())}


@pytest.fixture(params=DEPLOYMENTS)
def deployed(request: pytest.FixtureRequest) -> Flow[Any, Any]:
    return load_flow_from_entrypoint(DEPLOYMENTS[request.param])


def fields(part: Any, path: str = "") -> list[tuple[str, dict[str, Any]]]:
    """Every schema of a field, with its path."""
    if not isinstance(part, dict):
        return []
    found = [
        (f"{path}.{name}", field)
        for name, field in part.get("properties", {}).items()
        if isinstance(field, dict) and isinstance(part.get("properties"), dict)
    ]
    return found + [inner for name, one in part.get("definitions", {}).items() for inner in fields(one, name)]


def test_every_default_is_valid_where_it_stands(deployed: Flow[Any, Any]):
    schema = form_schema(deployed)
    for path, field in fields(schema):
        if "default" in field:
            whole = field | {"definitions": schema.get("definitions", {})}
            assert not list(Draft202012Validator(whole).iter_errors(field["default"])), path


def test_what_cannot_be_typed_is_filled_in(deployed: Flow[Any, Any]):
    for path, field in fields(form_schema(deployed)):
        if "const" in field:
            assert field["default"] == field["const"], path


def test_the_description_leaves_parameters_to_the_form(deployed: Flow[Any, Any]):
    text = description(deployed)
    assert text
    assert "Args:" not in text


class Hill(BaseModel):
    kind: Literal["hill"] = "hill"


class Lake(BaseModel):
    kind: Literal["lake"] = "lake"
    depth: int = 3


def test_a_tagged_union_becomes_what_forms_show_as_toggles():
    @flow
    def visit(some_place: Annotated[Hill | Lake, Field(discriminator="kind")]) -> None: ...

    field = form_schema(visit)["properties"]["some_place"]
    assert field["title"] == "Some place"
    assert [branch["$ref"] for branch in field["anyOf"]] == ["#/definitions/Hill", "#/definitions/Lake"]
    assert "oneOf" not in field
    assert "discriminator" not in field


def test_the_alternative_with_fewest_fields_comes_first_so_that_no_richer_one_takes_its_values():
    @flow
    def visit(place: Annotated[Lake | Hill, Field(discriminator="kind")]) -> None: ...

    branches = form_schema(visit)["properties"]["place"]["anyOf"]
    assert [branch["$ref"] for branch in branches] == ["#/definitions/Hill", "#/definitions/Lake"]
