"""Instance types → what a simulated node of that type can hold."""

import re

from boatyard.errors import InvalidSpec

DEFAULT = "4x16"

_GENERIC = re.compile(r"^(\d{1,4})x(\d{1,5})$")
_AWS = re.compile(
    r"^(?P<family>[cmrt])\d[a-z]{0,3}\.(?P<size>nano|micro|small|medium|large|xlarge|(?P<times>\d{1,2})xlarge)$"
)
_GIB_A_CPU = {"c": 2, "m": 4, "r": 8}
_BURSTABLE = {"nano": 0.5, "micro": 1, "small": 2, "medium": 4, "large": 8, "xlarge": 16, "2xlarge": 32}  # GiB
_GCP = re.compile(r"^[a-z]\d[a-z]?-(standard|highmem|highcpu)-(\d{1,3})$")
_GCP_GIB = {"standard": 4, "highmem": 8, "highcpu": 1}
_AZURE = re.compile(r"^Standard_(?P<family>[BDEF])(?P<cpus>\d{1,3})[a-z]*_v\d$")
_AZURE_GIB = {"B": 4, "D": 4, "E": 8, "F": 2}


def capacity(size: str | None) -> dict[str, str]:
    """A node's `status.capacity`. `InvalidSpec` for a size that nobody knows."""
    cpus, gib = _parse(size or DEFAULT)
    memory = f"{int(gib)}Gi" if gib == int(gib) else f"{int(gib * 1024)}Mi"
    pods = 110 if cpus <= 16 else 250
    return {"cpu": str(cpus), "memory": memory, "ephemeral-storage": "100Gi", "pods": str(pods)}


def _parse(size: str) -> tuple[int, float]:
    if (found := _GENERIC.match(size)) and int(found[1]) and int(found[2]):
        return int(found[1]), int(found[2])
    if found := _AWS.match(size):
        return _aws(size, found)
    if found := _GCP.match(size):
        return int(found[2]), int(found[2]) * _GCP_GIB[found[1]]
    if found := _AZURE.match(size):
        return int(found["cpus"]), int(found["cpus"]) * _AZURE_GIB[found["family"]]
    raise _unknown(size)


def _aws(size: str, found: re.Match[str]) -> tuple[int, float]:
    name = found["size"]
    cpus = {"medium": 1, "large": 2, "xlarge": 4}.get(name) or int(found["times"] or 0) * 4
    if found["family"] == "t":
        if name not in _BURSTABLE:
            raise _unknown(size)
        return (8 if name == "2xlarge" else 4 if name == "xlarge" else 2), _BURSTABLE[name]
    if not cpus:
        raise _unknown(size)
    return cpus, cpus * _GIB_A_CPU[found["family"]]


def _unknown(size: str) -> InvalidSpec:
    return InvalidSpec(
        [f"the kwok driver does not know the size {size!r}; write CPUSxGIB, such as 4x16, or a type such as m6i.large."]
    )
