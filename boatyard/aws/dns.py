"""Route 53: the hosted zone of a cluster, and whether the world finds it.

A public zone is worth nothing until its parent names our name servers; kOps waits for that in vain. So the parent's own
servers are asked, and what to add at the registrar is told to the letter.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, fine, missing, warning, wrong
from boatyard.aws.errors import AwsBusy, told
from boatyard.clock import Deadline

Lookup = Callable[[str], Sequence[str]]
"""Zone name → name servers that its parent names, [] for none. Raises `AwsBusy` when nobody could be asked."""

TTL = 300
_ID = re.compile(r"^Z[A-Z0-9]{6,}$")
_LOOKUP_SECONDS = 10.0


@dataclass(frozen=True)
class Zone:
    """A hosted zone: `id` without its prefix, `name` without the dot at its end."""

    id: str
    name: str
    private: bool


def examine(account: Account, needs: Needs, lookup: Lookup | None = None) -> list[Check]:
    """The zone, its delegation when it is public, its VPC when it is private. [] with `dns: none`."""
    if needs.dns == "none":
        return []
    private = needs.dns == "private"
    zones = [zone for zone in hosted(account) if zone.private is private]
    chosen = _chosen(zones, needs)
    subject = f"hosted zone {needs.dns_zone or needs.cluster}"
    if not chosen:
        return [_absent(account, needs, subject)]
    zone = chosen[0]
    if len(chosen) > 1:
        ids = ", ".join(sorted(zone.id for zone in chosen))
        problem = f"There are {len(chosen)} {needs.dns} hosted zones named {zone.name}: {ids}."
        fix = "Delete all but one, or name the one to use by its id in `provider.dns_zone`; kOps would pick any."
        return [wrong(subject, problem, fix)]
    if needs.cluster != zone.name and not needs.cluster.endswith(f".{zone.name}"):
        problem = f"The cluster's name {needs.cluster} is not within the hosted zone {zone.name}."
        return [wrong(subject, problem, f"Name the cluster something.{zone.name}, or take another zone.")]
    if private:
        return [fine(subject), *_association(account, needs, zone)]
    return [fine(subject), _delegation(account, zone, lookup or resolver(account.deadline))]


def hosted(account: Account) -> list[Zone]:
    """All hosted zones of the account."""
    return [
        Zone(zone["Id"].rsplit("/", 1)[-1], _plain(zone["Name"]), bool((zone.get("Config") or {}).get("PrivateZone")))
        for zone in account.pages("route53", "list_hosted_zones", "HostedZones")
    ]


def _chosen(zones: Sequence[Zone], needs: Needs) -> list[Zone]:
    """Those that were named, or the nearest above the cluster's name."""
    wanted = needs.dns_zone
    if wanted and _ID.match(wanted):
        return [zone for zone in zones if zone.id == wanted]
    if wanted:
        return [zone for zone in zones if zone.name == _plain(wanted)]
    above = [zone for zone in zones if f".{needs.cluster}".endswith(f".{zone.name}")]
    longest = max((len(zone.name) for zone in above), default=0)
    return [zone for zone in above if len(zone.name) == longest]


def _absent(account: Account, needs: Needs, subject: str) -> Check:
    if needs.dns_zone is None:
        problem = f"No {needs.dns} hosted zone of account {account.id} is above {needs.cluster}."
        return missing(subject, problem, "Name the zone to make in `provider.dns_zone`, or write `dns: none`.")
    if _ID.match(needs.dns_zone):
        problem = f"Account {account.id} has no {needs.dns} hosted zone with the id {needs.dns_zone}."
        return missing(subject, problem, "List those there are: `aws route53 list-hosted-zones`.")
    problem = f"Account {account.id} has no {needs.dns} hosted zone {_plain(needs.dns_zone)}."
    if needs.dns == "private" and needs.vpc is None:
        fix = "A private zone needs a VPC to be seen from: name an existing `vpc`, or write `dns: none`."
        return missing(subject, problem, fix)
    return missing(subject, problem, "It is made.", lambda: _make(account, needs))


def _make(account: Account, needs: Needs) -> None:
    if _chosen([zone for zone in hosted(account) if zone.private is (needs.dns == "private")], needs):
        return
    name = _plain(str(needs.dns_zone))
    place: dict[str, Any] = {}
    if needs.dns == "private":
        place = {"VPC": {"VPCRegion": needs.region, "VPCId": needs.vpc}}
    # The same reference twice is one zone, so two runs at once make one; a new day may make a deleted one again.
    today = account.deadline.clock.now().date().isoformat()
    config = {"Comment": "made by boatyard", "PrivateZone": needs.dns == "private"}
    with told(f"making the hosted zone {name}"):
        client = account.client("route53")
        try:
            client.create_hosted_zone(
                Name=name, CallerReference=f"boatyard {needs.dns} {name} {today}", HostedZoneConfig=config, **place
            )
        except client.exceptions.HostedZoneAlreadyExists:
            return


