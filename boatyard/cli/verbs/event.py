"""`boatyard event`."""

import re
import uuid
from datetime import UTC, datetime
from typing import Any

import click

from boatyard.cli.output import Out
from boatyard.cli.verb import verb
from boatyard.errors import NotFound

KINDS = ("pull_request.opened", "pull_request.reopened", "pull_request.synchronize", "pull_request.closed")
REPOSITORY = re.compile(r"[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+")


class Occurred(click.ParamType[datetime]):
    """A time in ISO 8601; UTC where no zone is given."""

    name = "TIME"

    def convert(self, value: str | datetime, param: click.Parameter | None, ctx: click.Context | None) -> datetime:
        if isinstance(value, datetime):
            return value
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            self.fail(f"expected a time like 2026-11-22T18:30:00Z, found {value[:60]!r}", param, ctx)
        return when if when.tzinfo else when.replace(tzinfo=UTC)


@verb(
    "boatyard event pull_request.opened --repository example/shop --number 12",
    "boatyard event pull_request.closed --repository example/shop --number 12",
)
@click.argument("kind", type=click.Choice(KINDS), metavar="KIND")
@click.option("--repository", required=True, metavar="OWNER/NAME", help="The pull request's repository.")
@click.option("--number", required=True, type=click.IntRange(min=1), metavar="N", help="The pull request's number.")
@click.option("--occurred", type=Occurred(), metavar="TIME", help="When it occurred, in ISO 8601; now when left out.")
def command(out: Out, kind: str, repository: str, number: int, occurred: datetime | None) -> None:
    """Tell the running server of a pull request: it opens, and a cluster appears; it closes, and nothing is left.

    KIND is pull_request.opened, .reopened, .synchronize or .closed. Older news than what is known changes nothing.
    """
    from boatyard.cli.prefect_server import client, server
    from boatyard.cli.prefect_server.place import Place
    from boatyard.settings import Settings

    if len(repository) > 200 or not REPOSITORY.fullmatch(repository):
        raise click.UsageError("--repository is the owner and the name, like example/shop.")
    settings = Settings.load()
    running = client.find(settings)
    if running is None:
        raise NotFound("no Boatyard server is running, and events need one.", hint="Start it with `boatyard up`.")
    event = _event(kind, repository, number, occurred or datetime.now(UTC))
    server.ask(running.api, "POST", "/events", client.password(Place.of(settings), running), body=[event])
    out.emit({"event": event["id"], "kind": kind, "repository": repository, "number": number, "server": running.url})
    if not out.json:
        out.say(f"Told the server at {running.url} of {kind} {repository}#{number}.")


def _event(kind: str, repository: str, number: int, occurred: datetime) -> dict[str, Any]:
    return {
        "id": str(uuid.uuid4()),
        "occurred": occurred.isoformat(),
        "event": kind,
        "resource": {"prefect.resource.id": f"pull_request/{repository}/{number}"},
        "payload": {"repository": repository, "number": number},
    }
