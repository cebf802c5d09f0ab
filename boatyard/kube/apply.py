"""Server-side apply of many objects at once: what others need first, everything independent in parallel."""

import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from boatyard.clock import Deadline
from boatyard.errors import BoatyardError, DeadlineExceeded, Fenced, NotFound, Permanent, Temporary
from boatyard.kube.client import APPLY, ApiConflict, ApiError, ApiInvalid, ApiNotFound, Client, Response
from boatyard.kube.objects import CRD, MANAGER, Ref, defined_kinds, labels, order, served_path, wave
from boatyard.kube.waiting import wait_gone

Report = Callable[[str], None]
Fence = Callable[[], None]
Action = Literal["created", "configured", "unchanged", "replaced"]

PARALLEL = 16
_FENCE_EVERY = 1.0  # seconds; a lease lives far longer than that
_HEARD_WITHIN = 10.0  # seconds
_MONTHS = "JanFebMarAprMayJunJulAugSepOctNovDec"
_SHOWN = 20  # failures named in one error


@dataclass(frozen=True)
class Applied:
    """What became of one object. `object` is the server's answer: the object as it now stands."""

    ref: Ref
    action: Action
    object: dict[str, Any] = field(repr=False, compare=False)


class ApplyConflicts(Permanent):
    """Fields of our objects belong to other managers; `conflicts` has (object, field, manager) for each."""

    def __init__(self, conflicts: Sequence[tuple[Ref, str, str]]) -> None:
        self.conflicts = tuple(conflicts)
        lines = [f"{ref}: {where} belongs to {manager}" for ref, where, manager in self.conflicts]
        super().__init__(
            "Some fields are managed by others: " + "; ".join(lines) + ".",
            hint="Take them out of the source, let the other manager give them up, or deploy with force.",
        )


class Guard:
    """The fence as often as it makes sense for hundreds of requests: before the first, then once a second."""

    def __init__(self, fence: Fence | None, deadline: Deadline) -> None:
        self._fence, self._deadline = fence, deadline
        self._lock = threading.Lock()
        self._next = float("-inf")

    def __call__(self) -> None:
        """Raises `Fenced` when the lease was lost, `DeadlineExceeded` when the time is over."""
        self._deadline.check()
        if self._fence is None:
            return
        with self._lock:
            now = self._deadline.clock.monotonic()
            if now >= self._next:
                self._fence()
                self._next = now + _FENCE_EVERY


@dataclass(frozen=True)
class _Start:
    """The server's state before the first change: what is not newer was not changed by us."""

    revision: int
    second: str

    @classmethod
    def read(cls, client: Client) -> "_Start":
        answer = client.raw("GET", "/api/v1/namespaces", params={"limit": 1})
        return cls(int(answer.json()["metadata"]["resourceVersion"]), _moment(answer.headers["date"]))

    def unchanged(self, answer: Mapping[str, Any], manager: str) -> bool:
        """True when the object is older than the start, or was changed since, but not by `manager`'s apply."""
        metadata = answer["metadata"]
        if int(metadata["resourceVersion"]) <= self.revision:
            return True
        for entry in metadata.get("managedFields") or []:
            if (entry.get("manager"), entry.get("operation")) == (manager, "Apply") and not entry.get("subresource"):
                return str(entry.get("time") or "") < self.second
        return False


def _moment(date: str) -> str:
    """`Wed, 25 Nov 2026 19:38:54 GMT`, as every HTTP server writes it → `2026-11-25T19:38:54Z`."""
    _, day, month, year, time, _ = date.split()
    return f"{year}-{_MONTHS.index(month) // 3 + 1:02d}-{day}T{time}Z"


