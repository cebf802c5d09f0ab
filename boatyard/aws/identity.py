"""Who we are in AWS, and whether the region and its zones are there for us."""

from collections.abc import Sequence

from boatyard.aws.account import Account
from boatyard.aws.checks import Check, Needs, fine, missing, warning, wrong
from boatyard.aws.errors import AwsDenied, NoCredentials, told

CREDENTIALS = "credentials"


def credentials(account: Account) -> list[Check]:
    """Credentials that AWS takes, by STS. A role that may not be taken on is wrong, no credentials are missing."""
    try:
        arn = account.arn
    except NoCredentials as error:
        return [missing(CREDENTIALS, error.message, error.hint or "")]
    except AwsDenied as error:
        fix = f"Let {account.role or 'these credentials'} be used: its trust policy has to allow sts:AssumeRole to you."
        return [wrong(CREDENTIALS, error.message, fix)]
    if arn.endswith(":root"):
        return [warning(CREDENTIALS, "These are the keys of the account's root user.", ROOT_FIX)]
    return [fine(CREDENTIALS)]


ROOT_FIX = "Make a role or user with what `boatyard aws policy installer` prints, and delete the root user's keys."


def region(account: Account, needs: Needs) -> list[Check]:
    """The region exists and is switched on for this account."""
    subject = f"region {needs.region}"
    home = {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.get(account.partition, "us-east-1")
    with told("listing regions"):
        listed = account.client("ec2", region=home).describe_regions(AllRegions=True)["Regions"]
    status = {entry["RegionName"]: entry.get("OptInStatus", "opt-in-not-required") for entry in listed}
    if needs.region not in status:
        near = ", ".join(sorted(name for name in status if name[:2] == needs.region[:2])) or ", ".join(sorted(status))
        return [missing(subject, f"AWS has no region {needs.region}.", f"Take zones of one of {near}.")]
    if status[needs.region] == "not-opted-in":
        fix = f"Run `aws account enable-region --region-name {needs.region}` and wait some minutes."
        return [wrong(subject, f"The region {needs.region} is not enabled for account {account.id}.", fix)]
    return [fine(subject)]


def zones(account: Account, needs: Needs) -> list[Check]:
    """Each zone exists, is available and offers the instance types that are wanted."""
    listed = list(account.pages("ec2", "describe_availability_zones", "AvailabilityZones", AllAvailabilityZones=True))
    found = {zone["ZoneName"]: zone for zone in listed}
    usable = sorted(name for name, zone in found.items() if _state(zone) == "")
    return [_zone(name, found, usable) for name in needs.zones] + _types(account, needs, set(usable))


def _zone(name: str, found: dict[str, dict[str, str]], usable: Sequence[str]) -> Check:
    subject = f"zone {name}"
    if name not in found:
        return missing(subject, f"There is no zone {name}.", f"Zones of this region are {', '.join(usable)}.")
    if problem := _state(found[name]):
        return wrong(subject, f"Zone {name} {problem}.", f"Usable zones are {', '.join(usable)}.")
    return fine(subject)


def _state(zone: dict[str, str]) -> str:
    """Why a zone cannot be used, "" when it can."""
    if zone.get("OptInStatus") == "not-opted-in":
        return "is not enabled for this account"
    if zone.get("State", "available") != "available":
        return f"is {zone['State']}"
    return ""


def _types(account: Account, needs: Needs, usable: set[str]) -> list[Check]:
    """One check for each instance type that not all wanted zones offer."""
    wanted = sorted({*needs.instances, *needs.spot})
    places = sorted(usable.intersection(needs.zones))
    if not wanted or not places:
        return []
    filters = [{"Name": "instance-type", "Values": wanted}, {"Name": "location", "Values": places}]
    offers = account.pages(
        "ec2",
        "describe_instance_type_offerings",
        "InstanceTypeOfferings",
        LocationType="availability-zone",
        Filters=filters,
    )
    offered = {(offer["InstanceType"], offer["Location"]) for offer in offers}
    checks = []
    for name in wanted:
        lacking = [zone for zone in places if (name, zone) not in offered]
        checks.append(_type(name, lacking, len(lacking) == len(places)))
    return checks


def _type(name: str, lacking: Sequence[str], nowhere: bool) -> Check:
    subject = f"instance type {name}"
    if not lacking:
        return fine(subject)
    problem = f"{name} is not offered in {', '.join(lacking)}."
    fix = "Take another instance type, or a zone that has it (`aws ec2 describe-instance-type-offerings`)."
    return missing(subject, problem, fix) if nowhere else warning(subject, problem, fix)