def _delegation(account: Account, zone: Zone, lookup: Lookup) -> Check:
    """Does the parent name exactly our name servers?"""
    subject = f"delegation of {zone.name}"
    ours = _servers(account, zone)
    try:
        found = sorted({_plain(server) for server in lookup(zone.name)})
    except AwsBusy as error:
        return warning(subject, error.message, f"Look yourself: `dig NS {zone.name}` has to give {', '.join(ours)}.")
    if found == ours:
        return fine(subject)
    if found:
        problem = f"The parent of {zone.name} names {', '.join(found)} instead of {', '.join(ours)}."
        return wrong(subject, problem, f"Change the records there to: {records(zone.name, ours)}")
    problem = f"Nobody finds {zone.name}: its parent has no NS records for it."
    parent = _parent(account, zone)
    if parent is None:
        fix = f"Add these records at the registrar, or wherever the parent is kept: {records(zone.name, ours)}"
        return missing(subject, problem, fix)
    fix = f"NS records are added to the hosted zone {parent.name}, which is this account's: {records(zone.name, ours)}"
    return missing(subject, problem, fix, lambda: _delegate(account, zone, parent, ours))


def records(zone: str, servers: Sequence[str]) -> str:
    """The NS records as they are written in a zone file, or typed into a registrar's form."""
    return "; ".join(f"{zone}. {TTL} IN NS {server}." for server in servers)


def _servers(account: Account, zone: Zone) -> list[str]:
    with told(f"reading the hosted zone {zone.name}"):
        held = account.client("route53").get_hosted_zone(Id=zone.id)
    return sorted(_plain(server) for server in (held.get("DelegationSet") or {}).get("NameServers") or [])


def _parent(account: Account, zone: Zone) -> Zone | None:
    """The one public zone of this account that `zone` lies in, if there is one."""
    above = [other for other in hosted(account) if not other.private and zone.name.endswith(f".{other.name}")]
    longest = max((len(other.name) for other in above), default=0)
    nearest = [other for other in above if len(other.name) == longest]
    return nearest[0] if len(nearest) == 1 else None


def _delegate(account: Account, zone: Zone, parent: Zone, servers: Sequence[str]) -> None:
    """Names the zone's servers in its parent. What is there already under that name stays, and is an error."""
    client = account.client("route53")
    with told(f"delegating {zone.name} in {parent.name}"):
        held = client.list_resource_record_sets(
            HostedZoneId=parent.id, StartRecordName=zone.name, StartRecordType="NS", MaxItems="1"
        )["ResourceRecordSets"]
        if any(_plain(record["Name"]) == zone.name and record["Type"] == "NS" for record in held):
            return
        values = [{"Value": f"{server}."} for server in servers]
        record = {"Name": zone.name, "Type": "NS", "TTL": TTL, "ResourceRecords": values}
        changes = {"Changes": [{"Action": "CREATE", "ResourceRecordSet": record}]}
        client.change_resource_record_sets(HostedZoneId=parent.id, ChangeBatch=changes)


def _association(account: Account, needs: Needs, zone: Zone) -> list[Check]:
    """An existing VPC has to be one that the private zone is seen from; kOps sees to it for a VPC of its own."""
    if needs.vpc is None:
        return []
    subject, vpc = f"hosted zone {zone.name}: VPC", needs.vpc

    def seen() -> bool:
        with told(f"reading the hosted zone {zone.name}"):
            held: Mapping[str, Any] = account.client("route53").get_hosted_zone(Id=zone.id)
        return any(place["VPCId"] == vpc for place in held.get("VPCs") or [])

    def mend() -> None:
        if not seen():
            with told(f"showing the hosted zone {zone.name} to {vpc}"):
                place = {"VPCRegion": needs.region, "VPCId": vpc}
                account.client("route53").associate_vpc_with_hosted_zone(HostedZoneId=zone.id, VPC=place)

    if seen():
        return [fine(subject)]
    problem = f"The private hosted zone {zone.name} is not associated with {vpc}, so nodes there cannot see it."
    return [wrong(subject, problem, "It is associated.", mend)]


def _plain(name: str) -> str:
    return name.rstrip(".").lower()


def resolver(deadline: Deadline) -> Lookup:
    """Asks the parent's own name servers and, where those cannot be reached, the machine's resolver; at most 10 s."""

    def lookup(zone: str) -> Sequence[str]:
        from boatyard.aws.delegation import parents_servers

        return parents_servers(zone, min(_LOOKUP_SECONDS, deadline.left))

    return lookup
