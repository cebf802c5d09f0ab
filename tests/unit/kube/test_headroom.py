"""Which nodes are emptied together: as many as the budgets of their pods have head-room for, and always one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from boatyard.kube.eviction import Budget, Pod, budgets_of
from boatyard.kube.headroom import fitting
from boatyard.plan.surge import MOST, at_most


def pod(name: str, node: str, app: str = "web", **more: object) -> Pod:
    known = {"phase": "Running", "ready": True, "terminating": False, "controller": "ReplicaSet", "mirror": False}
    return Pod(uid=name, namespace="shop", name=name, node=node, labels={"app": app}, **(known | more))  # type: ignore[arg-type]


def budget(allowed: int, app: str = "web") -> Budget:
    return Budget(
        namespace="shop",
        name=app,
        version="1",
        selector={"matchLabels": {"app": app}},
        processed=True,
        allowed=allowed,
        healthy=allowed + 1,
        desired=1,
        expected=allowed + 1,
        always_allow_unready=False,
    )


NODES = ["n1", "n2", "n3", "n4"]


def test_a_budget_of_one_lets_one_of_its_nodes_begin() -> None:
    pods = [pod(f"p-{node}", node) for node in NODES]
    assert fitting(NODES, pods, [budget(1)], 4) == ["n1"]
    assert fitting(NODES, pods, [budget(3)], 4) == ["n1", "n2", "n3"]


def test_nodes_of_different_budgets_begin_together() -> None:
    pods = [pod("a", "n1"), pod("b", "n2"), pod("c", "n3", "db"), pod("d", "n4", "db")]
    assert fitting(NODES, pods, [budget(1), budget(1, "db")], 4) == ["n1", "n3"]


def test_a_node_that_one_budget_blocks_begins_by_another() -> None:
    pods = [pod("a", "n1"), pod("b", "n2"), pod("c", "n2", "db")]
    assert fitting(["n1", "n2"], pods, [budget(1), budget(1, "db")], 4) == ["n1", "n2"]


def test_empty_nodes_and_unguarded_pods_never_wait() -> None:
    pods = [pod("a", "n2", "free"), pod("d", "n3", controller="DaemonSet")]
    assert fitting(NODES, pods, [budget(0)], 4) == NODES


def test_where_nothing_may_move_one_node_waits_and_names_the_budget() -> None:
    pods = [pod(f"p-{node}", node) for node in NODES]
    assert fitting(NODES, pods, [budget(0)], 4) == ["n1"]


def test_a_quarter_of_the_pool_at_most_and_never_more_than_twenty() -> None:
    assert [at_most(None, count) for count in (0, 1, 3, 4, 8, 50, 80, 400)] == [1, 1, 1, 1, 2, 12, 20, MOST]
    assert [at_most(surge, 50) for surge in (1, 3, 100)] == [1, 3, 100]


apps = st.sampled_from(["web", "db", "free"])


@given(
    st.lists(st.tuples(st.sampled_from(NODES), apps), max_size=30),
    st.integers(0, 4),
    st.integers(0, 4),
    st.integers(1, 5),
)
def test_no_more_nodes_begin_than_the_budgets_can_serve(
    placed: list[tuple[str, str]], web: int, db: int, most: int
) -> None:
    pods = [pod(f"p{at}", node, app) for at, (node, app) in enumerate(placed)]
    budgets = [budget(web), budget(db, "db")]
    chosen = fitting(NODES, pods, budgets, most)
    assert 1 <= len(chosen) <= most
    assert chosen == [node for node in NODES if node in chosen], "in their order"
    guarded = Counter(each.node for each in pods if budgets_of(each, budgets))
    served = [node for node in chosen if guarded[node]]
    assert len(served) <= max(1, web + db)
    if not (web or db) and any(guarded[node] for node in chosen):
        assert len(chosen) == 1 or all(not guarded[node] for node in chosen)