def apply_objects(
    client: Client,
    objects: Iterable[Mapping[str, Any]],
    *,
    deadline: Deadline,
    manager: str = MANAGER,
    force: bool = False,
    dry_run: bool = False,
    parallel: int = PARALLEL,
    fence: Fence | None = None,
) -> list[Applied]:
    """Apply every object, in the order given back; namespaced ones must name their namespace.

    What is being deleted is waited for until it has gone, and is made anew.
    Definitions and namespaces go first, then what pods rely on, then the rest; objects of new kinds go once those are
    served. Inside of a wave all goes in parallel.
    An error does not stop the others of its wave, so all are told at once: `ApplyConflicts` when all are conflicts,
    `Temporary` when all are temporary, else `Permanent` with one line an object. force: take fields over from other
    managers.
    """
    documents = list(objects)
    refs = [Ref.of(document) for document in documents]
    _refuse_twins(refs)
    start = _Start.read(client)
    guard = Guard(None if dry_run else fence, deadline)
    params = {
        "fieldManager": manager,
        "fieldValidation": "Strict",
        "force": force or None,
        "dryRun": "All" if dry_run else None,
    }
    done: dict[int, Applied] = {}

    def one(index: int) -> Applied:
        guard()
        return _apply_one(client, refs[index], documents[index], params, start, deadline)

    with ThreadPoolExecutor(max_workers=parallel, thread_name_prefix="apply") as pool:
        failures: list[tuple[Ref, BoatyardError]] = []
        settled: Future[None] = Future()
        settled.set_result(None)

        def late(index: int) -> Applied:
            settled.result()
            return _once_known(lambda: one(index), deadline)

        new = _of_new_kinds(documents)
        for number, indices in _stages(refs, new):
            if number == 3:
                settled.result()
            if number == 3 and not dry_run:
                for namespace in {refs[index].namespace for index in indices if refs[index].kind == "Pod"}:
                    _service_account(client, namespace, deadline)
            futures = {pool.submit(late if index in new else one, index): index for index in indices}
            try:
                for future in as_completed(futures):
                    _collect(future.result, futures[future], refs, done, failures)
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
            if failures and number == 0:
                break
            if number == 0 and not dry_run:  # meanwhile goes on what needs no new definition
                settled = pool.submit(_settle, client, [done[index].object for index in indices], deadline)
        settled.result()
    if failures:
        raise _summary(failures)
    return [done[index] for index in range(len(refs))]


def _once_known(work: Callable[[], Applied], deadline: Deadline) -> Applied:
    """Of several API servers, one may hear of a new kind a moment later than the one that answered so far."""
    patience = deadline.sooner(_HEARD_WITHIN, deadline.what)
    while True:
        try:
            return work()
        except NotFound:
            if patience.passed:
                raise
            deadline.clock.wait(deadline.stopped, 0.5)


def _of_new_kinds(documents: Sequence[Mapping[str, Any]]) -> set[int]:
    """Indices of the objects whose kinds are defined among them."""
    own = defined_kinds(documents)
    return {index for index, one in enumerate(documents) if (one["apiVersion"], one["kind"]) in own}


def _stages(refs: Sequence[Ref], new: set[int]) -> Iterator[tuple[int, list[int]]]:
    """Indices by wave; objects of `new` kinds last in theirs, as they wait until those are served."""
    sequence = sorted(range(len(refs)), key=lambda index: (wave(refs[index]), index in new, order(refs[index])))
    for number, group in itertools.groupby(sequence, key=lambda index: wave(refs[index])):
        yield number, list(group)


def _collect(
    result: Callable[[], Applied],
    index: int,
    refs: Sequence[Ref],
    done: dict[int, Applied],
    failures: list[tuple[Ref, BoatyardError]],
) -> None:
    try:
        done[index] = result()
    except (Fenced, DeadlineExceeded):
        raise
    except BoatyardError as error:
        failures.append((refs[index], error))


def _apply_one(
    client: Client, ref: Ref, document: Mapping[str, Any], params: Mapping[str, Any], start: _Start, deadline: Deadline
) -> Applied:
    try:
        body = orjson.dumps(document, option=orjson.OPT_NON_STR_KEYS)
    except TypeError as error:
        raise Permanent(f"{ref} cannot be written as JSON: {error}.") from None
    path = client.path_of(document)
    try:
        answer = _patch(client, path, body, params)
    except ApiInvalid as error:
        if params.get("dryRun") or not replaceable(client, ref, path, document, error):
            raise
        _delete(client, path)
        return _made_anew(client, ref, path, body, params, deadline)
    now = answer.json()
    if now["metadata"].get("deletionTimestamp") and not params.get("dryRun"):  # it will go, whatever we wrote into it
        return _made_anew(client, ref, path, body, params, deadline)
    if answer.status == 201:
        return Applied(ref, "created", now)
    return Applied(ref, "unchanged" if start.unchanged(now, str(params["fieldManager"])) else "configured", now)


