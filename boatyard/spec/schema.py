"""JSON Schema (draft 2020-12) of the files people write, so that editors complete and check them.

For VS Code and others with the YAML language server, the first line of a file:
`# yaml-language-server: $schema=cluster.schema.json`
"""

from collections.abc import Callable
from typing import Any

from boatyard.spec.fleet import FleetFile
from boatyard.spec.models import Cluster
from boatyard.spec.provider import all_settings_models
from boatyard.spec.template import KIND as TEMPLATE

DRAFT = "https://json-schema.org/draft/2020-12/schema"

Schema = dict[str, Any]


def cluster_schema() -> Schema:
    """A cluster's file."""
    schema = Cluster.model_json_schema()
    schema["properties"]["provider"] = _provider(schema)
    return {"$schema": DRAFT, **schema}


def template_schema() -> Schema:
    """A template's file: a cluster's in all but `kind`, which must be given."""
    schema = cluster_schema()
    schema["properties"]["kind"] = {"const": TEMPLATE, "type": "string"}
    schema["required"] = sorted({*schema["required"], "kind"})
    return {**schema, "title": TEMPLATE, "description": "What events make short-lived clusters from."}


def fleet_schema() -> Schema:
    """A fleet.yaml. Nothing is required among the defaults: the rest stands in the clusters' files."""
    cluster = cluster_schema()
    parts = cluster.pop("$defs")
    for part in (cluster, *parts.values()):
        part.pop("required", None)
    for field in ("name", "kind", "apiVersion"):
        del cluster["properties"][field]
    del cluster["$schema"]
    schema = FleetFile.model_json_schema()
    described = {key: value for key, value in schema["properties"]["defaults"].items() if key == "description"}
    schema["properties"]["defaults"] = {**described, "$ref": "#/$defs/Defaults"}
    cluster["title"] = "Defaults"
    return {"$schema": DRAFT, **schema, "$defs": {**schema.get("$defs", {}), **parts, "Defaults": cluster}}


def _provider(schema: Schema) -> Schema:
    """One branch a kind, whether pydantic made a union or, with a single driver, a plain reference."""
    found: Schema = schema["properties"]["provider"]
    if "oneOf" not in found:
        (model,) = all_settings_models()
        kind = model.model_fields["kind"].annotation.__args__[0]  # type: ignore[union-attr]
        found = {
            "oneOf": [{"$ref": found["$ref"]}],
            "discriminator": {"propertyName": "kind", "mapping": {kind: found["$ref"]}},
        }
    return {**found, "description": "The distribution, by `kind`, and its own settings."}


SCHEMAS: dict[str, Callable[[], Schema]] = {
    "cluster": cluster_schema,
    "fleet": fleet_schema,
    "template": template_schema,
}
"""What `boatyard schema` can print."""
