"""What Route 53 lists: zones, and the records in them that a cluster may have made."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from boatyard.aws import prices
from boatyard.aws.ownership import is_cluster
from boatyard.aws.scan import Seen, View, ends_with, if_there

_OWNER = re.compile(r"external-dns/owner=(?:kops-)?([a-z0-9.-]+)")
_TXT_PREFIXES = ("", "a-", "aaaa-", "cname-")
"""What external-dns puts before a record's name to name its ownership record."""
_PLACEHOLDERS = {"203.0.113.123", "fd00:dead:add::"}
"""What kOps writes into DNS until the control plane is up."""
_TYPES = {"A", "AAAA", "CNAME", "TXT"}


def hosted_zones(view: View, *, also: str | None = None) -> Iterator[Seen]:
    """Zones that may hold a cluster's records, then those records. also: name or id of one more zone to look at.

    kOps tags no zone, for it expects them to be shared; so one is a cluster's only by the VPCs that see it.
    """
    zones = [zone for zone in view.pages("route53", "list_hosted_zones", "HostedZones[]") if _wanted(view, zone, also)]
    for zone in zones:
        private = bool((zone.get("Config") or {}).get("PrivateZone"))
        yield Seen(
            "hosted-zone",
            _id(zone),
            _name(zone),
            within=tuple(_networks(view, zone)) if private else (),
            state="private" if private else "public",
            monthly_cost=prices.HOSTED_ZONE,
        )
        yield from _records(view, zone)


def _wanted(view: View, zone: Mapping[str, Any], also: str | None) -> bool:
    if view.clusters is None or (also or "").rstrip(".") in (_id(zone), _name(zone)):
        return True
    return any(True for cluster in view.clusters for _ in ends_with(cluster, [_name(zone)]))


def _id(zone: Mapping[str, Any]) -> str:
    return str(zone["Id"]).removeprefix("/hostedzone/")


def _name(item: Mapping[str, Any]) -> str:
    return str(item["Name"]).rstrip(".")


def _networks(view: View, zone: Mapping[str, Any]) -> Iterator[str]:
    """The VPCs that a private zone is seen from."""
    answer = if_there(lambda: view.ask("route53", "get_hosted_zone", Id=_id(zone)))
    for each in (answer or {}).get("VPCs") or ():
        yield each["VPCId"]


def _records(view: View, zone: Mapping[str, Any]) -> Iterator[Seen]:
    parameters = {"HostedZoneId": _id(zone), "PaginationConfig": {"PageSize": 300}}
    pages = view.pages("route53", "list_resource_record_sets", "ResourceRecordSets[]", **parameters)
    found = [record for record in pages if record["Type"] in _TYPES]
    owners = _external_dns(found)
    for record in found:
        name, kind = _name(record), record["Type"]
        told = {owners[prefix + name] for prefix in _TXT_PREFIXES if prefix + name in owners}
        parts = (_id(zone), kind, name, record.get("SetIdentifier"))
        yield Seen(
            "route53-record", "/".join(filter(None, parts)), name, state=kind, told=frozenset(told | _sure(record))
        )


def _external_dns(records: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name of an ownership record of external-dns → the cluster it names (`--txt-owner-id=kops-NAME`)."""
    owners = {}
    for record in records:
        for value in _values(record) if record["Type"] == "TXT" else ():
            said = _OWNER.search(value)
            if said and is_cluster(said[1]):
                owners[_name(record)] = said[1]
    return owners


def _sure(record: Mapping[str, Any]) -> set[str]:
    """The cluster that a record tells without knowing any: by kOps' own placeholder, or a name only kOps gives."""
    name = _name(record)
    for prefix in ("kops-controller.internal.", "api.internal."):
        cluster = name.removeprefix(prefix)
        sure = prefix.startswith("kops-") or bool(_PLACEHOLDERS & set(_values(record)))
        if sure and cluster != name and is_cluster(cluster):
            return {cluster}
    return set()


def _values(record: Mapping[str, Any]) -> list[str]:
    return [each["Value"] for each in record.get("ResourceRecords") or ()]
