"""The form that the UI makes of a flow's parameters, and what it says above it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.flows import Flow


def form_schema(flow: "Flow[Any, Any]") -> dict[str, Any]:
    """JSON Schema of the parameters, in the words and with the keywords that Prefect's forms can show."""
    from prefect.utilities.callables import parameter_schema

    plain = parameter_schema(flow).model_dump(exclude_unset=True)
    schema: dict[str, Any] = _toggles(plain, plain.get("definitions") or {})
    for name, field in schema.get("properties", {}).items():
        field["title"] = (name[:1].upper() + name[1:]).replace("_", " ")
    return schema


def description(flow: "Flow[Any, Any]") -> str | None:
    """The docstring without its list of parameters: the form shows each beside its field."""
    text, _, _ = (flow.description or "").partition("\nArgs:")
    return text.strip() or None


def _toggles(part: Any, definitions: dict[str, Any]) -> Any:
    """A tagged union (`oneOf`) as `anyOf`: forms show that one as toggles, the other not at all.

    Forms do not look at the tag: at every change they take the alternative that shares most fields with the value, the
    first of equals. So the one with fewest fields comes first; after a richer one, its values would be taken for those.
    """
    if isinstance(part, list):
        return [_toggles(one, definitions) for one in part]
    if not isinstance(part, dict):
        return part
    part = {key: value for key, value in part.items() if key != "discriminator"}
    if "oneOf" in part:
        part["anyOf"] = sorted(part.pop("oneOf"), key=lambda one: _fields(one, definitions))
    return {key: _toggles(value, definitions) for key, value in part.items()}


def _fields(one: dict[str, Any], definitions: dict[str, Any]) -> int:
    """How many fields an alternative has."""
    target = definitions.get(str(one.get("$ref", "")).rpartition("/")[2], one)
    return len(target.get("properties") or ())
