"""Launch templates: which version is the newest, by what AWS tells and by what kOps was asked to make.

For some seconds after a change AWS may tell what was before it; by such an answer no machine would be outdated, and a
group would pass as up to date. So a version is noted in the state store before kOps is asked to make it, and counts
from then on, in a run that takes up one that was killed, too: what S3 tells is never of a moment ago.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from boatyard.aws.account import Account
from boatyard.aws.errors import AwsNotFound
from boatyard.drivers.kops.store import Asked, Store

Newest = dict[str, tuple[str, str, str]]


class Templates:
    """Those of one cluster."""

    def __init__(self, account: Account, store: Store) -> None:
        self._account, self._store = account, store
        self._told: dict[str, int] = {}
        self._known: dict[str, Asked] | None = None

    def newest(self, specs: Iterable[Mapping[str, Any]]) -> Newest:
        """Of the templates that groups name: by id and by name → the id, the default version and the newest one."""
        found: Newest = {}
        wanted = list(specs)
        for key, parameter in (
            ("LaunchTemplateId", "LaunchTemplateIds"),
            ("LaunchTemplateName", "LaunchTemplateNames"),
        ):
            names = sorted({str(spec[key]) for spec in wanted if spec.get(key)} - found.keys())
            for each in self._described({parameter: names}) if names else ():
                identity, name = str(each["LaunchTemplateId"]), str(each["LaunchTemplateName"])
                latest = max(self._latest(each), self._floor(name, identity))
                found[identity] = found[name] = (identity, str(each["DefaultVersionNumber"]), str(latest))
        return found

    def ask(self, names: Iterable[str]) -> None:
        """A further version of each is about to be made."""
        asked = {}
        for name, each in self._by_name(names).items():
            identity = str(each["LaunchTemplateId"])
            asked[name] = Asked(identity, max(self._latest(each) + 1, self._floor(name, identity)))
        self._note({**self._asked, **asked})

    def late(self) -> str:
        """What AWS does not tell yet of all that was asked for, ever; "" when nothing."""
        told = {
            name: (str(each["LaunchTemplateId"]), self._latest(each))
            for name, each in self._by_name(self._asked).items()
        }
        late = [name for name, (identity, latest) in told.items() if latest < self._floor(name, identity)]
        return f"AWS to tell of the new version of launch template {late[0]}" if late else ""

    def settle(self) -> None:
        """What AWS has told until now is all there is: what it told nothing of was never made, or is no more."""
        told = {name: Asked(each.template, self._told.get(each.template, 0)) for name, each in self._asked.items()}
        self._note({name: each for name, each in told.items() if each.version})

    @property
    def _asked(self) -> dict[str, Asked]:
        if self._known is None:
            self._known = self._store.asked()
        return self._known

    def _note(self, asked: dict[str, Asked]) -> None:
        if asked != self._asked:
            self._store.note(asked)
            self._known = asked

    def _floor(self, name: str, identity: str) -> int:
        """The version that was asked for; 0 where none was, or of a template that was deleted since."""
        asked = self._asked.get(name)
        return asked.version if asked is not None and asked.template == identity else 0

    def _latest(self, template: Mapping[str, Any]) -> int:
        """Numbers of versions only grow: a lower one than was told before is an answer of a moment ago."""
        identity = str(template["LaunchTemplateId"])
        self._told[identity] = max(int(template["LatestVersionNumber"]), self._told.get(identity, 0))
        return self._told[identity]

    def _by_name(self, names: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Those of them that are there."""
        wanted = sorted(names)
        filters = [{"Name": "launch-template-name", "Values": wanted}]
        found = self._described({"Filters": filters}) if wanted else []
        return {str(each["LaunchTemplateName"]): each for each in found}

    def _described(self, which: Mapping[str, Any]) -> list[Mapping[str, Any]]:
        try:
            return list(self._account.pages("ec2", "describe_launch_templates", "LaunchTemplates[]", **which))
        except AwsNotFound:
            return []  # deleted under a group that still names it: all that came from it is outdated
