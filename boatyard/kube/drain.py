"""Drain: take all pods off nodes, as fast as their disruption budgets allow and never faster.

All nodes are cordoned before the first pod is evicted, so that no pod moves to a node that is next. One watch on pods
and one on PodDisruptionBudgets serve the whole drain; a pod that its budget holds back waits until the watch shows
head-room.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from boatyard.clock import Deadline
from boatyard.errors import NotFound, Permanent, Temporary, Unsafe
from boatyard.kube.client import ApiBusy, ApiError, Client
from boatyard.kube.drainboard import Attempt, Board
from boatyard.kube.eviction import Json
from boatyard.kube.follow import Follower

_PODS = "/api/v1/pods"
_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"

_CONFLICT_DELAY = 1.0
"""Seconds until a pod is asked for again after a conflict; normally the watch removes it long before."""

Report = Callable[[str], None]


def _silent(line: str) -> None:
    """Nobody listens."""


def _unfenced() -> None:
    """No lease to check."""


def _unheard(pod: str, why: str) -> None:
    """Nobody keeps a record."""


@dataclass(frozen=True)
class Rules:
    """What a policy says of a drain.

    order: label selectors; pods of an earlier one leave first, and are gone before the next begin.
    force_after: seconds after which a budget that has let no pod of this drain go is passed over, and the pods that it
    holds back are deleted, each with its grace period; None is never.
    patience: seconds within which the next node must have become empty; None is as long as the deadline allows.
    on_forced: told of each pod, and why, right before it is deleted without its budget's leave.
    """

    order: tuple[str, ...] = ()
    force_after: float | None = None
    patience: float | None = None
    on_forced: Callable[[str, str], None] = _unheard


def cordon(client: Client, node: str) -> bool:
    """Keep new pods off a node. False when it was cordoned already; `NotFound` when there is no such node."""
    return _set_unschedulable(client, node, True)


def uncordon(client: Client, node: str) -> bool:
    """Let pods onto a node again. False when it was not cordoned; `NotFound` when there is no such node."""
    return _set_unschedulable(client, node, False)


def _set_unschedulable(client: Client, node: str, wanted: bool) -> bool:
    path = f"/api/v1/nodes/{node}"
    if bool(client.get(path)["spec"].get("unschedulable")) is wanted:
        return False
    client.patch(path, {"spec": {"unschedulable": wanted or None}})
    return True


def drain_nodes(
    client: Client,
    nodes: Sequence[str],
    *,
    deadline: Deadline,
    parallel: int = 32,
    report: Report = _silent,
    fence: Callable[[], None] = _unfenced,
    on_empty: Callable[[str], None] | None = None,
    force_unmanaged: bool = True,
    rules: Rules = Rules(),
) -> None:
    """Cordon all `nodes`, evict their pods through the Eviction API and wait until they are gone.

    DaemonSet, mirror and finished pods stay. Nothing is deleted but by eviction, unless `rules` force it.
    `on_empty(node)` is called once a node as soon as it holds no pod that must leave, from a thread of its own, several
    nodes at once; an absent node counts as empty. `fence` is called right before each change.

    Raises `Permanent` for a pod that more than one budget covers and, unless `force_unmanaged`, `Unsafe` for pods
    without a controller, both before anything is changed; `DeadlineExceeded` naming node, pod and budget, with the
    nodes left cordoned; `Fenced` when the deadline is stopped: what was asked for goes on to its end, nothing more is
    asked for, and the nodes stay cordoned for whoever goes on; whatever `on_empty` or `fence` raise.
    """
    if not nodes:
        return
    board = Board(nodes, deadline.clock, report, order=rules.order, force_after=rules.force_after)
    with (
        deadline.stopped.calling(board.wake),
        _following(client, board, nodes),
        ThreadPoolExecutor(parallel, "drain") as pool,
    ):
        board.wait_synced(deadline)
        _safe_to_start(board, force_unmanaged, report)
        drain = _Drain(client, board, pool, deadline, report, fence, rules)
        drain.cordon_all(nodes)
        drain.run(on_empty, parallel)


@contextmanager
def _following(client: Client, board: Board, nodes: Sequence[str]) -> Iterator[None]:
    """The two watches, for as long as the drain lasts."""
    selector = {"fieldSelector": f"spec.nodeName={nodes[0]}"} if len(nodes) == 1 else {}
    pods = Follower(client, _PODS, board.pod_changed, board.fail, **selector)
    budgets = Follower(client, _BUDGETS, board.budget_changed, board.fail)
    with budgets, pods:
        yield


def _safe_to_start(board: Board, force_unmanaged: bool, report: Report) -> None:
    if doubled := board.doubly_covered():
        raise Permanent(
            f"cannot drain: {'; '.join(doubled)}.",
            hint="Eviction needs at most one budget a pod: narrow their selectors.",
        )
    bare = board.unmanaged()
    if bare and not force_unmanaged:
        raise Unsafe(
            f"cannot drain: no controller would bring back {', '.join(bare)}.", hint="Move them first, or force it."
        )
    for pod in bare:
        report(f"{pod} has no controller: it will be gone after its eviction")


class _Drain:
    """One drain under way: hands attempts to threads and their outcomes back to the board."""

    def __init__(
        self,
        client: Client,
        board: Board,
        pool: ThreadPoolExecutor,
        deadline: Deadline,
        report: Report,
        fence: Callable[[], None],
        rules: Rules,
    ) -> None:
        self._rules = rules
        self._client = client
        self._board = board
        self._pool = pool
        self._deadline = deadline
        self._report = report
        self._fence = fence
        self._over = threading.Event()

    def cordon_all(self, nodes: Sequence[str]) -> None:
        """Side by side; a node that does not exist has nothing to be cordoned."""
        for found in list(self._pool.map(self._cordon, nodes)):
            self._report(found)

    def _cordon(self, node: str) -> str:
        self._fence()
        try:
            return f"node {node} cordoned" if cordon(self._client, node) else f"node {node} was cordoned already"
        except NotFound:
            return f"node {node} is gone already"

    def run(self, on_empty: Callable[[str], None] | None, parallel: int) -> None:
        """Evict until every node is empty and every `on_empty` has returned."""
        with ThreadPoolExecutor(parallel, "emptied") as callbacks:
            try:
                self._loop(on_empty or _silent, callbacks)
            except BaseException:
                self._over.set()
                self._pool.shutdown(wait=False, cancel_futures=True)
                callbacks.shutdown(wait=False, cancel_futures=True)
                raise

    def _loop(self, on_empty: Callable[[str], None], callbacks: ThreadPoolExecutor) -> None:
        running: set[Future[None]] = set()
        within = self._next_node_within()
        while True:
            self._deadline.stopped.check(self._deadline.what)
            self._board.raise_failure()
            for node in self._board.newly_empty():
                within = self._next_node_within()
                future = callbacks.submit(self._emptied, node, on_empty)
                future.add_done_callback(lambda _: self._board.wake())
                running.add(future)
            for attempt in self._board.attempts():
                self._pool.submit(self._evict, attempt)
            for future in [future for future in running if future.done()]:
                running.discard(future)
                future.result()
            if not running and self._board.done:
                return
            within.check(lambda: self._board.explain() or "what follows on an empty node")
            self._board.wait(within.left)

    def _next_node_within(self) -> Deadline:
        """A batch is given as much time as its nodes would be given one after another."""
        patience = self._rules.patience
        return self._deadline if patience is None else self._deadline.sooner(patience, self._deadline.what)

    def _emptied(self, node: str, on_empty: Callable[[str], None]) -> None:
        """A pod may have been bound in the moment of the cordon, before the watch showed it: look once more."""
        if not self._board.pods_found(node, self._pods_on(node)):
            self._report(f"node {node} is empty")
            on_empty(node)

    def _pods_on(self, node: str) -> list[Json]:
        """An API server that is away for a while ends no drain, as long as the watches bear with it."""
        while True:
            try:
                return list[Json](self._client.list(_PODS, fieldSelector=f"spec.nodeName={node}"))
            except ApiBusy as error:
                if self._over.is_set():
                    raise
                self._deadline.check(f"the pods on node {node}")
                self._deadline.clock.wait(self._deadline.stopped, min(error.delay, self._deadline.left))

    def _evict(self, attempt: Attempt) -> None:
        try:
            self._fence()
            path = f"/api/v1/namespaces/{attempt.namespace}/pods/{attempt.name}"
            if attempt.forced:
                self._force(path, attempt)
            else:
                self._client.create(f"{path}/eviction", _eviction(attempt))
        except ApiError as error:
            self._judge(attempt, error)
        except BaseException as error:  # noqa: BLE001 - a thread's failure belongs to the drain, whatever it is
            self._board.fail(error)
        else:
            how = "deleted" if attempt.forced else "evicted"
            self._report(f"{how} {attempt.namespace}/{attempt.name} from {attempt.node}")
            self._board.evicted(attempt)

    def _force(self, path: str, attempt: Attempt) -> None:
        """Without the budget's leave, but with the pod's own grace period."""
        why = f"it was held back for {self._rules.force_after:g} s: {self._board.budget_of(attempt)}"
        pod = f"{attempt.namespace}/{attempt.name}"
        self._report(f"forcing {pod} off {attempt.node}: {why}")
        self._rules.on_forced(pod, f"on {attempt.node} {why}")
        self._client.delete(path, uid=attempt.uid)

    def _judge(self, attempt: Attempt, error: ApiError) -> None:
        """What a refused eviction means; only a pressed server or a lost connection is tried again by time."""
        causes = {cause.get("reason") for cause in (error.details or {}).get("causes") or ()}
        if error.status == 404 or "NamespaceTerminating" in causes:
            self._board.settled(attempt)
        elif error.status == 409:  # another pod of that name by now; if not, it is still there to be asked for
            self._board.postponed(attempt, _CONFLICT_DELAY)
        elif error.status == 429 and "DisruptionBudget" in causes:
            self._board.refused(attempt)
        elif error.status == 500 and "more than one PodDisruptionBudget" in error.message:
            self._board.fail(
                Permanent(f"cannot evict {attempt.namespace}/{attempt.name}: {self._board.covering(attempt)}.")
            )
        elif isinstance(error, Temporary):
            self._board.postponed(attempt, error.delay, str(error))
        else:
            self._board.fail(error)


def _eviction(attempt: Attempt) -> Json:
    # The UID keeps a StatefulSet's next pod of the same name, elsewhere by then, out of danger.
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": attempt.name, "namespace": attempt.namespace},
        "deleteOptions": {"preconditions": {"uid": attempt.uid}},
    }
