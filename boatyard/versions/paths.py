"""The way from one version to another, one minor at a time, and in one sentence why there is none. Pure."""

from collections.abc import Iterable, Mapping, Sequence

from boatyard.errors import Permanent, Unsafe
from boatyard.versions.minor import Minor, Version, down_problem, newest, path
from boatyard.versions.skew import Tool, kubelet_problem


def explain(
    current: str | None,
    to: str,
    *,
    offered: Sequence[str] = (),
    kubelets: Mapping[str, str] | None = None,
    tool: Tool | None = None,
    kind: str = "",
) -> str | None:
    """Why a cluster cannot go from `current` to `to`; None when it can. current: None for one that is not there yet.

    offered: what the provider lets it run; () where that is not known, and then nothing is refused for it. kubelets:
    node → version of nodes that do not come along, such as those of pools that the spec does not have. tool: the
    program that makes the cluster. kind: the provider's, for the sentence.
    """
    if current is not None and (down := down_problem(current, to)):
        return down
    if current is not None and there(current, to):
        return None
    hops = path(current, to) if current is not None else []
    refusals = (tool.refusal(version) for version in [*hops[:-1], to]) if tool else ()
    return (
        next(filter(None, refusals), None)
        or _not_offered(to, hops, offered, kind)
        or _left_behind(hops, kubelets or {})
    )


def route(
    current: str | None,
    to: str,
    *,
    offered: Sequence[str] = (),
    kubelets: Mapping[str, str] | None = None,
    tool: Tool | None = None,
    kind: str = "",
) -> list[str]:
    """The versions to go through from `current` to `to`, `to` last; [] when it is there already.

    On the way the newest patch offered of each minor; where nothing is known of what is offered, the minor alone. A
    `to` without a patch stays so. `Unsafe` for a way down, `Permanent` for one impossible otherwise; see `explain`.
    """
    hops = [to] if current is None else path(current, to)
    why = explain(current, to, offered=offered, kubelets=kubelets, tool=tool, kind=kind)
    if why is not None:
        raise Unsafe(why) if current is not None and down_problem(current, to) else Permanent(why)
    if current is not None and there(current, to):
        return []
    return [newest(offered, hop) or hop for hop in hops[:-1]] + [to]


def there(current: str, to: str) -> bool:
    """Is a cluster at `current` one at `to`? Without a patch, any patch of the minor will do."""
    have, want = Version.parse(current), Version.parse(to)
    return have.of == want.of and (want.patch is None or have.patch is None or have.patch == want.patch)


def _not_offered(to: str, hops: Sequence[str], offered: Sequence[str], kind: str) -> str | None:
    if not offered:
        return None
    minors = {Minor.parse(version) for version in offered}
    wanted = Version.parse(to)
    clusters = f"{kind} clusters" if kind else "this provider's clusters"
    if wanted.of not in minors:
        return f"Kubernetes {to} is not offered for {clusters}; there are {', '.join(in_order(offered))}."
    missing = [hop for hop in hops if Minor.parse(hop) not in minors]
    if missing:
        way = f"{missing[0]} on the way" if len(missing) == 1 else f"{', '.join(missing)} on the way"
        are = "is" if len(missing) == 1 else "are"
        why = f"{way} {are} not offered for {clusters}, and no minor can be skipped"
        return f"Kubernetes {to} cannot be reached: {why}."
    if wanted.prerelease and to not in offered:
        return f"Kubernetes {to} is a pre-release that is not offered for {clusters}."
    if wanted.patch is not None and str(wanted.of) in offered:
        return f"Kubernetes {to} cannot be reached: {clusters} have no patch levels; say {wanted.of}."
    return None


def _left_behind(hops: Sequence[str], kubelets: Mapping[str, str]) -> str | None:
    """The first node that some hop would leave too far behind."""
    for hop in hops:
        for node, kubelet in sorted(kubelets.items()):
            if why := kubelet_problem(hop, kubelet):
                return f"Node {node} stays where it is, and {why}; replace or upgrade it first."
    return None


def in_order(versions: Iterable[str]) -> list[str]:
    """Oldest first: 1.9 before 1.10, a minor without a patch before its patches."""

    def key(text: str) -> tuple[Minor, int, bool]:
        version = Version.parse(text)
        return version.of, -1 if version.patch is None else version.patch, not version.prerelease

    return sorted(versions, key=key)
