"""A cluster's place in a state store, read from moto's S3. Under the gate's lock."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

_MARKS = ("pki/private/kubernetes-ca/keyset.yaml", "config")  # what makes a prefix a cluster's; the first says most


@dataclass(frozen=True)
class Store:
    """prefix: ends with the cluster's name and a slash."""

    backend: Any
    bucket: str
    prefix: str

    @property
    def where(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}"

    def text(self, path: str) -> str:
        """An object's text; empty when it is not there."""
        found = self.backend.get_object(self.bucket, self.prefix + path)
        return found.value.decode(errors="replace") if found is not None else ""

    def group(self, name: str) -> dict[str, Any]:
        """The `spec` of an instance group; empty when it is not there or cannot be read."""
        return _spec(self.text(f"instancegroup/{name}"))

    def ranges(self) -> dict[str, str]:
        """Address ranges of Services and pods, where the cluster names any."""
        spec = _spec(self.text("cluster-completed.spec")) or _spec(self.text("config"))
        named = {"services": spec.get("serviceClusterIPRange"), "pods": spec.get("podCIDR")}
        return {key: str(value) for key, value in named.items() if value and "," not in str(value)}


def find(account: str, name: str) -> Store | None:
    """Where a cluster is kept. Of several stores that have it, the one that was written to last."""
    from moto.s3.models import s3_backends

    for mark in _MARKS:
        found: list[tuple[Any, Store]] = []
        for backend in list(s3_backends[account].values()):
            found += _with(backend, f"{name}/{mark}", mark)
        if found:
            return max(found, key=lambda entry: entry[0])[1]
    return None


def _with(backend: Any, path: str, mark: str) -> Iterator[tuple[Any, Store]]:
    for bucket in list(backend.buckets.values()):
        for key in list(bucket.keys.keys()):
            if (key == path or key.endswith(f"/{path}")) and (object_ := backend.get_object(bucket.name, key)):
                yield object_.last_modified, Store(backend, bucket.name, key.removesuffix(mark))


def _spec(text: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text)
    except yaml.YAMLError:
        return {}
    spec = document.get("spec") if isinstance(document, dict) else None
    return spec if isinstance(spec, dict) else {}
