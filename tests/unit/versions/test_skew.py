"""Which versions may run side by side."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from boatyard.versions import Minor, kubectl_problem, kubelet_problem, next_allowed
from boatyard.versions.skew import RULES, Tool, api_servers_problem, problem

MINORS = st.integers(20, 60).map("1.{}".format)


@pytest.mark.parametrize(
    ("component", "api_servers", "version", "why"),
    [
        ("kubelet", "1.36", "1.36", None),
        ("kubelet", "1.36", "1.33.9", None),
        ("kubelet", "1.36", "1.32", "4 minors behind the API server 1.36; it may be at most 3 minors"),
        ("kubelet", "1.35.9", "1.36.0", "1 minor ahead of the API server 1.35.9; it may be the same or older"),
        ("kubelet", "1.26", "1.24.9", None),
        ("kubelet", "1.27", "1.24.9", "at most 2 minors"),  # below 1.25 only two
        ("kubelet", ("1.36", "1.35"), "1.36", "ahead of the API server 1.35"),  # the oldest of several counts
        ("kubelet", ("1.35", "1.36"), "1.32", "behind the API server 1.36"),  # and the newest
        ("kube-proxy", "1.36", "1.33", None),
        ("kube-proxy", "1.36", "1.37", "ahead"),
        ("kube-controller-manager", "1.36", "1.35.2", None),
        ("kube-controller-manager", "1.36", "1.34", "at most 1 minor"),
        ("kube-scheduler", ("1.36", "1.35"), "1.36", "ahead of the API server 1.35"),
        ("cloud-controller-manager", "1.36", "1.37", "the same or older"),
        ("kubectl", "1.35", "1.34", None),
        ("kubectl", "1.35", "1.36", None),
        ("kubectl", "1.35", "1.33", "2 minors behind"),
        ("kubectl", "1.35", "1.37", "it may be at most 1 minor ahead"),
        ("cluster-autoscaler", "1.35", "1.35.9", None),
        ("cluster-autoscaler", "1.35", "1.34", "it should be the same minor"),
    ],
)
def test_each_component_towards_the_api_server(
    component: str, api_servers: str | tuple[str, ...], version: str, why: str | None
) -> None:
    found = problem(component, version, api_servers)
    assert (found is None) is (why is None)
    assert (why or "") in (found or "")


def test_every_rule_names_its_source() -> None:
    assert all(rule.source.startswith("https://") for rule in RULES.values())


def test_two_short_names() -> None:
    assert kubelet_problem("1.36", "1.32")
    assert kubectl_problem("1.36", "1.38")
    assert not kubelet_problem("1.36", "1.33")
    assert not kubectl_problem("1.36", "1.37")


@given(MINORS, MINORS, MINORS)
def test_a_proxy_is_near_its_kubelet_where_both_keep_to_the_api_server(kubelet: str, proxy: str, server: str) -> None:
    """Which is why nobody looks at the two beside each other."""
    if problem("kubelet", kubelet, server) is None and problem("kube-proxy", proxy, server) is None:
        assert abs(Minor.parse(kubelet).ahead_of(Minor.parse(proxy))) <= 3


@pytest.mark.parametrize(
    ("versions", "fits"), [((), True), (("1.36",), True), (("1.36.1", "1.35"), True), (("1.36", "1.34", "1.35"), False)]
)
def test_api_servers_of_one_cluster(versions: tuple[str, ...], fits: bool) -> None:
    assert (api_servers_problem(versions) is None) is fits


def test_the_api_server_waits_for_old_kubelets() -> None:
    assert next_allowed("1.35", {"a": "1.35", "b": "1.33"}) == "1.36"
    assert next_allowed("1.36", {"a": "1.36", "b": "1.33"}) is None


@given(MINORS, MINORS, MINORS)
def test_more_api_servers_never_allow_more(component: str, one: str, other: str) -> None:
    for name in RULES:
        if problem(name, component, [one, other]) is None:
            assert problem(name, component, one) is None
            assert problem(name, component, other) is None


@pytest.mark.parametrize(
    ("version", "why"),
    [("1.36.9", ""), ("1.31.0", ""), ("1.37.0", "needs a kOps 1.37"), ("1.30.9", "takes Kubernetes 1.31 to 1.36")],
)
def test_a_tool_takes_a_range_of_minors(version: str, why: str) -> None:
    said = Tool("kOps", "1.36.2", behind=5).refusal(version)
    assert why in said
    assert bool(said) is bool(why)


def test_a_tool_that_runs_ahead_of_its_own_minor() -> None:
    assert Tool("other", "1.30.0", ahead=1).refusal(str(Minor(1, 31))) == ""
    assert "needs a other 1.31" in Tool("other", "1.30.0", ahead=1).refusal("1.32")
