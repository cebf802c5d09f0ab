"""A plan in the making."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from boatyard.plan.model import Plan, Step, Verb
from boatyard.spec.models import Cluster
from boatyard.spec.types import format_duration

FALLBACK = timedelta(seconds=30)


@dataclass
class Draft:
    """Steps in the making, and which of them the later ones must wait for."""

    cluster: Cluster
    expected: Mapping[Verb, timedelta]
    in_place: bool = True
    steps: list[Step] = field(default_factory=list)

    def add(
        self,
        verb: Verb,
        target: str,
        reason: str,
        *,
        after: tuple[str, ...] = (),
        disrupts: str | None = None,
        no_way_back: str | None = None,
        ends_upgrade: bool = False,
        expected: timedelta | None = None,
        times: int = 1,
        suffix: str = "",
        **params: Any,
    ) -> str:
        """Append a step and return its id.

        expected: when other than the verb's own. times: how often that is paid (nodes, say).
        """
        name = "-".join(filter(None, (verb.replace(" ", "-"), target if target != self.cluster.name else "", suffix)))
        self.steps.append(
            Step(
                id=name,
                verb=verb,
                target=target,
                reason=reason,
                params=params,
                after=tuple(dict.fromkeys(after)),
                disrupts=disrupts,
                no_way_back=no_way_back,
                ends_upgrade=ends_upgrade,
                expected=(self.expected.get(verb, FALLBACK) if expected is None else expected) * max(1, times),
            )
        )
        return name

    def moved(self, what: str) -> str:
        """Of a step that drains: what its users notice, and what may not be spared them."""
        force = self.cluster.policy.upgrade.force_after
        if force is None:
            return what
        return f"{what}; pods that a budget holds back for {format_duration(force)} are deleted against it"

    def plan(self, *, incomplete: bool = False) -> Plan:
        return Plan(
            cluster=self.cluster.name,
            provider=self.cluster.provider.kind,
            steps=tuple(self.steps),
            incomplete=incomplete,
        )