def _patch(client: Client, path: str, body: bytes, params: Mapping[str, Any]) -> Response:
    """Tried again when somebody else wrote at the same moment, which says nothing about our fields."""
    for last in (False, False, True):
        try:
            return client.raw("PATCH", path, body=body, content_type=APPLY, params=params)
        except ApiConflict as error:
            if last or error.fields:
                raise
    raise AssertionError("unreachable")


def replaceable(client: Client, ref: Ref, path: str, document: Mapping[str, Any], error: ApiInvalid) -> bool:
    """A Job's template never changes; one that carries the same marks as the new one is ours to replace."""
    if ref.type != ("batch", "Job") or not any("immutable" in cause.get("message", "") for cause in error.causes):
        return False
    ours = {key: value for key, value in labels(document).items() if key.startswith("boatyard.dev/")}
    return bool(ours) and ours.items() <= labels(client.get(path)).items()


def _delete(client: Client, path: str) -> None:
    try:
        client.delete(path, propagation="Foreground", uid=client.get(path)["metadata"]["uid"])
    except ApiNotFound:
        return


def _made_anew(
    client: Client, ref: Ref, path: str, body: bytes, params: Mapping[str, Any], deadline: Deadline
) -> Applied:
    """Once what is being deleted is gone. `DeadlineExceeded` names what holds it."""
    wait_gone(client, [ref], deadline=deadline)
    return Applied(ref, "replaced", _patch(client, path, body, params).json())


def _settle(client: Client, answers: Iterable[Mapping[str, Any]], deadline: Deadline) -> None:
    """Wait until new definitions are established and served."""
    definitions = [answer for answer in answers if Ref.of(answer).type == CRD]
    if definitions:
        _established(client, {str(definition["metadata"]["name"]) for definition in definitions}, deadline)
    for definition in definitions:
        _served(client, definition, deadline)


def _established(client: Client, names: set[str], deadline: Deadline) -> None:
    missing = set(names)
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    with client.watch(path, deadline=deadline) as watch:
        for event in watch:
            conditions = {c["type"]: c["status"] for c in (event.object.get("status") or {}).get("conditions") or []}
            if conditions.get("Established") == "True":
                missing.discard(event.object["metadata"]["name"])
            if not missing:
                return
    deadline.check(lambda: f"the definitions {', '.join(sorted(missing))} to be established")


def _served(client: Client, definition: Mapping[str, Any], deadline: Deadline) -> None:
    """Established comes a moment before the path answers; there is nothing to watch in between."""
    path = served_path(definition)
    if path is None:
        return
    pause = 0.02
    while True:
        try:
            client.get(path, limit=1)
            return
        except ApiNotFound:
            deadline.check(f"{path} to be served")
            deadline.clock.wait(deadline.stopped, pause)
            pause = min(0.5, pause * 2)


def _service_account(client: Client, namespace: str, deadline: Deadline) -> None:
    """A pod in a new namespace is refused until the controllers made `default` there, which takes a moment."""
    path = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    with client.watch(path, timeout=2.0, deadline=deadline, fieldSelector="metadata.name=default") as watch:
        for event in watch:
            if event.type == "ADDED":
                return


def _refuse_twins(refs: Sequence[Ref]) -> None:
    seen: set[Ref] = set()
    for ref in refs:
        if ref in seen:
            raise Permanent(f"{ref} is there twice in what is to be applied; keep one of the two.")
        seen.add(ref)


def _summary(failures: Sequence[tuple[Ref, BoatyardError]]) -> BoatyardError:
    ordered = sorted(failures, key=lambda failure: failure[0])
    conflicts = [
        (ref, clash.field, clash.manager)
        for ref, error in ordered
        if isinstance(error, ApiConflict)
        for clash in error.fields
    ]
    if conflicts and all(isinstance(error, ApiConflict) and error.fields for _, error in ordered):
        return ApplyConflicts(conflicts)
    lines = [f"{ref}: {_short(error)}" for ref, error in ordered]
    more = [f"and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    text = f"{len(lines)} object(s) could not be applied:\n" + "\n".join(lines[:_SHOWN] + more)
    if all(isinstance(error, Temporary) for _, error in ordered):
        return Temporary(text, delay=max(getattr(error, "delay", 2.0) for _, error in ordered))
    return Permanent(text)


def _short(error: BoatyardError) -> str:
    if isinstance(error, ApiError):
        return error.message.partition(": ")[2] or error.message
    return str(error)
