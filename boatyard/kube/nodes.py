"""What is read from Node objects, whatever the distribution. Pure."""

from collections.abc import Mapping
from typing import Any

Json = dict[str, Any]


def name_of(node: Json) -> str:
    return str(node["metadata"]["name"])


def annotation(node: Json, key: str) -> str:
    return str((node["metadata"].get("annotations") or {}).get(key) or "")


def cordoned(node: Json) -> bool:
    return bool(node["spec"].get("unschedulable"))


def parse_taint(text: str) -> Json:
    """`key=value:Effect` → the API's form."""
    body, _, effect = text.rpartition(":")
    key, equals, value = body.partition("=")
    return {"key": key, "effect": effect} | ({"value": value} if equals else {})


def taint_text(taint: Mapping[str, str]) -> str:
    value = taint.get("value")
    return f"{taint['key']}{f'={value}' if value else ''}:{taint['effect']}"
