"""Which versions may run side by side: the rules, each with its source, and what they say of one component. Pure.

Versions are texts such as `1.35.2`; only their minors count. `ValueError` for a text that is none.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from boatyard.versions.minor import Minor

POLICY = "https://kubernetes.io/releases/version-skew-policy/"


@dataclass(frozen=True)
class Rule:
    """How far a component's minor may be from the API server's. ahead, behind: minors; source: who says so.

    older: (minor, behind): components below `minor` may only be `behind` minors behind. advice: its makers recommend
    it, nothing is known to break.
    """

    component: str
    ahead: int
    behind: int
    source: str = POLICY
    older: tuple[Minor, int] | None = None
    advice: bool = False

    def behind_for(self, own: Minor) -> int:
        """Minors that a component at `own` may be behind."""
        return self.older[1] if self.older is not None and own < self.older[0] else self.behind


_BEFORE_1_25 = (Minor(1, 25), 2)
"""Kubelet and kube-proxy older than 1.25 may be two minors behind, not three; same source."""

RULES: Mapping[str, Rule] = {
    rule.component: rule
    for rule in (
        Rule("kubelet", ahead=0, behind=3, older=_BEFORE_1_25),
        Rule("kube-proxy", ahead=0, behind=3, older=_BEFORE_1_25),
        Rule("kube-controller-manager", ahead=0, behind=1),
        Rule("kube-scheduler", ahead=0, behind=1),
        Rule("cloud-controller-manager", ahead=0, behind=1),
        Rule("kubectl", ahead=1, behind=1),
        Rule(
            "cluster-autoscaler",
            ahead=0,
            behind=0,
            source="https://github.com/kubernetes/autoscaler/tree/master/cluster-autoscaler#releases",
            advice=True,
        ),
    )
}
"""Component → its rule towards the API server. The last is an add-on; others take their versions from elsewhere.

The policy also wants a node's kube-proxy within 3 minors of its kubelet: two that keep to these rules always are.
"""

API_SERVERS_APART = 1
"""Minors between the newest and the oldest API server of one cluster; same source."""


@dataclass(frozen=True)
class Tool:
    """The program that a driver makes clusters with, and the Kubernetes minors it takes, counted from its own minor.

    version: its own. ahead, behind: minors beyond and below its own that it takes.
    """

    name: str
    version: str
    ahead: int = 0
    behind: int = 0

    def refusal(self, version: str) -> str:
        """Why it cannot have this Kubernetes, by their minors alone; empty when it can."""
        own, wanted = Minor.parse(self.version), Minor.parse(version)
        newest, oldest = own.plus(self.ahead), own.plus(-self.behind)
        if wanted > newest:
            needed = wanted.plus(-self.ahead)
            return f"{self.name} {self.version} takes Kubernetes up to {newest}, {version} needs a {self.name} {needed}"
        if wanted < oldest:
            return f"{self.name} {self.version} takes Kubernetes {oldest} to {newest}, not {version}"
        return ""


def problem(component: str, version: str, api_servers: str | Iterable[str]) -> str | None:
    """Why the component must not run with these API servers; None when it may. `KeyError`: there is no rule for it.

    Of several API servers it must neither be too far ahead of the oldest nor too far behind the newest.
    """
    rule, own = RULES[component], Minor.parse(version)
    servers = sorted([api_servers] if isinstance(api_servers, str) else api_servers, key=Minor.parse)
    oldest, newest = servers[0], servers[-1]
    ahead, behind = own.ahead_of(Minor.parse(oldest)), Minor.parse(newest).ahead_of(own)
    if ahead > rule.ahead:
        may = f"at most {_minors(rule.ahead)} ahead" if rule.ahead else "the same or older"
        return f"{component} {version} is {_minors(ahead)} ahead of the API server {oldest}; it {_may(rule)} be {may}"
    allowed = rule.behind_for(own)
    if behind > allowed:
        may = f"at most {_minors(allowed)}" if allowed else "the same minor"
        return f"{component} {version} is {_minors(behind)} behind the API server {newest}; it {_may(rule)} be {may}"
    return None


def kubelet_problem(api_server: str, kubelet: str) -> str | None:
    """Why this kubelet must not run under this API server; None when it may."""
    return problem("kubelet", kubelet, api_server)


def kubectl_problem(api_server: str, kubectl: str) -> str | None:
    """Why this kubectl should not be used with this API server; None when it may."""
    return problem("kubectl", kubectl, api_server)


def api_servers_problem(versions: Iterable[str]) -> str | None:
    """Why these API servers must not serve one cluster; None when they may, and when there is only one."""
    ordered = sorted(versions, key=Minor.parse)
    if not ordered:
        return None
    apart = Minor.parse(ordered[-1]).ahead_of(Minor.parse(ordered[0]))
    if apart <= API_SERVERS_APART:
        return None
    return (
        f"the API servers {ordered[0]} and {ordered[-1]} are {_minors(apart)} apart;"
        f" they may be at most {API_SERVERS_APART}"
    )


def next_allowed(api_server: str, kubelets: Mapping[str, str]) -> str | None:
    """The next minor the API server may go to; None while a node's kubelet would then be too far behind."""
    following = str(Minor.parse(api_server).plus(1))
    return None if any(kubelet_problem(following, version) for version in kubelets.values()) else following


def _minors(count: int) -> str:
    return f"{count} minor" if count == 1 else f"{count} minors"


def _may(rule: Rule) -> str:
    return "should" if rule.advice else "may"
