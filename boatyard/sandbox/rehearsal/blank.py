"""Secrets without what they hold: same names, same types, same keys, values of ours. Pure."""

import base64
from typing import Any

from boatyard.kube.objects import Ref

Json = dict[str, Any]

SECRET = ("", "Secret")
PLACEHOLDER = "left out by the rehearsal"
_MUST_BE_JSON = {".dockerconfigjson", ".dockercfg"}
"""The server refuses secrets of those types whose value is none."""
_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
"""A second copy of the whole object, values included."""


def blanked(item: Json) -> Json:
    """The object as it is; a Secret with placeholders for its values, and without the copies that annotations keep."""
    if Ref.of(item).type != SECRET:
        return item
    bare = {key: value for key, value in item.items() if key not in ("data", "stringData")}
    keys = [*(item.get("data") or {}), *(item.get("stringData") or {})]
    metadata = dict(item["metadata"])
    annotations = {key: value for key, value in (metadata.pop("annotations", None) or {}).items() if key != _APPLIED}
    if annotations:
        metadata["annotations"] = annotations
    return bare | {"metadata": metadata} | ({"data": {key: _value(key) for key in keys}} if keys else {})


def _value(key: str) -> str:
    text = "{}" if key in _MUST_BE_JSON else PLACEHOLDER
    return base64.b64encode(text.encode()).decode()
