"""Waivers: culprits that somebody has agreed to, with a reason and a last day. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import date
from fnmatch import fnmatchcase

from boatyard.kube.objects import Ref
from boatyard.kube.preflight.culprit import Culprit
from boatyard.spec.waivers import Waiver


def apply_waivers(culprits: Iterable[Culprit], waivers: Sequence[Waiver], today: date) -> list[Culprit]:
    """The same culprits, those waived marked with the reason, and a warning for each waiver that is over or idle.

    The first waiver that matches and is in force counts. A waiver is in force through its last day, in UTC.
    """
    used: set[int] = set()
    found = [_waived(culprit, waivers, today, used) for culprit in culprits]
    for at, waiver in enumerate(waivers):
        if at not in used:
            found.append(_unused(waiver))
        elif waiver.until < today:
            found.append(_expired(waiver))
    return found


def covers(waiver: Waiver, culprit: Culprit) -> bool:
    """`object` is compared with `Kind namespace/name`, or `Kind name` where there is no namespace; case counts."""
    return waiver.check == culprit.check and fnmatchcase(str(culprit.object), waiver.object)


def _waived(culprit: Culprit, waivers: Sequence[Waiver], today: date, used: set[int]) -> Culprit:
    matching = [(at, waiver) for at, waiver in enumerate(waivers) if covers(waiver, culprit)]
    used.update(at for at, _ in matching)
    force = next((waiver for _, waiver in matching if today <= waiver.until), None)
    return replace(culprit, waived=f"{force.reason} (until {force.until})") if force else culprit


def _unused(waiver: Waiver) -> Culprit:
    why = f"It matches nothing that was found; its reason was: {waiver.reason}."
    return _about("waiver-unused", waiver, why, "Remove it from policy.upgrade.waivers, or mend what it names.")


def _expired(waiver: Waiver) -> Culprit:
    why = f"It counts no longer: it was given until {waiver.until}; its reason was: {waiver.reason}."
    return _about("waiver-expired", waiver, why, "Mend what it waived, or agree to it anew with another day.")


def _about(check: str, waiver: Waiver, why: str, fix: str) -> Culprit:
    return Culprit(check, Ref("", "Waiver", "", f"{waiver.check} {waiver.object}"), "", why, fix, blocks=False)
