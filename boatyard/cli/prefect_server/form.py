"""The form that the UI makes of a flow's parameters, and what it says above it."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prefect.flows import Flow


def form_schema(flow: "Flow[Any, Any]") -> dict[str, Any]:
    """JSON Schema of the parameters, in the words and with the keywords that Prefect's forms can show."""
    from prefect.utilities.callables import parameter_schema

    schema: dict[str, Any] = _toggles(parameter_schema(flow).model_dump(exclude_unset=True))
    for name, field in schema.get("properties", {}).items():
        field["title"] = (name[:1].upper() + name[1:]).replace("_", " ")
    return schema


def description(flow: "Flow[Any, Any]") -> str | None:
    """The docstring without its list of parameters: the form shows each beside its field."""
    text, _, _ = (flow.description or "").partition("\nArgs:")
    return text.strip() or None


def _toggles(part: Any) -> Any:
    """A tagged union (`oneOf`) as `anyOf`: forms show that one as toggles, the other not at all."""
    if isinstance(part, list):
        return [_toggles(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        "anyOf" if key == "oneOf" else key: _toggles(value) for key, value in part.items() if key != "discriminator"
    }
