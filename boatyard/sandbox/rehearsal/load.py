"""Puts objects onto the twin by server-side apply, what others need first, and asks a server whether it takes them."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from boatyard.clock import Deadline
from boatyard.errors import BoatyardError, DeadlineExceeded, NotFound, Temporary
from boatyard.kube.client import APPLY, ApiConflict, ApiInvalid, Client
from boatyard.kube.objects import CRD, Ref, order
from boatyard.kube.waiting import wait_ready
from boatyard.sandbox.rehearsal.source import Form

Json = dict[str, Any]

MANAGER = "rehearsal"
_PARALLEL = 16
_TRIES = 3


@dataclass(frozen=True)
class Answer:
    """What a server said to a form. error: empty when it takes it. served: does it know the kind in that version?"""

    error: str = ""
    served: bool = True
    warning: str = ""


def load(
    client: Client, objects: Iterable[Json], *, deadline: Deadline, fence: Callable[[], None]
) -> list[tuple[Ref, str]]:
    """Every object, in waves; returns those that the twin refuses, with its words. `DeadlineExceeded`."""
    refused: list[tuple[Ref, str]] = []
    ordered = sorted(objects, key=lambda item: (_rank(Ref.of(item)), Ref.of(item)))
    for _, group in groupby(ordered, key=lambda item: _rank(Ref.of(item))):
        wave = list(group)
        deadline.check(f"{len(wave)} objects, such as {Ref.of(wave[0])}")
        fence()
        with ThreadPoolExecutor(_PARALLEL, "load") as threads:
            answers = list(threads.map(lambda item: _put(client, item), wave))
        refused += [(Ref.of(item), why) for item, why in zip(wave, answers, strict=True) if why]
        there = [Ref.of(item) for item, why in zip(wave, answers, strict=True) if not why]
        definitions = [ref for ref in there if ref.type == CRD]
        try:
            wait_ready(client, definitions, deadline=deadline.sooner(60, "custom resource definitions"))
        except DeadlineExceeded as error:
            if deadline.passed:
                raise
            refused += [(definitions[0], str(error))]
    return refused


def _rank(ref: Ref) -> tuple[int, bool]:
    """As apps are applied, but volumes before their claims: a claim that misses its volume is not looked at again for
    a quarter of a minute."""
    return (0, True) if ref.kind == "PersistentVolume" else order(ref)


def _put(client: Client, item: Json) -> str:
    """Empty when the object is there."""
    for left in reversed(range(_TRIES)):
        try:
            path = client.path_of(item)
            try:
                client.patch(path, item, APPLY, fieldManager=MANAGER, force=True)
            except ApiInvalid as error:
                if "duplicate entries" not in error.message:
                    raise
                _create(client, path, item)  # a list that apply cannot merge, and that a client once sent whole
            return ""
        except Temporary as error:
            if not left:
                return str(error)
        except BoatyardError as error:
            return str(error)
    raise AssertionError("unreachable")


def _create(client: Client, path: str, item: Json) -> None:
    try:
        client.create(path.rpartition("/")[0], item, fieldManager=MANAGER)
    except ApiConflict:
        client.replace(path, item, fieldManager=MANAGER)


def ask(client: Client, forms: Iterable[Form], fence: Callable[[], None]) -> dict[Form, Answer]:
    """What the server says to each form: a dry run of a server-side apply, which changes nothing."""
    fence()
    asked = list(forms)
    with ThreadPoolExecutor(_PARALLEL, "ask") as threads:
        return dict(zip(asked, threads.map(lambda form: _ask(client, form), asked), strict=True))


def _ask(client: Client, form: Form) -> Answer:
    try:
        client.resource(form.api_version, form.ref.kind)
    except NotFound:
        return Answer(f"{form.api_version} is not served", served=False)
    try:
        answer = client.raw(
            "PATCH",
            form.path,
            body=form.document,
            content_type=APPLY,
            params={"dryRun": "All", "fieldManager": MANAGER, "force": True},
        )
    except BoatyardError as error:
        return Answer(error.message)
    return Answer(warning=_warning(answer.headers.get("warning") or ""))


def _warning(header: str) -> str:
    """`299 - "text"` → text; of several the first."""
    _, _, text = header.partition('"')
    return text.partition('"')[0]
